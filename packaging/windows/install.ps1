<#
.SYNOPSIS
Installs the Pennon agent from the files beside this script.

.DESCRIPTION
Compares pennon.exe with its SHA-256 in SHA256SUMS, copies it to %ProgramFiles%\Pennon, makes
%ProgramData%\Pennon for SYSTEM and the administrators alone, and creates the scheduled task that starts
the agent at boot. May be repeated: an agent that runs is stopped and replaced. Needs an administrator.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1
#>
[CmdletBinding()]
param()

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

# By SID, because names are in the language of Windows: SYSTEM and the administrators.
$System = '*S-1-5-18'
$Administrators = '*S-1-5-32-544'

$Task = '\Pennon'
$Source = Split-Path -Parent $MyInvocation.MyCommand.Path
$Programs = Join-Path $env:ProgramFiles 'Pennon'
$Program = Join-Path $Programs 'pennon.exe'
$Data = Join-Path $env:ProgramData 'Pennon'
$System32 = Join-Path $env:SystemRoot 'System32'

function Invoke-Program {
    param([string] $Path, [string[]] $Arguments, [switch] $MayFail)
    & $Path @Arguments | Out-Host
    if ($LASTEXITCODE -ne 0 -and -not $MayFail) {
        throw "$Path ended with $LASTEXITCODE"
    }
}

function Assert-Administrator {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal($identity)
    $role = [Security.Principal.WindowsBuiltInRole]::Administrator
    if (-not $principal.IsInRole($role)) {
        throw 'Only an administrator can install Pennon. Next: open PowerShell with Run as administrator'
    }
}

function Assert-Checksum {
    $sums = Join-Path $Source 'SHA256SUMS'
    $lines = @(Get-Content -LiteralPath $sums | Where-Object { $_ -match '^[0-9a-f]{64} [ *]pennon\.exe$' })
    if ($lines.Count -ne 1) { throw "$sums does not name pennon.exe once" }
    $expected = $lines[0].Substring(0, 64)
    $found = (Get-FileHash -LiteralPath (Join-Path $Source 'pennon.exe') -Algorithm SHA256).Hash
    if ($found -ne $expected) {
        throw "pennon.exe has the SHA-256 $found, not $expected. Next: download the archive again"
    }
}

# Every user may make a directory in ProgramData: one that is there already may be another user's.
function Set-DataDirectory {
    if (Test-Path -LiteralPath $Data) {
        $item = Get-Item -LiteralPath $Data -Force
        if ($item.Attributes -band [IO.FileAttributes]::ReparsePoint) {
            throw "$Data is a link. Next: remove it"
        }
    } else {
        New-Item -ItemType Directory -Path $Data | Out-Null
    }
    $icacls = Join-Path $System32 'icacls.exe'
    Invoke-Program $icacls @($Data, '/setowner', $Administrators, '/q')
    $grants = @("${System}:(OI)(CI)F", "${Administrators}:(OI)(CI)F")
    Invoke-Program $icacls (@($Data, '/inheritance:r', '/grant:r') + $grants + '/q')
}

function Stop-Agent {
    Invoke-Program (Join-Path $System32 'schtasks.exe') @('/end', '/tn', $Task) -MayFail
    $own = @(Get-Process -Name 'pennon' -ErrorAction SilentlyContinue | Where-Object { $_.Path -eq $Program })
    foreach ($process in $own) {
        if (-not $process.WaitForExit(10000)) { $process.Kill() }
    }
}

Assert-Administrator
Assert-Checksum
if (Test-Path -LiteralPath $Program) { Stop-Agent }
Set-DataDirectory
New-Item -ItemType Directory -Path $Programs -Force | Out-Null
Copy-Item -LiteralPath (Join-Path $Source 'pennon.exe') -Destination $Program -Force
Invoke-Program $Program @('service', 'install')
Write-Host "Installed $Program. Configuration: $Data\config.toml"
