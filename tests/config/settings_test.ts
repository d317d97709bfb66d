import { assertEquals } from "@std/assert";
import { ALL_SETTINGS } from "../../src/config/settings.ts";

/** What users rely on, as the README documents it: a change here is a change for every host. */
const SETTINGS: readonly [path: string, byDefault: string, allowed: string][] = [
  ["server.url", "", "the server's address, http:// or https://"],
  ["server.registration_token", "", "a registration token, without line breaks"],
  ["tls.ca_file", "", "the path of a file"],
  ["tls.certificate_file", "", "the path of a file"],
  ["tls.key_file", "", "the path of a file"],
  ["proxy.http", "", "the address of an http:// proxy"],
  ["proxy.https", "", "the address of an http:// proxy"],
  ["proxy.except_for", "", "a list of host names"],
  ["http.connect_timeout", "10s", 'a duration from "100ms" to "5m"'],
  ["http.timeout", "30s", 'a duration from "100ms" to "10m"'],
  ["http.health_timeout", "5s", 'a duration from "100ms" to "1m"'],
  ["http.max_body", "4MiB", 'a size from "64KiB" to "256MiB"'],
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
  ["scanners.timeout", "35m", 'a duration from "1s" to "12h"'],
  ["scanners.consecutive_failures", "3", "a whole number from 1 to 100"],
  ["scanners.min_open", "15m", 'a duration from "1s" to "1d"'],
  ["scanners.max_open", "6h", 'a duration from "1s" to "7d"'],
  ["watchdog.limit", "2m", 'a duration from "5s" to "1h"'],
  ["log.level", "info", 'one of "debug", "info", "warning", "error"'],
  ["log.format", "text", 'one of "text", "json"'],
];

Deno.test("every setting has the default and the range that users were told", () => {
  const found = ALL_SETTINGS.map(({ path, kind, fallback }) => [
    path,
    fallback === null ? "" : kind.show(fallback),
    kind.allowed,
  ]);
  assertEquals(found, SETTINGS.map((row) => [...row]));
});

Deno.test("every default is a value that the setting allows, or none", () => {
  for (const { path, kind, fallback } of ALL_SETTINGS) {
    if (fallback === null) continue;
    assertEquals(kind.read(kind.show(fallback)), fallback, path);
  }
});

Deno.test("a setting is read from PENNON_ and its path, and a few from others' variables", () => {
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

Deno.test("the registration token is the one setting that is never shown", () => {
  const secrets = ALL_SETTINGS.filter(({ isSecret }) => isSecret).map(({ path }) => path);
  assertEquals(secrets, ["server.registration_token"]);
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
