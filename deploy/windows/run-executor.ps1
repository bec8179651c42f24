<#
.SYNOPSIS
What the scheduled task of one account runs: the executor, again after a pause whenever it ends, with its log in a file.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [ValidatePattern('^[a-z0-9-]+$')] [string] $Account,
    [Parameter(Mandatory = $true)] [string] $Config
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$clone = (Resolve-Path (Join-Path $PSScriptRoot '..\..')).Path
$python = Join-Path $clone '.venv\Scripts\python.exe'
$folder = Join-Path $clone 'data\log'
$log = Join-Path $folder "executor-$Account.log"
New-Item -ItemType Directory -Path $folder -Force | Out-Null

$env:PYTHONPATH = $clone
$env:PYTHONSAFEPATH = '1'
$env:PYTHONUTF8 = '1'

while ($true) {
    if ((Test-Path $log) -and (Get-Item $log).Length -gt 20000000) { Move-Item -Path $log -Destination "$log.1" -Force }
    # cmd.exe appends both outputs as they come; PowerShell 5 would take what goes to standard error for a failure.
    $line = '/d /s /c ""{0}" -m deploy --config "{1}" --log-form json executor run --account {2} >> "{3}" 2>&1"'
    Start-Process -FilePath 'cmd.exe' -ArgumentList ($line -f $python, $Config, $Account, $log) -NoNewWindow -Wait
    Start-Sleep -Seconds 5
}
