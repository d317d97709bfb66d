import { assertEquals } from "@std/assert";
import { ALL_SETTINGS, assemble } from "../../src/config/settings.ts";

/** What users rely on, as docs/configuration.md documents it: a change here is a change for every host. */
const SETTINGS: readonly [path: string, byDefault: string, allowed: string][] = [
  ["server.url", "", "the server's address, http:// or https://"],
  ["server.registration_token", "", "a registration token, without line breaks"],
  ["server.public_key", "", "64 hexadecimal digits"],
  ["tls.ca_file", "", "the path of a file"],
  ["tls.certificate_file", "", "the path of a file"],
  ["tls.key_file", "", "the path of a file"],
  ["proxy.http", "", "the address of an http:// proxy"],
  ["proxy.https", "", "the address of an http:// proxy"],
  ["proxy.except_for", "", "a list of host names"],
  ["http.connect_timeout", "10s", 'a duration from "100ms" to "5m"'],
  ["http.timeout", "30s", 'a duration from "100ms" to "10m"'],
  ["http.health_timeout", "5s", 'a duration from "100ms" to "1m"'],
  ["http.max_body", "4MiB", 'a size from "64KiB" to "16MiB"'],
  ["polling.interval", "5m", 'a duration from "10s" to "1d"'],
  ["polling.rapid_interval", "5s", 'a duration from "100ms" to "5m"'],
  ["polling.start_spread", "30s", 'a duration from "0s" to "1h"'],
  ["backoff.base", "5s", 'a duration from "100ms" to "1h"'],
  ["backoff.cap", "5m", 'a duration from "100ms" to "1d"'],
  ["backoff.floor", "500ms", 'a duration from "10ms" to "1h"'],
  ["breaker.consecutive_failures", "5", "a whole number from 1 to 100"],
  ["breaker.window_failures", "5", "a whole number from 1 to 100"],
  ["breaker.window_size", "10", "a whole number from 1 to 1000"],
  ["breaker.min_open", "1m", 'a duration from "1s" to "1h"'],
  ["breaker.max_open", "5m", 'a duration from "1s" to "1d"'],
  ["breaker.probe_timeout", "10s", 'a duration from "1s" to "5m"'],
  ["buffer.max_events", "50000", "a whole number from 100 to 1000000"],
  ["buffer.max_size", "64MiB", 'a size from "4MiB" to "16GiB"'],
  ["buffer.max_attempts", "10", "a whole number from 1 to 1000"],
  [
    "scanners.enabled",
    "apt, dnf, winupdate, winget",
    'a list of "apt", "dnf", "winupdate", "winget"',
  ],
  ["scanners.ignore", "", 'patterns like "apt:linux-*" or "KB2267602"'],
  ["scanners.changelogs", "true", "true or false"],
  ["scanners.timeout", "35m", 'a duration from "1s" to "12h"'],
  ["scanners.consecutive_failures", "3", "a whole number from 1 to 100"],
  ["scanners.min_open", "15m", 'a duration from "1s" to "1d"'],
  ["scanners.max_open", "6h", 'a duration from "1s" to "7d"'],
  ["commands.unsigned", "read_only", 'one of "read_only", "never"'],
  ["metrics.textfile", "", 'an absolute path that ends in ".prom"'],
  ["telemetry.otlp_endpoint", "", "the address of an OTLP/HTTP collector, http:// or https://"],
  ["telemetry.otlp_headers", "", 'a list of texts like "authorization=Bearer TOKEN"'],
  ["telemetry.ca_file", "", "the path of a file"],
  ["telemetry.interval", "1m", 'a duration from "10s" to "1h"'],
  ["hooks.on_outage", "false", "true or false"],
  ["hooks.on_outage_arguments", "", "a list of at most 20 texts"],
  ["hooks.outage_after", "75s", 'a duration from "0s" to "1d"'],
  ["hooks.on_security_update", "false", "true or false"],
  ["hooks.on_security_update_arguments", "", "a list of at most 20 texts"],
  ["hooks.timeout", "30s", 'a duration from "1s" to "10m"'],
  ["watchdog.limit", "2m", 'a duration from "5s" to "1h"'],
  ["log.level", "info", 'one of "debug", "info", "warning", "error"'],
  ["log.format", "text", 'one of "text", "json"'],
  [
    "log.file",
    "",
    'a name such as "pennon.log": letters, digits, "-" and "_", and ".log" at the end',
  ],
  ["log.event_log", "false", "true or false"],
  ["log.max_size", "10MiB", 'a size from "64KiB" to "1GiB"'],
  ["log.old_files", "4", "a whole number from 0 to 100"],
];

Deno.test("every setting has the documented default and range", () => {
  const found = ALL_SETTINGS.map(({ path, kind, fallback }) => [
    path,
    fallback === null ? "" : kind.show(fallback),
    kind.allowed,
  ]);
  assertEquals(found, SETTINGS.map((row) => [...row]));
});

Deno.test("every default is allowed by its setting, or not set", () => {
  for (const { path, kind, fallback } of ALL_SETTINGS) {
    if (fallback === null) continue;
    assertEquals(kind.read(kind.show(fallback)), fallback, path);
  }
});

Deno.test("a setting is read from PENNON_ and its path, and some from common variables", () => {
  const usual = (path: string) => [`PENNON_${path.toUpperCase().replaceAll(".", "_")}`];
  const unusual = ALL_SETTINGS.map(({ path, environment }) => ({ path, environment }))
    .filter(({ path, environment }) => environment.join() !== usual(path).join());
  assertEquals(unusual, [
    { path: "server.registration_token", environment: ["PENNON_TOKEN"] },
    { path: "proxy.http", environment: ["PENNON_PROXY_HTTP", "HTTP_PROXY", "http_proxy"] },
    { path: "proxy.https", environment: ["PENNON_PROXY_HTTPS", "HTTPS_PROXY", "https_proxy"] },
    { path: "proxy.except_for", environment: ["PENNON_PROXY_EXCEPT_FOR", "NO_PROXY", "no_proxy"] },
  ]);
});

Deno.test("the registration token and the collector's headers are never shown, and nothing else", () => {
  const secrets = ALL_SETTINGS.filter(({ isSecret }) => isSecret).map(({ path }) => path);
  assertEquals(secrets, ["server.registration_token", "telemetry.otlp_headers"]);
});

Deno.test("a proxy is reached at http:// alone, a server at either", () => {
  const read = (path: string, address: string) =>
    ALL_SETTINGS.find((setting) => setting.path === path)?.kind.read(address);
  for (const path of ["proxy.http", "proxy.https"]) {
    assertEquals(read(path, "http://proxy:3128"), "http://proxy:3128");
    assertEquals(read(path, "https://proxy:3128"), undefined);
  }
  assertEquals(read("server.url", "http://server.test"), "http://server.test");
  assertEquals(read("server.url", "https://server.test"), "https://server.test");
  assertEquals(read("server.url", "ftp://server.test"), undefined);
});

/** Of each setting with a range: just below it, its ends, just above it. */
const RANGES: Readonly<
  Record<string, readonly [below: string, least: string, most: string, above: string]>
> = {
  "http.connect_timeout": ["99ms", "100ms", "5m", "300001ms"],
  "http.timeout": ["99ms", "100ms", "10m", "600001ms"],
  "http.health_timeout": ["99ms", "100ms", "1m", "60001ms"],
  "http.max_body": ["65535B", "64KiB", "16MiB", "16777217B"],
  "polling.interval": ["9999ms", "10s", "1d", "86400001ms"],
  "polling.rapid_interval": ["99ms", "100ms", "5m", "300001ms"],
  "polling.start_spread": ["-1ms", "0s", "1h", "3600001ms"],
  "backoff.base": ["99ms", "100ms", "1h", "3600001ms"],
  "backoff.cap": ["99ms", "100ms", "1d", "86400001ms"],
  "backoff.floor": ["9ms", "10ms", "1h", "3600001ms"],
  "breaker.consecutive_failures": ["0", "1", "100", "101"],
  "breaker.window_failures": ["0", "1", "100", "101"],
  "breaker.window_size": ["0", "1", "1000", "1001"],
  "breaker.min_open": ["999ms", "1s", "1h", "3600001ms"],
  "breaker.max_open": ["999ms", "1s", "1d", "86400001ms"],
  "breaker.probe_timeout": ["999ms", "1s", "5m", "300001ms"],
  "buffer.max_events": ["99", "100", "1000000", "1000001"],
  "buffer.max_size": ["4194303B", "4MiB", "16GiB", "17179869185B"],
  "buffer.max_attempts": ["0", "1", "1000", "1001"],
  "scanners.timeout": ["999ms", "1s", "12h", "43200001ms"],
  "scanners.consecutive_failures": ["0", "1", "100", "101"],
  "scanners.min_open": ["999ms", "1s", "1d", "86400001ms"],
  "scanners.max_open": ["999ms", "1s", "7d", "604800001ms"],
  "telemetry.interval": ["9999ms", "10s", "1h", "3600001ms"],
  "hooks.outage_after": ["-1s", "0s", "1d", "86400001ms"],
  "hooks.timeout": ["999ms", "1s", "10m", "600001ms"],
  "watchdog.limit": ["4999ms", "5s", "1h", "3600001ms"],
  "log.max_size": ["65535B", "64KiB", "1GiB", "1073741825B"],
  "log.old_files": ["-1", "0", "100", "101"],
};

Deno.test("each setting takes both ends of its range, and nothing beyond", () => {
  for (const { path, kind, fallback } of ALL_SETTINGS) {
    if (typeof fallback !== "number") continue;
    const taken = RANGES[path]?.map((written) => kind.read(written) !== undefined);
    assertEquals(taken, [false, true, true, false], path);
  }
  const numbers = ALL_SETTINGS.filter(({ fallback }) => typeof fallback === "number");
  assertEquals(numbers.length, Object.keys(RANGES).length);
});

Deno.test("each setting takes its own default, as it is shown", () => {
  for (const { path, kind, fallback } of ALL_SETTINGS) {
    if (fallback === null) continue;
    assertEquals(kind.read(kind.show(fallback)), fallback, path);
  }
});

Deno.test("no setting accepts a text that is not safe to show", () => {
  const controls = [
    "\0",
    "\n",
    "\t",
    "\x7f",
    "\u009b",
    "\u2028",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\ud800",
  ];
  for (const { path, kind } of ALL_SETTINGS) {
    for (const control of controls) {
      for (const text of [`/a${control}b`, `http://a${control}b`, `http://a/${control}b`]) {
        assertEquals(kind.read(text), undefined, `${path}: ${JSON.stringify(text)}`);
        assertEquals(kind.read([text]), undefined, `${path}: ${JSON.stringify([text])}`);
      }
    }
  }
});

Deno.test("assemble() puts every setting in a place of its own", () => {
  const assembled = assemble(({ path }) => path);
  const places = Object.values(assembled).flatMap((part) => Object.values(part));
  assertEquals(new Set(places).size, places.length);
  assertEquals(assembled.http.timeoutMs as unknown, "http.timeout");
  assertEquals(assembled.scanners.minOpenMs as unknown, "scanners.min_open");
  assertEquals(assembled.breaker.minOpenMs as unknown, "breaker.min_open");
});

Deno.test("log.file takes a plain name that ends in .log, and no path", () => {
  const { kind } = ALL_SETTINGS.find(({ path }) => path === "log.file")!;
  for (const name of ["pennon.log", "a-b_1.log"]) assertEquals(kind.read(name), name);
  const refused = [
    "",
    ".log",
    "pennon",
    "../a.log",
    "a/b.log",
    "a\\b.log",
    "C:a.log",
    "a.log.1",
    "a.log:s",
  ];
  for (const name of refused) assertEquals(kind.read(name), undefined, name);
});

Deno.test("telemetry.otlp_headers takes headers of HTTP, and nothing that would end one", () => {
  const kind = ALL_SETTINGS.find(({ path }) => path === "telemetry.otlp_headers")?.kind;
  const fine = ["authorization=Bearer abc=", "x-scope-orgid=1"];
  assertEquals(kind?.read(fine), fine);
  assertEquals(kind?.read("a=1,b=2"), ["a=1", "b=2"]);
  for (const wrong of ["authorization", "=x", "a b=c", "a=", "a:b=c", "a=\u00e9"]) {
    assertEquals(kind?.read([wrong]), undefined, wrong);
  }
});
