/** Reads what the script of `winupdate/script.ts` answered, field by field: it comes from outside. */

import * as v from "valibot";
import { stripControls } from "../../strip_controls.ts";
import { quoteWords } from "../../redact.ts";
import { ScanError } from "../scanner.ts";
import {
  describeFault,
  type FaultSurroundings,
  WinupdateError,
  winupdateFailure,
} from "./failure.ts";
import { describeSources, type WinupdateServers } from "./sources.ts";
import type { RebootState } from "../../update.ts";

/** More updates than any host has waiting; the rest is counted as not read. */
const MAX_UPDATES = 5_000;

/** Longer lists within one update are cut. */
const MAX_LIST = 500;

/** Flags that a restart is due are two. */
const MAX_FLAGS = 4;

/** PowerShell 5.1 makes `null` or `{}` of an empty collection, and a thing of a list of one. */
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

const driverShape = v.object({
  provider: optionalText,
  class: optionalText,
  model: optionalText,
  hardwareId: optionalText,
});

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
  /** Bytes; text, for it is a DECIMAL. */
  maxDownloadSize: optionalText,
  rebootBehavior: optionalNumber,
  browseOnly: v.nullish(v.boolean(), false),
  /** `DeploymentAction` of wuapi.h; `null` from a script that did not ask. */
  deployment: optionalNumber,
  type: optionalNumber,
  /** What a driver says of itself in no language; `null` of anything else. */
  driver: v.nullish(driverShape, null),
  /** When it was last published; ISO 8601. */
  deployed: optionalText,
});

/** One update, as the agent tells it; texts hold no control characters. */
export type WinupdateItem = v.InferOutput<typeof updateShape>;

const faultShape = v.object({
  hresult: v.pipe(v.string(), v.regex(/^0x[\da-f]{8}$/i)),
  message: optionalText,
});
const serviceShape = v.object({ start: optionalText });

/** For each class of updates that a policy names: 0 is Windows Update, 1 is WSUS. */
const sourcesShape = v.nullish(
  v.object({
    feature: optionalNumber,
    quality: optionalNumber,
    driver: optionalNumber,
    other: optionalNumber,
  }),
  {},
);
const routingShape = v.object({
  gate: v.nullish(v.boolean(), false),
  dualScan: v.nullish(v.boolean(), false),
  policy: sourcesShape,
  mdm: sourcesShape,
  state: sourcesShape,
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
  services: v.nullish(v.record(v.string(), serviceShape), {}),
  lastSearch: optionalText,
  error: v.nullish(faultShape, null),
  resultCode: optionalNumber,
  warnings: v.nullish(v.pipe(v.unknown(), v.transform(asList), v.array(faultShape)), []),
  updates: v.optional(v.unknown()),
  unread: v.nullish(v.number(), 0),
});

/** A search that succeeded, with or without errors. */
export interface WinupdateAnswer extends WinupdateServers {
  /** Whether the update server was asked. */
  readonly online: boolean;
  /** Whether Windows waits for a restart, and what says so; `null` if nothing does. */
  readonly reboot: RebootState | null;
  /** Whether updates were searched that an administrator offers as optional. */
  readonly withOptional: boolean;
  readonly lastSearchMs: number | null;
  /** Why the search is not complete, a sentence each. */
  readonly gaps: readonly string[];
  /** Updates that could not be read. */
  readonly unread: number;
  readonly updates: readonly WinupdateItem[];
}

/** `OperationResultCode` of wuapi.h. */
const SUCCEEDED = 2;
const SUCCEEDED_WITH_ERRORS = 3;
const ABORTED = 5;

/** Reads an answer. Throws `ScanError` for one of another shape, and for one that is a failure. */
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
  const where: FaultSurroundings = {
    server: answer.server,
    noInternet: answer.noInternet,
    disabled: Object.keys(answer.services)
      .filter((name) => /^\w{1,40}$/.test(name) && answer.services[name]?.start === "Disabled"),
  };
  if (answer.error) throw winupdateFailure(answer.error, where);
  const { resultCode, warnings } = answer;
  if (resultCode !== SUCCEEDED && resultCode !== SUCCEEDED_WITH_ERRORS) {
    throw resultFailure(resultCode, warnings[0], where);
  }
  const { updates, unread } = parseUpdates(answer.updates);
  const faults = [...new Set(warnings.map((warning) => describeFault(warning, where)))];
  const gaps = faults.map((fault) => `Windows Update could not search everything: ${fault}`);
  if (resultCode === SUCCEEDED_WITH_ERRORS && gaps.length === 0) {
    gaps.push("Windows Update could not search everything, and does not tell why");
  }
  return {
    ...servers,
    online: answer.online,
    reboot: rebootOf(answer.rebootRequired, answer.reboot),
    withOptional: answer.optional,
    lastSearchMs: instantOf(answer.lastSearch),
    gaps: gaps.slice(0, 10),
    unread: unread + Math.max(0, Math.floor(answer.unread)),
    updates,
  };
}

/** Only a list says that there is nothing: `null` and `{}` may be anything. */
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
  where: FaultSurroundings,
): ScanError {
  if (resultCode === null) return notUnderstood();
  if (warning) return winupdateFailure(warning, where);
  const fact = resultCode === ABORTED ? "the search was broken off" : "the search failed";
  return new WinupdateError(`Cannot search for updates: ${fact}`, { reason: "transient" });
}

function notUnderstood(): ScanError {
  const fact = "its answer is not understood";
  return new ScanError(`Cannot read Windows Update's list: ${fact}`, { reason: "permanent" });
}

/** Without what could steer a terminal, line ends among it, and without half characters. */
function clean(value: string): string {
  return stripControls(value.replace(/\s+/g, " ")).trim().toWellFormed();
}

/** An address may have been given with a name and a password; none is a long text. */
function safeAddress(address: string): string {
  return quoteWords(address.replace(/\/\/[^/]*@/, "//"), 200);
}

/** Windows' own flags: one of them is enough. `null` where none could be looked for. */
function rebootOf(
  agent: boolean | null,
  flags: Readonly<Record<string, boolean>>,
): RebootState | null {
  const names = Object.keys(flags).filter((name) => flags[name]).slice(0, MAX_FLAGS)
    .map((name) => quoteWords(name, 80));
  const reasons = [
    ...(agent ? ["the Windows Update Agent waits for a restart"] : []),
    ...names.map((name) => `registry: ${name}`),
  ];
  if (reasons.length > 0) return { isRequired: true, reason: reasons.join("; ") };
  const asked = [
    ...(agent === null ? [] : ["the Windows Update Agent"]),
    ...(Object.keys(flags).length === 0 ? [] : ["the registry"]),
  ];
  if (asked.length === 0) return null;
  return { isRequired: false, reason: `none is asked for by ${asked.join(" and ")}` };
}

/** `null` for what is no date. */
function instantOf(date: string): number | null {
  const ms = Date.parse(date);
  return Number.isFinite(ms) ? ms : null;
}
