/** Advice of `doctor`, taken as it is printed: the check that gave it is well afterwards. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { Authority } from "../real/certificates.ts";
import { lacks } from "../real/lacks.ts";
import { advised, isWell, ONCE, setConfig, take } from "./advice.ts";
import { type Host, onHost, TOKEN } from "./harness.ts";
import { NetworkNamespace } from "./netns.ts";

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly seen: string;
  readonly next: string | null;
}

async function find(host: Host, name: string): Promise<Finding> {
  const { out, err } = await host.pennon(["doctor", "--json"]);
  const checks: Finding[] = JSON.parse(out).checks;
  const found = checks.find(({ check }) => check === name);
  assert(found !== undefined, `no "${name}": ${out}${err}`);
  return found;
}

/** The check advises this, and is well after `mend`, which gets the advice. */
async function isMended(
  host: Host,
  [name, advice]: readonly [check: string, advice: string],
  mend: (next: string) => Promise<unknown>,
): Promise<void> {
  const { next, seen } = await find(host, name);
  assertStringIncludes(next ?? "", advice, seen);
  await mend(next ?? "");
  const after = await find(host, name);
  assertEquals(after.level, "ok", `${name}: ${after.seen}`);
}

/** Takes the command of an advice, which has to succeed. */
async function follow(host: Host, next: string, name: string): Promise<void> {
  const fills = { URL: host.server.url, TOKEN };
  const { code, err } = await take(advised(host, next, name, fills));
  assertEquals(code, 0, err);
}

const server = (url: string) => `[server]\nurl = "${url}"\n`;

Deno.test("doctor's advice on a server's address and state: it is corrected, set up, or asked later", () =>
  onHost(async (host) => {
    const { url } = host.server;
    await setConfig(host, server(`${url}/other`));
    const right = () => setConfig(host, server(url));
    await isMended(host, ["health", "correct the address and the path in server.url"], right);
    await host.server.setFault({ mode: "waiting_for_configuration" });
    const healthy = () => host.server.setFault({ mode: "none" });
    await isMended(host, ["health", "finish the server's setup in a browser"], healthy);
    await host.server.setFault({ mode: "html", status: 200 });
    await isMended(host, ["health", "look for a captive portal or a proxy in between"], healthy);
  }));

Deno.test("doctor's advice on a registration: the command that registers, and the address that was", () =>
  onHost(async (host) => {
    await setConfig(host, server(host.server.url));
    const advice = "with a registration token of the dashboard";
    await isMended(host, ["registration", advice], (next) => follow(host, next, "register"));
    await isWell(host);
    await setConfig(host, server("http://127.0.0.1:1"));
    await isMended(
      host,
      ["registration", "set server.url back, or run"],
      () => setConfig(host, server(host.server.url)),
    );
    await setConfig(host, server("http://127.0.0.1:1"));
    const { next } = await find(host, "registration");
    await follow(host, next ?? "", "unregister");
    await setConfig(host, server(host.server.url));
    const again = await host.pennon(["register", "--token", TOKEN]);
    assertEquals([again.code, (await find(host, "registration")).level], [0, "ok"]);
  }, { age: "0.1" }));

Deno.test("doctor's advice on tokens: the agent runs and renews them; an answer that says nothing comes again", () =>
  onHost(async (host) => {
    await host.register();
    await isWell(host);
    await host.server.setFault({
      mode: "status",
      status: 429,
      path: "/config$|/commands$|/agents/",
    });
    await isMended(
      host,
      ["access", "wait a minute, and run this again"],
      () => host.server.setFault({ mode: "none" }),
    );
    host.server.revokeTokens("access");
    await isMended(
      host,
      ["access", "wait for the agent's next check-in, which renews the token"],
      () => isWell(host),
    );
  }, { age: "0.2" }));

/** An access token whose life, by what it says itself, was over an hour ago. */
function endedToken(): string {
  const nowS = Math.floor(Date.now() / 1_000);
  const payload = btoa(JSON.stringify({ iat: nowS - 90_000, exp: nowS - 3_600 }));
  return `${btoa('{"alg":"HS256"}')}.${payload}.c2lnbmF0dXJl`.replaceAll("=", "");
}

Deno.test("doctor's advice on an access token that has ended: a cycle renews it", () =>
  onHost(async (host) => {
    await host.register();
    const path = `${host.stateDirectory}/identity.json`;
    const identity = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...identity, access_token: endedToken() }));
    const { next, seen } = await find(host, "tokens");
    assertStringIncludes(seen, "the access token has ended");
    await follow(host, next ?? "", "run");
    assertEquals((await host.pennon(["status", "--check"])).code, 0);
  }));

Deno.test("doctor's advice on a damaged buffer: a cycle repairs it", () =>
  onHost(async (host) => {
    await host.register();
    await isWell(host);
    const path = `${host.stateDirectory}/buffer.sqlite`;
    await Deno.writeTextFile(path, "no database at all, but long enough to be one".repeat(200));
    for (const end of ["-wal", "-shm"]) await Deno.remove(`${path}${end}`).catch(() => {});
    const { out } = await host.pennon(["doctor", "--json"]);
    const checks: Finding[] = JSON.parse(out).checks;
    const damaged = checks.find(({ next }) => next?.includes("which repairs a damaged buffer"));
    assert(damaged !== undefined, out);
    await isMended(
      host,
      [damaged.check, "start the agent, which repairs a damaged buffer"],
      (next) => follow(host, next, "run"),
    );
  }));

/** A proxy that answers for a server, to whoever knows the password; or that passes nobody. */
function proxy(answers: () => number, password: string | null) {
  const expected = `Basic ${btoa(`user:${password}`)}`;
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const isKnown = password === null || request.headers.get("proxy-authorization") === expected;
    const body = JSON.stringify({ status: "healthy" });
    return new Response(body, { status: isKnown ? answers() : 407 });
  });
}

Deno.test("doctor's advice on a proxy that wants a password: it is given in the proxy's address", () =>
  onHost(async (host) => {
    const running = proxy(() => 200, "secret");
    try {
      const { port } = running.addr;
      const through = (user: string) =>
        setConfig(
          host,
          `${server("http://updates.test")}[proxy]\nhttp = "http://${user}127.0.0.1:${port}"\n`,
        );
      await through("");
      await isMended(
        host,
        ["proxy", "give the proxy's user and password in its address"],
        () => through("user:secret@"),
      );
    } finally {
      await running.shutdown();
    }
  }));

const noNetworks = Deno.build.os !== "linux" || Deno.uid() !== 0 || await lacks("ip", "openssl");

Deno.test({
  name: "doctor's advice on tokens in the clear, and on an authority that is not trusted",
  ignore: noNetworks,
  fn: async () => {
    await using space = await NetworkNamespace.make();
    if (space === null) return;
    const { hostAddress: hostname } = space;
    await using authority = await Authority.make();
    const tls = await authority.sign(`IP:${hostname}`);
    const secure = await startRefserver({ hostname, tls, registrationTokens: [TOKEN] });
    const old = await startRefserver({
      hostname,
      tls: await authority.sign(`IP:${hostname}`, undefined, { days: -1 }),
    });
    const long = await authority.sign("DNS:localhost", undefined, { days: 100 });
    const named = await startRefserver({ tls: long });
    try {
      await onHost(async (host) => {
        await setConfig(host, server(host.server.url));
        const trusting = `[tls]\nca_file = "${authority.file}"\n`;
        const mend = () => setConfig(host, server(secure.url) + trusting);
        const { next, level, seen } = await find(host, "tls");
        assertEquals(level, "warn", seen);
        assertEquals(next, "let the server speak https, and register with that address");
        await mend();
        const registered = await host.pennon(["register", "--token", TOKEN]);
        assertEquals(registered.code, 0, registered.err);
        // The tokens are not in the clear any more; but the certificate has two days left.
        const few = await find(host, "tls");
        assertStringIncludes(few.seen, "trusted: ");
        assert(/^renew the certificate "[^"]+" before \d{4}-/.test(few.next ?? ""), few.next ?? "");
        // One of 100 days, which is not valid for the address.
        await setConfig(host, server(named.url) + trusting);
        await isMended(
          host,
          ["tls", "write one of the certificate's names in server.url"],
          () => setConfig(host, server(named.url.replace("127.0.0.1", "localhost")) + trusting),
        );
        await setConfig(host, server(secure.url));
        const distrust = await find(host, "tls");
        assertStringIncludes(distrust.next ?? "", "name it in tls.ca_file");
        await mend();
        assertStringIncludes((await find(host, "tls")).seen, "trusted: ");
        await setConfig(host, server(old.url) + trusting);
        const ended = await find(host, "tls");
        assertStringIncludes(ended.next ?? "", "renew the server's certificate; if the date");
        await mend(); // A server with a certificate that is valid.
        assertStringIncludes((await find(host, "tls")).seen, "trusted: ");
        assertEquals((await host.pennon(ONCE)).code, 0);
      }, { hostname });
    } finally {
      await secure.close();
      await named.close();
      await old.close();
    }
  },
});
