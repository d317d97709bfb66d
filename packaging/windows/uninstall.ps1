<#
.SYNOPSIS
Removes the Pennon agent.

.DESCRIPTION
Stops and removes the scheduled task and %ProgramFiles%\Pennon. The configuration and the state in
%ProgramData%\Pennon stay, unless -Purge is given. Needs an administrator.

.PARAMETER Purge
Removes %ProgramData%\Pennon and the source of the Event Log as well, with the identity of this host and every event that the server has
not got yet. Run "pennon unregister" first, if the server is to forget this host.
#>
[CmdletBinding()]
param([switch] $Purge)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$Programs = Join-Path $env:ProgramFiles 'Pennon'
$Program = Join-Path $Programs 'pennon.exe'
$Data = Join-Path $env:ProgramData 'Pennon'

$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
$principal = New-Object Security.Principal.WindowsPrincipal($identity)
if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'Only an administrator can remove Pennon. Next: open PowerShell with Run as administrator'
}

if (Test-Path -LiteralPath $Program) {
    & $Program service uninstall | Out-Host
    if ($LASTEXITCODE -ne 0) { throw "$Program ended with $LASTEXITCODE" }
    $own = @(Get-Process -Name 'pennon' -ErrorAction SilentlyContinue | Where-Object { $_.Path -eq $Program })
    foreach ($process in $own) {
        if (-not $process.WaitForExit(10000)) { $process.Kill() }
    }
    Remove-Item -LiteralPath $Programs -Recurse -Force
    Write-Host "Removed $Programs"
}

# Made by eventcreate with the first event. The events themselves stay in the log.
if ($Purge -and [Diagnostics.EventLog]::SourceExists('Pennon')) {
    [Diagnostics.EventLog]::DeleteEventSource('Pennon')
    Write-Host "Removed the event source Pennon"
}

if ($Purge -and (Test-Path -LiteralPath $Data)) {
    Remove-Item -LiteralPath $Data -Recurse -Force
    Write-Host "Removed $Data"
} else {
    Write-Host "Left: $Data"
}
