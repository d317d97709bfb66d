import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  judgeServer,
  lookAtServer,
  SERVER_CHECKS,
  type ServerFacts,
  skipServer,
} from "../../src/doctor/server_checks.ts";
import { loadConfig } from "../../src/config.ts";
import { createClient } from "../../src/agent/create_client.ts";
import { HttpError, type HttpErrorReason } from "../../src/system/http.ts";
import type { PeerCertificate } from "../../src/system/network.ts";
import { FakeSystem } from "../fakes/system.ts";
import { response } from "../fakes/response.ts";

const NOW_MS = Date.UTC(2026, 10, 24);
const DAY_MS = 86_400_000;

function certificate(days: number, subject = "server.test", issuer = "Root"): PeerCertificate {
  const validToMs = NOW_MS + days * DAY_MS;
  return { subject, issuer, names: [subject], validFromMs: 0, validToMs };
}

const HEALTHY: ServerFacts["health"] = {
  kind: "ok",
  value: { status: "healthy", usable: true },
  rateLimit: null,
  serverAtMs: NOW_MS,
};

function facts(change: Partial<ServerFacts> = {}): ServerFacts {
  return {
    serverUrl: "https://server.test",
    proxyUrl: null,
    addresses: ["192.0.2.1"],
    connection: "192.0.2.1",
    certificates: [certificate(60)],
    health: HEALTHY,
    version: "0.2.9.3",
    answeredAtMs: NOW_MS,
    ...change,
  };
}

function failure(reason: HttpErrorReason, fact: string): HttpError {
  return new HttpError(`Cannot reach "server.test": ${fact}`, { reason });
}

function noAnswer(reason: HttpErrorReason, why: string): ServerFacts["health"] {
  return { kind: "failed", why, status: null, reason, offline: false, retryAfterMs: null };
}

function levels(change: Partial<ServerFacts>): Record<string, string> {
  return Object.fromEntries(
    judgeServer(facts(change)).map(({ check, level }) => [check, level]),
  );
}

function finding(check: string, change: Partial<ServerFacts>) {
  const found = judgeServer(facts(change)).find((one) => one.check === check);
  assert(found);
  return found;
}

const ALL_OK = Object.fromEntries(SERVER_CHECKS.map((check) => [check, "ok"]));

Deno.test("judgeServer() is content with a server that answers", () => {
  assertEquals(levels({}), ALL_OK);
  assertEquals(Object.keys(levels({})), [...SERVER_CHECKS]);
});

/** What fails, by the facts; every later step is skipped. */
const FAILURES: readonly [check: string, change: Partial<ServerFacts>, words: string][] = [
  ["dns", { addresses: failure("dns", "no such name"), connection: null, health: null }, "getent"],
  [
    "dns",
    { addresses: failure("offline", "no name service"), connection: null, health: null },
    "resolv.conf",
  ],
  ["tcp", { connection: failure("refused", "connection refused"), health: null }, "start the"],
  ["tcp", { connection: failure("timeout", "no answer in time"), health: null }, "firewall"],
  ["tcp", { connection: failure("offline", "no route to it"), health: null }, "ip route`"],
  [
    "tcp",
    { connection: failure("unreachable", "no route to its host"), health: null },
    "missing route",
  ],
  ["tls", { health: noAnswer("tls", "invalid peer certificate: UnknownIssuer") }, "tls.ca_file"],
  ["tls", { health: noAnswer("tls", "invalid peer certificate: NotValidForName") }, "names in"],
  ["tls", { health: noAnswer("tls", "invalid peer certificate: Expired") }, "renew"],
  ["tls", { health: noAnswer("tls", "invalid peer certificate: NotValidYet") }, "clock"],
  ["tls", { health: noAnswer("tls", "received corrupt message") }, "write http://"],
  ["tls", { health: noAnswer("cut_off", "connection cut off") }, "speaks TLS"],
  ["health", { health: { ...HEALTHY, value: { status: "starting", usable: false } } }, "setup"],
  ["health", { health: { kind: "refused", status: 404, why: "HTTP 404" } }, "server.url"],
  ["health", { health: { kind: "unauthorized", why: "HTTP 401" } }, "log"],
  ["clock", { answeredAtMs: NOW_MS + 300_001 }, "NTP"],
  ["clock", { answeredAtMs: NOW_MS - 300_001 }, "NTP"],
];

Deno.test("judgeServer() fails the step that is broken, and skips those that depend on it", () => {
  for (const [check, change, words] of FAILURES) {
    const findings = judgeServer(facts(change));
    const failed = findings.filter(({ level }) => level === "fail");
    assertEquals(failed.map((one) => one.check), [check], words);
    assertStringIncludes(failed[0]?.next ?? "", words);
    const after = findings.slice(findings.findIndex((one) => one.check === check) + 1);
    const others = check === "clock" ? [] : after;
    assertEquals(others.filter(({ level }) => level !== "skip"), [], words);
  }
});

Deno.test("judgeServer() warns on either side of its limits", () => {
  const tls = (days: number) => levels({ certificates: [certificate(days)] })["tls"];
  assertEquals([tls(14), tls(13.9)], ["ok", "warn"]);
  // The shortest of a chain counts.
  const chain = [certificate(60), certificate(3, "Middle")];
  assertStringIncludes(finding("tls", { certificates: chain }).seen, "3 days left");
  const clock = (ms: number) => levels({ answeredAtMs: NOW_MS + ms })["clock"];
  assertEquals([clock(60_000), clock(60_001), clock(300_000), clock(300_001)], [
    ...["ok", "warn", "warn", "fail"],
  ]);
});

Deno.test("judgeServer() says what it does not know", () => {
  const unseen = finding("tls", { certificates: failure("timeout", "no answer in time") });
  assertEquals([unseen.level, unseen.seen.includes("not known")], ["ok", true]);
  assertEquals(finding("tls", { certificates: null }), unseen);
  const { serverAtMs: _, ...undated } = HEALTHY as Extract<typeof HEALTHY, { kind: "ok" }>;
  assertEquals(finding("clock", { health: undated }).level, "skip");
  assertEquals(finding("server version", { version: null }).seen, "says none, as RedFlag 0.1 does");
});

Deno.test("judgeServer() tells plain http to this host from plain http over a network", () => {
  const plain = { certificates: null };
  assertEquals(finding("tls", { ...plain, serverUrl: "http://127.0.0.1:1" }).level, "skip");
  const open = finding("tls", { ...plain, serverUrl: "http://server.test" });
  assertEquals([open.level, open.seen.includes("in the clear")], ["warn", true]);
});

Deno.test("judgeServer() blames a proxy for what is the proxy's, and leaves the rest to it", () => {
  const proxyUrl = "http://user:secret-password@proxy.test:3128";
  const well = levels({ proxyUrl });
  assertEquals([well["proxy"], well["dns"], well["tcp"], well["tls"]], [
    ...["ok", "skip", "skip", "ok"],
  ]);
  const broken: Partial<ServerFacts>[] = [
    { addresses: failure("dns", "no such name"), connection: null, health: null },
    { connection: failure("refused", "connection refused"), health: null },
    { health: noAnswer("proxy", "the proxy answers HTTP 403") },
    { health: { kind: "refused", status: 407, why: "HTTP 407" } },
  ];
  for (const change of broken) {
    const findings = judgeServer(facts({ proxyUrl, ...change }));
    const failed = findings.filter(({ level }) => level === "fail");
    assertEquals(failed.map(({ check }) => check), ["proxy"]);
    assert(!JSON.stringify(findings).includes("secret-password"));
  }
});

Deno.test("skipServer() skips every step for one reason", () => {
  const findings = skipServer("there is none");
  assertEquals(findings.map(({ check }) => check), [...SERVER_CHECKS]);
  assert(findings.every(({ seen }) => seen === "because there is none"));
});

Deno.test("lookAtServer() goes no further than the way does, and sends no token", async () => {
  const system = new FakeSystem();
  const asked: string[] = [];
  system.sendHttp = ({ url, headers }) => {
    asked.push(url);
    assertEquals(headers["authorization"], undefined);
    return Promise.resolve(response(200, '{"status":"healthy"}'));
  };
  const { config } = await loadConfig(system);
  const serverUrl = "https://server.test:8443";
  const client = await createClient(system, config, serverUrl, { machineId: "m".repeat(16) });
  const look = () => lookAtServer(system, config, { client, serverUrl });
  assertEquals((await look()).health?.kind, "ok");
  assertEquals(asked, ["https://server.test:8443/health"]);
  system.network.connection = failure("refused", "connection refused");
  assertEquals(system.network.shown, [null]);
  const unreached = await look();
  assertEquals([unreached.health, unreached.certificates], [null, null]);
  system.network.addresses = failure("dns", "no such name");
  assertEquals((await look()).connection, null);
  const proxied = { ...config, proxy: { ...config.proxy, https: "http://proxy.test:1" } };
  system.network.connection = "192.0.2.1";
  system.network.addresses = ["192.0.2.1"];
  await lookAtServer(system, proxied, { client, serverUrl });
  assertEquals(system.network.shown, [null, "http://proxy.test:1"]);
  assertEquals(asked.length, 2);
});
