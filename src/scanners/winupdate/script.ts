/** The script that asks the Windows Update Agent (COM, `wuapi.h`) what is waiting; PowerShell 5.1. */

/**
 * One search, and what a person needs to know besides it: each fact by itself, so that one that
 * cannot be had takes no other with it.
 *
 * Every string is cast and every list built anew: a COM object in JSON is the name of its type, and a
 * collection of one is no list; a function that returns nothing would be `{}`. The dates are UTC
 * without saying so. `InstallationBehavior` may be null. Hidden updates are not asked for; those that
 * others replace are left out by the agent. Without a `DeploymentAction` the agent finds none of those
 * that an administrator offers as optional; agents that do not know the word (0x80240032) are asked
 * without it. `PendingFileRenameOperations` is not read: print spoolers and installers leave some behind
 * on hosts that need no restart.
 *
 * Which server each class of updates comes from is what the agent made of all policies (`PolicyState`),
 * else what device management (Intune, Autopatch) or a group policy says.
 * https://learn.microsoft.com/en-us/windows/deployment/update/wufb-wsus
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

/**
 * The script, for the frame of `powershell/frame.ts`. `online`: asks the update server, which takes
 * seconds to hours; else Windows tells what it found the last time.
 */
export function winupdateScript({ online }: { online: boolean }): string {
  return `$online=$${online}${BODY}`;
}
