/** The script that asks the Windows Update Agent (COM, `wuapi.h`) what is waiting; PowerShell 5.1. */

/**
 * One search, and what a person needs to know besides it: each fact by itself, so that one that
 * cannot be had takes no other with it.
 *
 * Every string is cast and every list built anew: a COM object in JSON is the name of its type, and a
 * collection of one is no list; a function that returns nothing would be `{}`. The dates are UTC
 * without saying so. `InstallationBehavior` may be null. Updates that somebody hid are not asked for;
 * those that others replace are left out by the agent.
 */
const BODY = String.raw`
function Get-Texts($Collection){foreach($one in $Collection){[string]$one}}
function Get-Day($Date){if($Date -is [datetime]){[datetime]::SpecifyKind($Date,'Utc').ToString('o')}else{''}}
$answer=[ordered]@{schema=1;online=$online;rebootRequired=$null;source='';server='';noInternet=$false;services=@{};lastSearch=$null}
try{$answer.rebootRequired=[bool](New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired}catch{}
try{$answer.lastSearch=Get-Day (New-Object -ComObject Microsoft.Update.AutoUpdate).Results.LastSearchSuccessDate}catch{}
try{
$key='HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
$policy=Get-ItemProperty -Path $key -ErrorAction SilentlyContinue
$auto=Get-ItemProperty -Path "$key\AU" -ErrorAction SilentlyContinue
$answer.noInternet=($policy.DoNotConnectToWindowsUpdateInternetLocations -eq 1)
if($auto.UseWUServer -eq 1 -and $policy.WUServer){$answer.source='wsus';$answer.server=[string]$policy.WUServer}
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
$found=$searcher.Search('IsInstalled=0 and IsHidden=0')
$answer.resultCode=[int]$found.ResultCode
$answer.warnings=@(foreach($warning in $found.Warnings){
[ordered]@{context=[int]$warning.Context;hresult='0x{0:X8}' -f $warning.HResult;message=[string]$warning.Message}})
$unread=0
$answer.updates=@(foreach($update in $found.Updates){try{
$reboot=$null
if($null -ne $update.InstallationBehavior){$reboot=[int]$update.InstallationBehavior.RebootBehavior}
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
type=[int]$update.Type
deployed=Get-Day $update.LastDeploymentChangeTime}
}catch{$unread++}})
$answer.unread=$unread
}catch{$answer.error=Get-Failure $_}
`;

/**
 * The script, for the frame of `powershell_frame.ts`. `online`: asks the update server, which takes
 * seconds to hours; else Windows tells what it found the last time.
 */
export function winupdateScript({ online }: { online: boolean }): string {
  return `$online=$${online}${BODY}`;
}
