/**
 * The systemd unit of the agent, and the account that it runs as, as texts. `pennon service install`
 * and the packages write the same ones. Decision 0038 has the reasons.
 */

/** The name of the unit. */
export const UNIT = "pennon.service";

/** Where the packages put the executable. */
export const PACKAGED_PROGRAM = "/usr/bin/pennon";

/** The account that the agent runs as; it owns the state directory and nothing else. */
export const SERVICE_USER = "pennon";

/** The state directory of the service, and the home directory of its account. */
export const SERVICE_STATE_DIRECTORY = "/var/lib/pennon";

/** The account as a line of sysusers.d(5), which `systemd-sysusers --inline` takes as well. */
export const SYSUSERS_LINE =
  `u ${SERVICE_USER} - "Pennon update agent" ${SERVICE_STATE_DIRECTORY} /usr/sbin/nologin`;

/**
 * How long systemd waits for the agent's sign of life. The agent's own watchdog (`watchdog.limit`, 2
 * minutes unless it is set) comes first and says why; this one is for an agent whose both threads hang.
 */
const WATCHDOG_S = 300;

/** Exit codes of a misused or badly configured agent, and of a host that is not registered. */
const HOPELESS = [2, 3];

/** Exit codes after SIGHUP and SIGTERM, as shells number them: somebody stopped the agent. */
const STOPPED = [129, 143];

/**
 * The text of the unit. `program` is the absolute path of the executable.
 *
 * No directive is newer than systemd 247 (Debian 11): an older systemd logs one that it does not know
 * at each start, and ignores it.
 */
export function systemdUnit({ program }: { readonly program: string }): string {
  return `# Written by "pennon service install" or by the package. Local changes belong into
# /etc/systemd/system/${UNIT}.d/local.conf (systemctl edit pennon).

[Unit]
Description=Pennon update agent
Documentation=man:pennon(1)
Wants=network-online.target
After=network-online.target
# The agent waits for a server that is away by itself; it ends only where a restart can help.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=${quoteWord(program)} run --state-dir ${SERVICE_STATE_DIRECTORY}
User=${SERVICE_USER}
Group=${SERVICE_USER}
Restart=on-failure
RestartSec=10s
# 2: misused or badly configured; 3: not registered. Only an operator can help.
RestartPreventExitStatus=${HOPELESS.join(" ")}
SuccessExitStatus=${STOPPED.join(" ")}
# The agent delivers for at most 4 s and ends within 5 s. A scan's programs get no signal of their own.
KillMode=mixed
TimeoutStopSec=15s
WatchdogSec=${WATCHDOG_S}s

StateDirectory=pennon
StateDirectoryMode=0700
ConfigurationDirectory=pennon
UMask=0077

# The agent and the package managers that it asks read the host, and write the state directory.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# The JavaScript engine writes the machine code that it runs.
MemoryDenyWriteExecute=no

[Install]
WantedBy=multi-user.target
`;
}

/** A path as one word of a command in a unit: systemd.service(5), "Command lines". */
function quoteWord(path: string): string {
  const escaped = path.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[\w@+=:,./%$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
