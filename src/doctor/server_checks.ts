/**
 * The checks of the way to the server, each step on the one before it: proxy, name, connection, TLS,
 * `/health`, clock, version. `lookAtServer` gathers; the rest is pure.
 */

import { pennonCommand } from "../advice.ts";
import { proxyFor } from "../agent/create_client.ts";
import type { Config } from "../config/settings.ts";
import { isLoopback } from "../config/cross_check.ts";
import { redact } from "../redact.ts";
import type { Answer } from "../server/answer.ts";
import type { Client } from "../server/client.ts";
import { LONGEST_LEAD_MS } from "../server/command_signature.ts";
import type { Health } from "../server/protocol.ts";
import { HttpError } from "../system/http.ts";
import type { PeerCertificate } from "../system/network.ts";
import type { System } from "../system/system.ts";
import { joinNames } from "../wording.ts";
import { fail, type Finding, ok, skip, warn } from "./finding.ts";

/** What was seen on the way to the server. */
export interface ServerFacts {
  readonly serverUrl: string;
  /** `null`: the server is reached directly. */
  readonly proxyUrl: string | null;
  /** Of the first hop, the proxy or the server. */
  readonly addresses: readonly string[] | HttpError;
  /** The address that accepted a connection; `null`: the name did not resolve. */
  readonly connection: string | HttpError | null;
  /** `null`: not asked for, because the server is not https or not reached. */
  readonly certificates: readonly PeerCertificate[] | HttpError | null;
  /** `null`: not asked, because nothing listens there. */
  readonly health: Answer<Health> | null;
  /** What the server says of its version; `null`: nothing; `undefined`: it has not answered well. */
  readonly version: string | null | undefined;
  /** When the health was answered, by this host's clock. */
  readonly answeredAtMs: number;
}

const RESOLVE_MS = 10_000;
const CONNECT_MS = 10_000;
const HEALTH_MS = 5_000;
const TLS_MS = 10_000;

/** Looks at every step until one fails; takes 35 s at most. */
export async function lookAtServer(
  system: System,
  config: Config,
  { client, serverUrl }: { readonly client: Client; readonly serverUrl: string },
): Promise<ServerFacts> {
  const { network, clock } = system;
  const proxyUrl = proxyFor(serverUrl, config.proxy);
  const [server, first] = [peerOf(serverUrl), peerOf(proxyUrl ?? serverUrl)];
  const isTls = serverUrl.startsWith("https:");
  const addresses = await orError(network.resolve(first.host, RESOLVE_MS));
  const connection = addresses instanceof HttpError
    ? null
    : await orError(network.connect({ ...first, timeoutMs: CONNECT_MS }));
  const isReached = typeof connection === "string";
  const health = isReached ? await client.health({ timeoutMs: HEALTH_MS }) : null;
  const answeredAtMs = clock.nowMs();
  const certificates = isReached && isTls
    ? await orError(network.readCertificates({
      ...server,
      timeoutMs: TLS_MS,
      ...(proxyUrl !== null && { proxyUrl }),
    }))
    : null;
  const { serverVersion: version } = client;
  return {
    serverUrl,
    proxyUrl,
    addresses,
    connection,
    certificates,
    health,
    version,
    answeredAtMs,
  };
}

async function orError<T>(work: Promise<T>): Promise<T | HttpError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HttpError) return error;
    throw error;
  }
}

function peerOf(address: string): { host: string; port: number } {
  const url = new URL(address);
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

/** The names of the checks, in the order of the way. */
export const SERVER_CHECKS = [
  "proxy",
  "dns",
  "tcp",
  "tls",
  "health",
  "clock",
  "server version",
] as const;

/** Every step as skipped. */
export function skipServer(because: string): Finding[] {
  return SERVER_CHECKS.map((check) => skip(check, because));
}

/** Judges every step; those behind one that failed are skipped. */
export function judgeServer(facts: ServerFacts): Finding[] {
  const steps = [judgeProxy, judgeName, judgeConnection, judgeTls, judgeHealth, judgeClock];
  const findings: Finding[] = [];
  for (const [index, judge] of steps.entries()) {
    const failed = findings.find(({ level }) => level === "fail");
    const check = SERVER_CHECKS[index]!;
    findings.push(failed ? skip(check, `"${failed.check}" failed`) : judge(facts));
  }
  const health = findings.find(({ check }) => check === "health");
  const isWell = health?.level === "ok" || health?.level === "warn";
  return [...findings, isWell ? judgeVersion(facts) : skip("server version", "it did not answer")];
}

function judgeProxy(
  { proxyUrl, addresses, connection, health, certificates }: ServerFacts,
): Finding {
  const check = "proxy";
  if (proxyUrl === null) return ok(check, "none is used for this server");
  const { host, port } = peerOf(proxyUrl);
  const name = `${host}:${port}`;
  const settings = "proxy.http, proxy.https and proxy.except_for, and the environment's " +
    `HTTP_PROXY, HTTPS_PROXY, NO_PROXY: \`${pennonCommand("config", "show")}\``;
  if (addresses instanceof HttpError || connection instanceof HttpError) {
    const { message } = addresses instanceof HttpError ? addresses : connection as HttpError;
    return fail(check, `${name}: ${factOf(message)}`, `correct ${settings}`);
  }
  const refused = refusalOfProxy(health, certificates);
  if (refused === null) return ok(check, `${name} answers`);
  const isUnknown = /\b407\b/.test(refused);
  return fail(
    check,
    `${name}: ${refused}`,
    isUnknown
      ? "give the proxy's user and password in its address, or let it pass this host"
      : `let the proxy pass this server, or go around it: ${settings}`,
  );
}

function refusalOfProxy(
  health: ServerFacts["health"],
  certificates: ServerFacts["certificates"],
): string | null {
  if (health?.kind === "failed" && health.reason === "proxy") return factOf(health.why);
  if (health?.kind === "refused" && health.status === 407) return health.why;
  const isRefusal = certificates instanceof HttpError && certificates.reason === "proxy";
  return isRefusal ? factOf(certificates.message) : null;
}

function judgeName({ serverUrl, proxyUrl, addresses }: ServerFacts): Finding {
  const check = "dns";
  const { host } = peerOf(serverUrl);
  if (proxyUrl !== null) return skip(check, "the proxy looks up the server's name");
  if (addresses instanceof HttpError) {
    const next = addresses.reason === "dns"
      ? `correct the name in server.url, or add it to the name service: \`getent hosts ${host}\``
      : "look at this host's name service and network: `cat /etc/resolv.conf`";
    return fail(check, `"${host}": ${factOf(addresses.message)}`, next);
  }
  if (/^[\d.]+$|:/.test(host)) return ok(check, `${host} is an address, no name to look up`);
  return ok(check, `${host} is ${joinNames(addresses, 4)}`);
}

const BY_REASON: Partial<Record<HttpError["reason"], string>> = {
  refused: "start the server, or correct the port in server.url: nothing listens there",
  timeout: "look for a firewall that drops packets, and whether that host is up",
  offline: "look at this host's network: `ip route`",
  unreachable: "start that host, or look for a firewall or a missing route between here and there",
};

function judgeConnection({ serverUrl, proxyUrl, connection }: ServerFacts): Finding {
  const check = "tcp";
  const { host, port } = peerOf(serverUrl);
  if (proxyUrl !== null) return skip(check, "the proxy connects to the server");
  if (connection === null) return skip(check, "there is no address");
  if (typeof connection === "string") return ok(check, `${connection} accepts on port ${port}`);
  const next = BY_REASON[connection.reason] ??
    "see that the server runs, and that nothing in between keeps this host from it";
  return fail(check, `${host}:${port}: ${factOf(connection.message)}`, next);
}

/** With less left, a certificate that is renewed by itself would have been renewed. */
const FEW_DAYS = 14;

const DAY_MS = 86_400_000;

function judgeTls(facts: ServerFacts): Finding {
  const check = "tls";
  const { serverUrl, certificates, health, answeredAtMs } = facts;
  const url = new URL(serverUrl);
  if (url.protocol === "http:") {
    if (isLoopback(url)) return skip(check, "the server is this host itself, by http://");
    return warn(
      check,
      "none: server.url is http://, so tokens travel in the clear",
      "let the server speak https, and register with that address",
    );
  }
  if (health?.kind === "failed" && health.reason === "tls") return judgeDistrust(facts, health.why);
  const hasAnswered = health?.kind !== "failed" || health.status !== null;
  if (!hasAnswered && health.reason !== "timeout") {
    return fail(check, factOf(health.why), NO_TLS_REMEDY);
  }
  if (!hasAnswered && certificates instanceof HttpError) {
    return fail(check, factOf(certificates.message), NO_TLS_REMEDY);
  }
  const chain = certificates instanceof HttpError ? [] : certificates ?? [];
  const first = chain.toSorted((a, b) => a.validToMs - b.validToMs)[0];
  if (first === undefined) {
    return ok(check, "the certificate is trusted; how many days it is still valid is not known");
  }
  const days = Math.floor((first.validToMs - answeredAtMs) / DAY_MS);
  const seen = `${hasAnswered ? "trusted: " : ""}${describeChain(chain)}; ${days} days left`;
  if (days >= FEW_DAYS) return ok(check, seen);
  return warn(
    check,
    seen,
    `renew the certificate "${first.subject}" before ${day(first.validToMs)}`,
  );
}

const NO_TLS_REMEDY = "look whether the server speaks TLS on this port; if it speaks plain http, " +
  "write http:// in server.url, else correct the port";

/** What rustls 0.23 says of a certificate (`CertificateError`, by its name or in words), and what to do. */
function judgeDistrust(
  { serverUrl, certificates, answeredAtMs }: ServerFacts,
  why: string,
): Finding {
  const check = "tls";
  const { host } = peerOf(serverUrl);
  const chain = Array.isArray(certificates) ? certificates as readonly PeerCertificate[] : [];
  const [leaf] = chain;
  const who = leaf === undefined ? "" : ` (${describeChain(chain)})`;
  if (/UnknownIssuer|CaUsedAsEndEntity|BadSignature/.test(why)) {
    return fail(
      check,
      `the certificate is signed by an authority that this host does not trust${who}`,
      "put that authority's certificate (PEM) into a file, and name it in tls.ca_file",
    );
  }
  if (/NotValidForName|not valid for name/.test(why)) {
    const names = leaf === undefined || leaf.names.length === 0 ? "others" : joinNames(leaf.names);
    return fail(
      check,
      `the certificate is not valid for "${host}", but for ${names}`,
      "write one of the certificate's names in server.url, or give the server a certificate for " +
        `"${host}"`,
    );
  }
  const ended = chain.find(({ validToMs }) => validToMs < answeredAtMs);
  if (/expired/i.test(why) || ended !== undefined) {
    const when = ended === undefined ? "" : ` on ${day(ended.validToMs)}`;
    return fail(
      check,
      `the certificate has expired${when}${who}`,
      "renew the server's certificate; if the date is still to come, set this host's clock",
    );
  }
  if (/NotValidYet|not valid yet/.test(why)) {
    return fail(
      check,
      `the certificate is not valid yet${who}`,
      "set this host's clock, or wait until the certificate is valid",
    );
  }
  return fail(check, factOf(why), NO_TLS_REMEDY);
}

function describeChain(chain: readonly PeerCertificate[]): string {
  const [leaf, ...others] = chain;
  if (leaf === undefined) return "";
  const above = others.map(({ subject }) => `"${subject}"`);
  const signers = above.length === 0 ? `"${leaf.issuer}"` : above.join(", ");
  return `"${leaf.subject}", signed by ${signers}`;
}

function day(instantMs: number): string {
  return new Date(instantMs).toISOString().slice(0, 10);
}

function judgeHealth({ serverUrl, health }: ServerFacts): Finding {
  const check = "health";
  const next = "look at the server's own log, and at the log of any proxy in between";
  switch (health?.kind) {
    case undefined:
    case "aborted":
      return skip(check, "the server was not asked");
    case "ok":
      return health.value.usable ? ok(check, `"${serverUrl}" is healthy`) : fail(
        check,
        `the server says: ${health.value.status}`,
        "finish the server's setup in a browser",
      );
    case "limited":
      return warn(check, health.why, "wait a minute, and run this again");
    case "refused":
      return fail(
        check,
        `no RedFlag server answers here: ${health.why}`,
        "correct the address and the path in server.url",
      );
    case "failed":
      if (health.status !== null && health.status < 300) {
        return fail(
          check,
          `something else than the server answers: ${health.why}`,
          "look for a captive portal or a proxy in between, and whether server.url is right: " +
            `\`curl -i ${redact(serverUrl)}/health\``,
        );
      }
      return fail(check, health.status === null ? factOf(health.why) : health.why, next);
    case "report_failed":
    case "unauthorized":
    case "operator_required":
      return fail(check, health.why, next);
  }
}

/** Beyond this, times in logs and at the dashboard disagree visibly. */
const CLOCKS_APART_MS = 60_000;

const SET_CLOCK = "set this host's clock by NTP: `timedatectl set-ntp true`; or the server's, if " +
  "that is the wrong one";

function judgeClock({ health, answeredAtMs }: ServerFacts): Finding {
  const check = "clock";
  const serverAtMs = health?.kind === "ok" ? health.serverAtMs : undefined;
  if (serverAtMs === undefined) return skip(check, "the server's answer has no Date");
  const aheadMs = answeredAtMs - serverAtMs;
  const apart = Math.abs(aheadMs);
  // The server's date is in whole seconds.
  if (apart <= CLOCKS_APART_MS) {
    return ok(check, `within ${Math.ceil(apart / 1_000)} s of the server`);
  }
  const seen = `${Math.round(apart / 60_000)} min ${aheadMs > 0 ? "ahead of" : "behind"} the ` +
    "server's";
  if (apart <= LONGEST_LEAD_MS) return warn(check, seen, SET_CLOCK);
  return fail(check, `${seen}; signed commands are refused`, SET_CLOCK);
}

function judgeVersion({ version }: ServerFacts): Finding {
  const check = "server version";
  if (version === undefined) return skip(check, "no good answer came");
  return ok(check, version === null ? "says none, as RedFlag 0.1 does" : `RedFlag ${version}`);
}

/** Without the beginning "Cannot reach "host":", which a finding says already. */
function factOf(message: string): string {
  return message.replace(/^Cannot reach "[^"]*": /, "");
}
