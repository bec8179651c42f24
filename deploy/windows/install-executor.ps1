<#
.SYNOPSIS
Installs the executor of one MetaTrader 5 account on this Windows machine, or removes it.

.DESCRIPTION
The executor runs as a scheduled task in your own session, since a terminal needs a desktop: it starts when you sign in,
and again when it ends. Run this once for each account, not as administrator, when the account's portable terminal has
its own folder and `executor check` is content. Nothing is written outside the clone and the task list.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File deploy\windows\install-executor.ps1 -Account main

.EXAMPLE
powershell -ExecutionPolicy Bypass -File deploy\windows\install-executor.ps1 -Account main -Remove
#>
[CmdletBinding()]
param(
    # The account's name in the settings.
    [Parameter(Mandatory = $true)] [ValidatePattern('^[a-z0-9-]+$')] [string] $Account,
    # The settings file; without one, tradecopier.toml in the clone.
    [string] $Config,
    # Python 3.11 or newer, 64 bits. Only used to make the clone's own environment.
    [string] $Python = 'python',
    # Stop the executor and take the task away. The account's data stay in Redis.
    [switch] $Remove
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$clone = (Resolve-Path (Join-Path $PSScriptRoot '..\..')).Path
$task = "TradeCopier executor $Account"

if ($Remove) {
    Stop-ScheduledTask -TaskName $task
    Unregister-ScheduledTask -TaskName $task -Confirm:$false
    Write-Output "$task is removed."
    exit 0
}

if (-not $Config) { $Config = Join-Path $clone 'tradecopier.toml' }
$Config = (Resolve-Path $Config).Path
$me = [System.Security.Principal.WindowsIdentity]::GetCurrent().Name

# The settings may hold the account's password: nobody but you reads them.
& icacls.exe $Config /inheritance:r /grant:r "${me}:(F)" | Out-Null
if ($LASTEXITCODE -ne 0) { throw "the rights of $Config could not be set" }

# Makes the environment when it is not there yet, and shows what is in the way of this account.
& $Python (Join-Path $clone 'run.py') --config $Config executor check --account $Account
if ($LASTEXITCODE -ne 0) { throw 'mend what is said above, then run this again' }

$runner = Join-Path $PSScriptRoot 'run-executor.ps1'
$arguments = '-NoProfile -NonInteractive -WindowStyle Hidden -ExecutionPolicy Bypass -File "{0}" -Account {1} -Config "{2}"'
$action = New-ScheduledTaskAction -Execute 'powershell.exe' -WorkingDirectory $clone `
    -Argument ($arguments -f $runner, $Account, $Config)
$trigger = New-ScheduledTaskTrigger -AtLogOn -User $me
$principal = New-ScheduledTaskPrincipal -UserId $me -LogonType Interactive -RunLevel Limited
$settings = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -StartWhenAvailable `
    -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit ([TimeSpan]::Zero) `
    -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1)

Register-ScheduledTask -TaskName $task -Action $action -Trigger $trigger -Principal $principal -Settings $settings `
    -Description 'Copies trades to one MetaTrader 5 account.' -Force | Out-Null
Start-ScheduledTask -TaskName $task
Write-Output "$task runs; it starts again whenever you sign in. Its log: $(Join-Path $clone "data\log\executor-$Account.log")"
