/** Describes the error codes of the Windows Update Agent, and what an operator can do. */

import { quoteWords } from "../../redact.ts";
import { type FailureMeaning, meaningsByCode } from "../programs.ts";
import { ScanError } from "../scanner.ts";

/** An error as PowerShell returns it. */
interface WinupdateFault {
  /** `0x` and eight digits. */
  readonly hresult: string;
  /** The system's message, in its language. */
  readonly message: string;
}

/** The state of the host that an error occurred on. */
export interface FaultContext {
  /** The WSUS server of the host; empty if there is none. */
  readonly server: string;
  /** A policy prevents the host from asking Microsoft. */
  readonly noInternet: boolean;
  /** Disabled services, of those that a search needs. */
  readonly disabled: readonly string[];
}

/** The agent refused or aborted a search. Unlike a search that timed out, it can be retried at once. */
export class WinupdateError extends ScanError {}

/** Longer messages are truncated: they go to a terminal and to the server. */
const MAX_MESSAGE_LENGTH = 200;

/** What an operator can do. */
const NETWORK = "check the host's network, name resolution and proxy";
const WSUS = "check the address of the update server in the host's policy";
const POLICY = "look for it under Windows Update in the group policies";
const TLS = "check the host's clock and its certificates";
const PROXY = 'check the rights on the server, and the proxy with "netsh winhttp show proxy"';
const START_SERVICE = 'run "sc.exe config wuauserv start= demand" as an administrator';
const AS_SERVICE = "run Pennon as a service (SYSTEM)";
const LOCALLY =
  `${AS_SERVICE} or locally as an administrator: Windows Update refuses network logons`;
const NAME_SERVER =
  'name a WSUS server, or lift the policy "DoNotConnectToWindowsUpdateInternetLocations"';
const SPACE = "free space on the system drive";
const REPAIR_STORE =
  "stop the service wuauserv, rename %SystemRoot%\\SoftwareDistribution, start the service again";

/** Codes of winhttp, `wuerror.h` and Windows: what they mean for a search. `@` stands for the server. */
const MEANINGS = meaningsByCode([
  ["80240438", "transient", "@ cannot be reached", NETWORK],
  ["8024402C 80072EE7", "transient", "the name of @ or of the proxy is not resolved", NETWORK],
  ["80072EE2 8024401C 80240021", "transient", "@ did not answer in time"],
  ["80072EFD 80072EFE 80072EFF", "transient", "the connection to @ failed or broke off", NETWORK],
  ["8024001F", "transient", "the host has no network"],
  [
    "80072F8F 80072F05 80072F06 80072F0D",
    "permanent",
    "the TLS certificate of @ is not trusted",
    TLS,
  ],
  ["80072F78", "transient", "@ or a proxy answered no valid HTTP"],
  ["8024401F 80244021 80244022 80244023", "transient", "@ or a proxy failed (HTTP 500 to 504)"],
  [
    "80244017 80244018 8024401B",
    "permanent",
    "@ or a proxy refuses the host (HTTP 401, 403 or 407)",
    PROXY,
  ],
  ["80244019", "permanent", "@ was not found at its address (HTTP 404)", WSUS],
  ["80244011", "permanent", "a policy requires a WSUS server, and names none", WSUS],
  ["80244007 80244010", "transient", "the exchange with @ was not completed"],
  ["8024A10A 8024001E", "transient", "the service is stopping"],
  ["8024001B", "transient", "the update agent is updating itself"],
  ["8007045B 8024A007", "transient", "the host is shutting down"],
  ["8024A000", "transient", "Automatic Updates accepts no requests now"],
  ["8024A004", "transient", "Automatic Updates is paused"],
  ["8024A005", "transient", "no update service is registered yet"],
  ["80240009", "locked", "another search or installation is under way"],
  ["8024000B", "transient", "the search was cancelled"],
  ["80240032", "permanent", "the search criteria are not valid"],
  ["80240001 80070422", "not_available", "its service is disabled", START_SERVICE],
  ["80070424", "not_available", "its service is not installed"],
  ["8007041D 80080005", "transient", "its service did not start in time"],
  ["8007000E C80003F3 80244002", "transient", "the host is out of memory"],
  ["80070005 80240044", "permanent", "access is denied", LOCALLY],
  ["8024002E 8024002F 80240025", "not_available", "a policy forbids Windows Update", POLICY],
  ["8024500C 8024500D", "not_available", "a policy blocks Microsoft's update servers", POLICY],
  ["80248000 80248001 8024800C", "transient", "its database is in use or shutting down"],
  ["8024800F 8024801C", "transient", "its database is in use or shutting down"],
  ["C80003FA C80003FD C80003FE C80003FF", "permanent", "its database is damaged", REPAIR_STORE],
  // WU_E_DS_...: missing or wrong tables and versions, missing data or references.
  ["80248002 80248003 80248004 80248005", "permanent", "its database is damaged", REPAIR_STORE],
  ["80248006 80248008 80248009 8024801B", "permanent", "its database is damaged", REPAIR_STORE],
  // WU_E_DS_DATANOTAVAILABLE and ...NOTLOADED: the server has not sent it, or it is not loaded yet.
  ["8024801E 8024801F", "transient", "its database does not have all data yet"],
  ["8024801D", "permanent", "it was called under an impersonated account", AS_SERVICE],
  ["80070070", "transient", "the disk is full", SPACE],
  ["80040154", "not_available", "this Windows has no update agent"],
  ["800706BA 800706BE", "transient", "the service cannot be reached (RPC)"],
]);

/** Ranges of `winhttp.h` and `wuerror.h` for codes that `MEANINGS` does not list. */
const RANGES: readonly (readonly [first: number, last: number, ...FailureMeaning])[] = [
  [0x80072ee1, 0x80072f00, "transient", "the network failed", NETWORK],
  [0x80072f76, 0x80072f7f, "transient", "@ or a proxy answered no valid HTTP"],
  [0x80244000, 0x80244035, "transient", "@ did not answer properly"],
  // An unknown update, service or timer: most of these errors disappear with the next search.
  [0x80248000, 0x80248029, "transient", "its database lacks an entry"],
  [0x8024a000, 0x8024a008, "transient", "Automatic Updates refuses"],
];

const NO_INTERNET: FailureMeaning = [
  "permanent",
  "a policy blocks Microsoft's update servers, and names no other",
  NAME_SERVER,
];

/** Describes an error code; an unknown one by the system's message. */
export function describeFault(fault: WinupdateFault, context: FaultContext): string {
  const [, fact] = meaningOf(fault, context);
  return `${fact} (0x${codeOf(fault)})`;
}

/** The error for a search that failed. */
export function winupdateFailure(fault: WinupdateFault, context: FaultContext): WinupdateError {
  const [reason, , next] = meaningOf(fault, context);
  const facts = [describeFault(fault, context), ...disabledFacts(fault, context)].join("; ");
  const advice = next === undefined ? "" : `. Next: ${next}`;
  return new WinupdateError(`Cannot search for updates: ${facts}${advice}`, { reason });
}

function meaningOf(fault: WinupdateFault, context: FaultContext): FailureMeaning {
  const code = codeOf(fault);
  if (code === "80240438" && context.noInternet && context.server === "") return NO_INTERNET;
  const number = parseInt(code, 16);
  const [, , ...inRange] = RANGES.find(([first, last]) => number >= first && number <= last) ?? [];
  const [reason, fact, ...next] = MEANINGS.get(code) ?? inRange;
  const server = context.server === ""
    ? "the update server"
    : `the WSUS server "${context.server}"`;
  if (reason && fact) return [reason, fact.replaceAll("@", () => server), ...next];
  // A permanent error repeats, and then the breaker opens.
  const words = quoteWords(fault.message, MAX_MESSAGE_LENGTH).trim();
  return ["transient", words === "" ? "an unknown error" : words];
}

function codeOf({ hresult }: WinupdateFault): string {
  return hresult.replace(/^0x/i, "").toUpperCase();
}

/** A disabled service explains many errors; it is not repeated if the error itself says so. */
function disabledFacts(
  fault: WinupdateFault,
  { disabled }: FaultContext,
): readonly string[] {
  const isSaid = codeOf(fault) === "80070422" && disabled.every((name) => name === "wuauserv");
  return isSaid ? [] : disabled.map((name) => `the service ${name} is disabled`);
}
