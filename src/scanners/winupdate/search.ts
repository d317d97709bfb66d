/** The search of the Windows Update Agent: the script, and the validation of its answer. */

import * as v from "valibot";
import { stripControls } from "../../strip_controls.ts";
import { quoteWords } from "../../redact.ts";
import { parseDate } from "../programs.ts";
import { cannot, ScanError } from "../scanner.ts";
import { describeFault, type FaultContext, WinupdateError, winupdateFailure } from "./failure.ts";
import { describeSources, routingShape, type WinupdateServers } from "./sources.ts";
import type { RebootState } from "../../update.ts";

/**
 * The script for the Windows Update Agent (COM, `wuapi.h`), in PowerShell 5.1.
 *
 * - Each fact is read by itself, so that one that cannot be read does not affect the others.
 * - Every string is cast and every list is built anew: in JSON a COM object is the name of its type, a
 *   collection of one is not a list, and a function that returns nothing is `{}`.
 * - Dates are UTC without saying so. `InstallationBehavior` may be null.
 * - Hidden updates are not searched; the agent leaves out superseded ones.
 * - Without a `DeploymentAction` the agent finds none of the updates that an administrator offers as
 *   optional; agents that do not know that word (0x80240032) are asked without it.
 * - `PendingFileRenameOperations` is not read: print spoolers and installers leave entries there on
 *   hosts that need no restart.
 * - The server of each class of updates is the agent's own result of all policies (`PolicyState`), else
 *   what device management (Intune, Autopatch) or a group policy says.
 *   https://learn.microsoft.com/en-us/windows/deployment/update/wufb-wsus
 */
const BODY = String.raw`
function Get-Texts($Collection){foreach($one in $Collection){[string]$one}}
function Get-Day($Date){if($Date -is [datetime]){[datetime]::SpecifyKind($Date,'Utc').ToString('o')}else{''}}
function Get-Sources($Path){
$values=Get-ItemProperty -Path $Path -ErrorAction SilentlyContinue
$all=[ordered]@{}
foreach($name in 'Feature','Quality','Driver','Other'){
$value=$values."SetPolicyDrivenUpdateSourceFor$($name)Updates"
if($null -ne $value){$all[$name.ToLower()]=[int]$value}}
$all}
$answer=[ordered]@{schema=1;online=$online;rebootRequired=$null;reboot=@{};source='';server='';noInternet=$false;scanSource=@{};services=@{};lastSearch=$null}
foreach($flag in 'WindowsUpdate\Auto Update\RebootRequired','Component Based Servicing\RebootPending'){
try{$answer.reboot[$flag]=[bool](Test-Path -Path "HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\$flag")}catch{}}
try{$answer.rebootRequired=[bool](New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired}catch{}
try{$answer.lastSearch=Get-Day (New-Object -ComObject Microsoft.Update.AutoUpdate).Results.LastSearchSuccessDate}catch{}
try{
$key='HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
$policy=Get-ItemProperty -Path $key -ErrorAction SilentlyContinue
$auto=Get-ItemProperty -Path "$key\AU" -ErrorAction SilentlyContinue
$answer.noInternet=($policy.DoNotConnectToWindowsUpdateInternetLocations -eq 1)
if($auto.UseWUServer -eq 1 -and $policy.WUServer){$answer.source='wsus';$answer.server=[string]$policy.WUServer}
$state='HKLM:\SOFTWARE\Microsoft\WindowsUpdate\UpdatePolicy\PolicyState'
$answer.scanSource=[ordered]@{gate=($auto.UseUpdateClassPolicySource -eq 1)
dualScan=((Get-ItemProperty -Path $state -ErrorAction SilentlyContinue).IsWUfBDualScanActive -eq 1)
policy=Get-Sources $key
mdm=Get-Sources 'HKLM:\SOFTWARE\Microsoft\PolicyManager\current\device\Update'
state=Get-Sources $state}
}catch{}
if(-not $answer.source){try{
foreach($service in (New-Object -ComObject Microsoft.Update.ServiceManager).Services){
if($service.IsDefaultAUService){$answer.source=[string]$service.ServiceID}}
}catch{}}
foreach($name in 'wuauserv','UsoSvc','BITS','cryptsvc'){
try{$service=Get-Service -Name $name
$answer.services[$name]=[ordered]@{status=[string]$service.Status;start=[string]$service.StartType}
}catch{}}
try{
$session=New-Object -ComObject Microsoft.Update.Session
$session.ClientApplicationID='Pennon'
$searcher=$session.CreateUpdateSearcher()
$searcher.Online=$online
$answer.optional=$true
try{$found=$searcher.Search("IsInstalled=0 and IsHidden=0 or IsInstalled=0 and IsHidden=0 and DeploymentAction='OptionalInstallation'")
}catch{
if((Get-Failure $_).hresult -ne '0x80240032'){throw}
$answer.optional=$false
$found=$searcher.Search('IsInstalled=0 and IsHidden=0')}
$answer.resultCode=[int]$found.ResultCode
$answer.warnings=@(foreach($warning in $found.Warnings){
[ordered]@{context=[int]$warning.Context;hresult='0x{0:X8}' -f $warning.HResult;message=[string]$warning.Message}})
$unread=0
$answer.updates=@(foreach($update in $found.Updates){try{
$reboot=$null
if($null -ne $update.InstallationBehavior){$reboot=[int]$update.InstallationBehavior.RebootBehavior}
$driver=$null
if([int]$update.Type -eq 2){try{$driver=[ordered]@{provider=[string]$update.DriverProvider
class=[string]$update.DriverClass
model=[string]$update.DriverModel
hardwareId=[string]$update.DriverHardwareID}}catch{}}
[ordered]@{
id=[string]$update.Identity.UpdateID
revision=[int]$update.Identity.RevisionNumber
title=[string]$update.Title
description=[string]$update.Description
kb=@(Get-Texts $update.KBArticleIDs)
severity=[string]$update.MsrcSeverity
cves=@(Get-Texts $update.CveIDs)
bulletins=@(Get-Texts $update.SecurityBulletinIDs)
categories=@(foreach($category in $update.Categories){[ordered]@{id=[string]$category.CategoryID}})
maxDownloadSize=[string]$update.MaxDownloadSize
rebootBehavior=$reboot
browseOnly=[bool]$update.BrowseOnly
deployment=[int]$update.DeploymentAction
type=[int]$update.Type
driver=$driver
deployed=Get-Day $update.LastDeploymentChangeTime}
}catch{$unread++}})
$answer.unread=$unread
}catch{$answer.error=Get-Failure $_}
`;

/** The script. `online`: asks the server, which takes seconds to hours; else for the last search's result. */
export function winupdateScript({ online }: { online: boolean }): string {
  return `$online=$${online}${BODY}`;
}

/** More updates than any host has; the rest counts as unread. */
const MAX_UPDATES = 5_000;

/** Longer lists within one update are truncated. */
const MAX_LIST = 500;

/** The script reads two restart flags. */
const MAX_FLAGS = 4;

/** PowerShell 5.1 turns an empty collection into `null` or `{}`, and a list of one into its element. */
function asList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.slice(0, MAX_LIST);
  if (value === null || value === undefined) return [];
  if (typeof value !== "object") return [value];
  if ("value" in value && Array.isArray(value.value)) return value.value.slice(0, MAX_LIST);
  return Object.keys(value).length === 0 ? [] : [value];
}

const text = v.pipe(v.string(), v.transform(clean));
const optionalText = v.pipe(v.nullish(v.string(), ""), v.transform(clean));
const optionalNumber = v.nullish(v.number(), null);
const texts = v.nullish(v.pipe(v.unknown(), v.transform(asList), v.array(text)), []);
const category = v.pipe(v.object({ id: text }), v.transform(({ id }) => id));

const updateShape = v.object({
  id: v.pipe(v.string(), v.regex(/^\{?[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\}?$/i)),
  revision: v.pipe(v.number(), v.integer(), v.minValue(0)),
  title: optionalText,
  description: optionalText,
  kb: texts,
  severity: optionalText,
  cves: texts,
  bulletins: texts,
  categories: v.nullish(v.pipe(v.unknown(), v.transform(asList), v.array(category)), []),
  /** Bytes, as text because it is a DECIMAL. */
  maxDownloadSize: optionalText,
  rebootBehavior: optionalNumber,
  browseOnly: v.nullish(v.boolean(), false),
  /** `DeploymentAction` of wuapi.h. */
  deployment: optionalNumber,
  type: optionalNumber,
  /** Language-independent data of a driver; `null` for any other update. */
  driver: v.nullish(
    v.object({
      provider: optionalText,
      class: optionalText,
      model: optionalText,
      hardwareId: optionalText,
    }),
    null,
  ),
  /** Date of the last publication; ISO 8601. */
  deployed: optionalText,
});

/** One update as the agent describes it; texts hold no control characters. */
export type WinupdateItem = v.InferOutput<typeof updateShape>;

const faultShape = v.object({
  hresult: v.pipe(v.string(), v.regex(/^0x[\da-f]{8}$/i)),
  message: optionalText,
});

const answerShape = v.object({
  online: v.nullish(v.boolean(), true),
  rebootRequired: v.nullish(v.boolean(), null),
  reboot: v.nullish(v.record(v.string(), v.boolean()), {}),
  source: optionalText,
  server: v.pipe(optionalText, v.transform(safeAddress)),
  noInternet: v.nullish(v.boolean(), false),
  scanSource: v.nullish(routingShape, {}),
  optional: v.nullish(v.boolean(), true),
  services: v.nullish(v.record(v.string(), v.object({ start: optionalText })), {}),
  lastSearch: optionalText,
  error: v.nullish(faultShape, null),
  resultCode: optionalNumber,
  warnings: v.nullish(v.pipe(v.unknown(), v.transform(asList), v.array(faultShape)), []),
  updates: v.optional(v.unknown()),
  unread: v.nullish(v.number(), 0),
});

/** The result of a search that succeeded, with or without errors. */
export interface WinupdateAnswer extends WinupdateServers {
  readonly online: boolean;
  /** Whether Windows needs a restart, and what says so; `null` if that is not known. */
  readonly reboot: RebootState | null;
  /** Whether the search included updates that an administrator offers as optional. */
  readonly withOptional: boolean;
  readonly lastSearchMs: number | null;
  /** Why the search is not complete, one sentence per reason. */
  readonly gaps: readonly string[];
  readonly unread: number;
  readonly updates: readonly WinupdateItem[];
}

/** `OperationResultCode` of wuapi.h. */
const SUCCEEDED = 2;
const SUCCEEDED_WITH_ERRORS = 3;
const ABORTED = 5;

/** Reads an answer. Throws `ScanError` if it has another shape, and if the search failed. */
export function parseWinupdate(value: unknown): WinupdateAnswer {
  const parsed = v.safeParse(answerShape, value);
  if (!parsed.success) throw notUnderstood();
  const { scanSource: routing, ...answer } = parsed.output;
  const servers: WinupdateServers = { source: answer.source, server: answer.server, routing };
  try {
    return readAnswer(answer, servers);
  } catch (error) {
    if (error instanceof ScanError) {
      error.sources = describeSources(servers, { why: error.message, metadataAgeS: null });
    }
    throw error;
  }
}

function readAnswer(
  answer: Omit<v.InferOutput<typeof answerShape>, "scanSource">,
  servers: WinupdateServers,
): WinupdateAnswer {
  const context: FaultContext = {
    server: answer.server,
    noInternet: answer.noInternet,
    disabled: Object.keys(answer.services)
      .filter((name) => /^\w{1,40}$/.test(name) && answer.services[name]?.start === "Disabled"),
  };
  if (answer.error) throw winupdateFailure(answer.error, context);
  const { resultCode, warnings } = answer;
  if (resultCode !== SUCCEEDED && resultCode !== SUCCEEDED_WITH_ERRORS) {
    throw resultFailure(resultCode, warnings[0], context);
  }
  const { updates, unread } = parseUpdates(answer.updates);
  const faults = [...new Set(warnings.map((warning) => describeFault(warning, context)))];
  const gaps = faults.map((fault) => `Windows Update could not search everything: ${fault}`);
  if (resultCode === SUCCEEDED_WITH_ERRORS && gaps.length === 0) {
    gaps.push("Windows Update could not search everything, and does not say why");
  }
  return {
    ...servers,
    online: answer.online,
    reboot: rebootOf(answer.rebootRequired, answer.reboot),
    withOptional: answer.optional,
    lastSearchMs: parseDate(answer.lastSearch),
    gaps: gaps.slice(0, 10),
    unread: unread + Math.max(0, Math.floor(answer.unread)),
    updates,
  };
}

/** Only a list says that there are no updates: `null` and `{}` can mean anything. */
function parseUpdates(value: unknown): { updates: WinupdateItem[]; unread: number } {
  const wrapped = typeof value === "object" && value !== null && "value" in value
    ? value.value
    : value;
  const isUpdate = typeof wrapped === "object" && wrapped !== null && "id" in wrapped;
  if (!Array.isArray(wrapped) && !isUpdate) throw notUnderstood();
  const all: unknown[] = Array.isArray(wrapped) ? wrapped : [wrapped];
  const updates = all.slice(0, MAX_UPDATES).flatMap((item) => {
    const parsed = v.safeParse(updateShape, item);
    return parsed.success ? [parsed.output] : [];
  });
  if (all.length > 0 && updates.length === 0) throw notUnderstood();
  return { updates, unread: all.length - updates.length };
}

function resultFailure(
  resultCode: number | null,
  warning: { hresult: string; message: string } | undefined,
  context: FaultContext,
): ScanError {
  if (resultCode === null) return notUnderstood();
  if (warning) return winupdateFailure(warning, context);
  const fact = resultCode === ABORTED ? "the search was aborted" : "the search failed";
  return new WinupdateError(`Cannot search for updates: ${fact}`, { reason: "transient" });
}

function notUnderstood(): ScanError {
  return cannot("read Windows Update's list", "its answer is not understood", "permanent");
}

/** Removes control characters, line ends and unpaired surrogates. */
function clean(value: string): string {
  return stripControls(value.replace(/\s+/g, " ")).trim().toWellFormed();
}

/** Removes the user name and password from an address, and limits its length. */
function safeAddress(address: string): string {
  return quoteWords(address.replace(/\/\/[^/]*@/, "//"), 200);
}

/** One of Windows' flags is enough. `null` if none of them could be read. */
function rebootOf(
  agent: boolean | null,
  flags: Readonly<Record<string, boolean>>,
): RebootState | null {
  const names = Object.keys(flags).filter((name) => flags[name]).slice(0, MAX_FLAGS)
    .map((name) => quoteWords(name, 80));
  const reasons = [
    ...(agent ? ["the Windows Update Agent requires a restart"] : []),
    ...names.map((name) => `registry: ${name}`),
  ];
  if (reasons.length > 0) return { isRequired: true, reason: reasons.join("; ") };
  const asked = [
    ...(agent === null ? [] : ["the Windows Update Agent"]),
    ...(Object.keys(flags).length === 0 ? [] : ["the registry"]),
  ];
  if (asked.length === 0) return null;
  return { isRequired: false, reason: `no restart is requested by ${asked.join(" or ")}` };
}
