/**
 * Advice on the server and the way to it, taken against a server that plays each: one that fails, has lost its
 * database or an agent, is behind a proxy or a firewall, or has a certificate that nobody verified.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { FaultInput } from "../../tools/refserver/faults.ts";
import { Authority } from "../real/certificates.ts";
import { lacks } from "../real/lacks.ts";
import {
  advised,
  follow,
  isMended,
  isWell,
  nextStep,
  ONCE,
  setConfig,
  take,
  WITHOUT_NETWORK,
  wrapped,
} from "./advice.ts";
import { EXECUTABLE, type Host, onHost, restartRefserver, TOKEN } from "./harness.ts";
import { NetworkNamespace } from "./netns.ts";

/** The next step of a reason of the health; fails if there is none with this code. */
async function nextOf(host: Host, code: string): Promise<string> {
  const { out } = await host.pennon(["status", "--json"]);
  const found: { code: string; next_step: string }[] = JSON.parse(out).health.reasons;
  const reason = found.find((one) => one.code === code);
  assert(reason !== undefined, `no "${code}" in ${JSON.stringify(found)}`);
  return reason.next_step;
}

/** After a cycle that succeeds no reason is left that says anything of the server. */
async function isWellAgain(host: Host): Promise<void> {
  await isWell(host);
  const { out } = await host.pennon(["status", "--json"]);
  const { server, health } = JSON.parse(out);
  assertEquals([server.state, health.level], ["unknown", "ok"], out); // No agent runs.
}

const cannotMakeNetworks = { ignore: await lacks("ip") || await cannotMakeNetwork() };

async function cannotMakeNetwork(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return true;
  await using space = await NetworkNamespace.make();
  return space === null;
}

const HEALTHY: FaultInput = { mode: "none" };

Deno.test("advice on a server's health: its own log has the cause, and doctor sees the end of it", () =>
  onHost(async (host) => {
    await host.register();
    const rows: [status: 500 | 502 | 429, next: string][] = [
      [500, "look at the server's own log, and at the log of any proxy in between"],
      [502, "look at the server's own log, and at the log of any proxy in between"],
      [429, "wait a minute, and run this again"],
    ];
    const checkOf = async () => {
      const { out } = await host.pennon(["doctor", "--json"]);
      return JSON.parse(out).checks.find(({ check }: { check: string }) => check === "health");
    };
    for (const [status, next] of rows) {
      await host.server.setFault({ mode: "status", status });
      const found = await checkOf();
      assertEquals(found.next, next, JSON.stringify(found));
      await host.server.setFault(HEALTHY);
      assertEquals((await checkOf()).level, "ok");
    }
  }));

Deno.test("advice in an outage: the server, its answers and the network of this host are mended", () =>
  onHost(async (host) => {
    await host.register();
    await host.server.setFault({ mode: "status", status: 500 });
    await host.pennon(ONCE);
    assertEquals(
      await nextOf(host, "outage"),
      "see the server's own log; events wait in the buffer meanwhile",
    );
    await host.server.setFault(HEALTHY);
    await isWellAgain(host);
    await host.server.setFault({ mode: "html", status: 200 });
    await host.pennon(ONCE);
    assertStringIncludes(
      await nextOf(host, "outage"),
      "see to the server's setup, and to what is in front",
    );
    await host.server.setFault(HEALTHY);
    await isWellAgain(host);
    await host.server.setFault({ mode: "refuse" });
    await host.pennon(ONCE);
    assertStringIncludes(
      await nextOf(host, "outage"),
      "see whether the server runs and can be reached from here",
    );
    await host.server.setFault(HEALTHY);
    await isWellAgain(host);
    await wrapped(host, WITHOUT_NETWORK, ONCE);
    assertStringIncludes(await nextOf(host, "outage"), "see the network of this host");
    await isWellAgain(host);
  }));

Deno.test("advice on a server that asks to come later for hours: its own log, until it does no more", () =>
  onHost(async (host) => {
    await host.register();
    assertEquals((await host.pennon(ONCE)).code, 0);
    await host.server.setFault({ mode: "status", status: 429 });
    await host.pennon(ONCE);
    const path = `${host.stateDirectory}/state.json`;
    const state = JSON.parse(await Deno.readTextFile(path));
    const before = new Date(Date.now() - 3 * 3_600_000).toISOString();
    await Deno.writeTextFile(path, JSON.stringify({ ...state, last_check_in_at: before }));
    assertStringIncludes(await nextOf(host, "put_off"), "for too many requests");
    await host.server.setFault(HEALTHY);
    await isWellAgain(host);
  }));

/** What was said for the first time a moment ago was said 20 minutes ago, and twice. */
async function ageDoubt(host: Host): Promise<void> {
  const path = `${host.stateDirectory}/state.json`;
  const state = JSON.parse(await Deno.readTextFile(path));
  const before = new Date(Date.now() - 20 * 60_000).toISOString();
  const { connection } = state;
  const doubt = { ...connection.doubt, since_at: before, not_before_at: before, refusals: 2 };
  const aged = { ...state, connection: { ...connection, doubt }, next_check_in_at: before };
  await Deno.writeTextFile(path, JSON.stringify(aged));
}

Deno.test({
  name: "advice on the network of this host: doctor says what to look at, and sees the end of it",
  ignore: cannotMakeNetworks.ignore || await lacks("unshare", "mount"),
  fn: () =>
    onHost(async (host) => {
      const url = host.server.url.replace("127.0.0.1", "localhost");
      await setConfig(host, `[server]\nurl = "${url}"\n`);
      const words = ["doctor"];
      const unreached = await wrapped(host, WITHOUT_NETWORK, words);
      assertStringIncludes(unreached.said, "look at this host's network: `ip route`");
      // A name that no name service knows; then the file that knows it is there.
      await setConfig(
        host,
        `[server]\nurl = "${host.server.url.replace("127.0.0.1", "pennon.test")}"\n`,
      );
      const unnamed = await wrapped(host, WITHOUT_NETWORK, words);
      // The resolver of the executable's Deno calls it an unknown name; that of Deno 2.9.6, none to ask.
      const advice = EXECUTABLE === undefined
        ? "look at this host's name service and network: `cat /etc/resolv.conf`"
        : "or add it to the name service: `getent hosts pennon.test`";
      assertStringIncludes(unnamed.said, advice);
      const hosts = `${host.folder}/hosts`;
      await Deno.writeTextFile(hosts, "127.0.0.1 pennon.test\n");
      const know = 'mount --bind "$0" /etc/hosts && exec "$@"';
      const { said } = await wrapped(host, ["unshare", "--mount", "sh", "-c", know, hosts], words);
      assertStringIncludes(said, "OK    tcp               127.0.0.1 accepts on port");
    }),
});

Deno.test("advice on tokens that are refused: the database is up again, or another registration", () =>
  onHost(async (host) => {
    await host.register();
    host.server.revokeTokens("access");
    await host.server.setFault({ mode: "database_down" });
    await host.pennon(ONCE);
    assertEquals(
      await nextOf(host, "tokens_refused"),
      "see the server's log and database; if it goes on, operator action will be required",
    );
    await ageDoubt(host); // It goes on.
    const step = nextStep(await host.pennon(ONCE));
    assertStringIncludes(step, "look at the server's log and database first: it answers so to any");
    assertEquals(await nextOf(host, "operator_action_token"), step);
    await host.server.setFault(HEALTHY);
    await follow(host, { text: step, name: "register", input: TOKEN });
    await isWellAgain(host);
    // As the database is up again, the tokens are as good as before.
    host.server.revokeTokens("access");
    await host.server.setFault({ mode: "database_down" });
    await host.pennon(ONCE);
    await ageDoubt(host);
    nextStep(await host.pennon(ONCE));
    await host.server.setFault(HEALTHY);
    await makeDue(host);
    await isWellAgain(host);
  }));

/** The time of the next attempt has come, which is the next one of a check-in. */
async function makeDue(host: Host): Promise<void> {
  const path = `${host.stateDirectory}/state.json`;
  const state = JSON.parse(await Deno.readTextFile(path));
  const { connection } = state;
  const before = new Date(Date.now() - 1_000).toISOString();
  const action = { ...connection.operator_action_required, not_before_at: before };
  const due = { ...connection, operator_action_required: action };
  await Deno.writeTextFile(path, JSON.stringify({ ...state, connection: due }));
}

for (const isRestored of [true, false]) {
  const end = isRestored ? "its row is restored" : "the host registers again";
  Deno.test(`advice on an agent that the server has lost: ${end}`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "pennon-advice-" });
    const data = `${folder}/server.sqlite`;
    try {
      await onHost(async (host) => {
        await host.register();
        const database = openRealDatabase(data);
        database.execute(`VACUUM INTO '${folder}/backup.sqlite'`);
        database.close();
        host.server.deleteAgent();
        await host.pennon(ONCE); // A doubt, which the next cycle confirms.
        const step = nextStep(await host.pennon(ONCE));
        assertStringIncludes(step, "restore the agent's row. Then: the agent goes on by itself");
        assertStringIncludes(
          step,
          "Or: stop the agent (none runs now), then run `pennon register ",
        );
        if (!isRestored) {
          await follow(host, { text: step, name: "register", input: TOKEN });
          return await isWellAgain(host);
        }
        const { port } = host.server;
        await host.server.close();
        const options = { registrationTokens: [TOKEN], port, data: `${folder}/backup.sqlite` };
        const restored = await restartRefserver(options);
        try {
          await follow(host, { text: step, name: "breaker" });
          await isWellAgain(host);
          assertEquals(restored.state().agents.length, 1);
        } finally {
          await restored.close();
        }
      }, { age: "0.1", data });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** What RedFlag's own agent has in its configuration of a host that is registered here. */
async function redflagConfigOf(host: Host, more: Readonly<Record<string, unknown>> = {}) {
  const path = `${host.stateDirectory}/identity.json`;
  const { server_url, agent_id, access_token: token, refresh_token } = JSON.parse(
    await Deno.readTextFile(path),
  );
  await Deno.remove(path);
  const file = `${host.folder}/redflag.json`;
  const config = { server_url, agent_id, token, refresh_token, ...more };
  await Deno.writeTextFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

Deno.test("advice on an identity of RedFlag's agent that is refused: the database is up again, or another registration", () =>
  onHost(async (host) => {
    await host.register();
    const file = await redflagConfigOf(host);
    const adopting = ["register", "--adopt", file];
    await host.server.setFault({ mode: "database_down" });
    const advice = "Next: look at the server's log and database\n";
    await isMended(host, adopting, advice, () => host.server.setFault(HEALTHY));
    await isWell(host);
    await Deno.remove(`${host.stateDirectory}/identity.json`);
    host.server.deleteAgent();
    const again = ["register", "--server", host.server.url, "--token", TOKEN];
    const instead =
      "Or: if both are well, the agent was deleted there or its tokens have expired: " +
      "register this host with a registration token\n";
    await isMended(host, adopting, instead, () => Promise.resolve(again));
    await isWell(host);
  }, { age: "0.1" }));

Deno.test({
  name:
    "advice on RedFlag's agent that did not verify its server: with the authority it is taken over",
  ignore: await lacks("openssl"),
  fn: () =>
    onHost(async (host) => {
      await using authority = await Authority.make();
      const tls = await authority.sign("IP:127.0.0.1");
      const server = await startRefserver({ tls, registrationTokens: [TOKEN] });
      try {
        await setConfig(host, `[tls]\nca_file = "${authority.file}"\n`);
        const registering = ["register", "--server", server.url, "--token", TOKEN];
        assertEquals((await host.pennon(registering)).code, 0);
        await setConfig(host, "");
        const file = await redflagConfigOf(host, { tls: { insecure_skip_verify: true } });
        const adopting = ["register", "--adopt", file];
        const advice =
          "Next: set tls.ca_file, take insecure_skip_verify out of that file, try again\n";
        await isMended(host, adopting, advice, async () => {
          await setConfig(host, `[tls]\nca_file = "${authority.file}"\n`);
          const { tls: _, ...config } = JSON.parse(await Deno.readTextFile(file));
          await Deno.writeTextFile(file, JSON.stringify(config));
        });
        await isWell(host);
      } finally {
        await server.close();
      }
    }),
});

/** Plays a story at a server that is on another host, as its address says: not on the loopback interface. */
async function atAnotherHost(
  story: (host: Host, space: NetworkNamespace) => Promise<void>,
  options: { tls?: { certificate: string; key: string }; config?: string } = {},
  space: NetworkNamespace | null = null,
): Promise<void> {
  await using made = space ?? await NetworkNamespace.make();
  if (made === null) return;
  await onHost((host) => story(host, made), { hostname: made.hostAddress, ...options });
}

/** A forward proxy that leads to one server, whose address is in the first line of each request. */
function proxyTo(serverUrl: string) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { method, headers, body, url } = request;
    assertStringIncludes(url, serverUrl);
    const [, path] = url.split(serverUrl);
    return fetch(`${serverUrl}${path}`, { method, headers, body });
  });
}

Deno.test({
  ...cannotMakeNetworks,
  name: "advice on a proxy that does not work: one that does, or none for this server",
  fn: () =>
    atAnotherHost(async (host, { hostAddress }) => {
      const words = ["register", "--replace", "--server", host.server.url, "--token", "-"];
      const advice =
        "Next: see to proxy.http and proxy.https, or except the server by proxy.except_for\n";
      const wrong = '[proxy]\nhttp = "http://127.0.0.1:1"\n';
      await setConfig(host, wrong);
      await isMended(host, words, advice, () =>
        setConfig(host, `${wrong}except_for = ["${hostAddress}"]\n`));
      await isWell(host);
      await setConfig(host, wrong);
      await host.pennon(ONCE);
      const next = await nextOf(host, "outage");
      assertStringIncludes(next, "see to the proxy, proxy.http and proxy.https");
      const doctor = await take(advised(host, next, "doctor"));
      assertStringIncludes(doctor.out, "FAIL  proxy             127.0.0.1:1: connection refused");
      const proxy = proxyTo(host.server.url);
      try {
        await isMended(host, words, advice, () =>
          setConfig(host, `[proxy]\nhttp = "http://127.0.0.1:${proxy.addr.port}"\n`));
        await isWellAgain(host);
      } finally {
        await proxy.shutdown();
      }
    }),
});

Deno.test({
  name: "advice on a certificate of this host behind a proxy: the server is reached without",
  ignore: cannotMakeNetworks.ignore || await lacks("openssl"),
  fn: async () => {
    await using space = await NetworkNamespace.make();
    await using authority = await Authority.make();
    const tls = await authority.sign(`IP:${space?.hostAddress}`);
    const own = await authority.sign("DNS:a");
    await atAnotherHost(
      async (host, { hostAddress }) => {
        const file = async (name: string, text: string) => {
          await Deno.writeTextFile(`${host.folder}/${name}`, text, { mode: 0o600 });
          return `${host.folder}/${name}`;
        };
        const config = [
          `[server]\nurl = "${host.server.url}"`,
          `[tls]\nca_file = "${authority.file}"`,
          `certificate_file = "${await file("own.pem", own.certificate)}"`,
          `key_file = "${await file("own.key", own.key)}"`,
          '[proxy]\nhttps = "http://127.0.0.1:1"\n',
        ].join("\n");
        const excepting = () => setConfig(host, `${config}except_for = ["${hostAddress}"]\n`);
        const advice = `Next: reach it without, by adding "${hostAddress}" to proxy.except_for`;
        for (const words of [["config", "check"], ["register", "--token", "-"]]) {
          await setConfig(host, config);
          await isMended(host, words, advice, excepting);
        }
        await isWell(host);
      },
      { tls },
      space,
    );
  },
});

Deno.test({
  ...cannotMakeNetworks,
  name: "advice on a server that does not answer: no firewall is between, and the port is right",
  fn: () =>
    atAnotherHost(async (host, space) => {
      const register = (url: string) =>
        wrapped(host, space.wrap, ["register", "--replace", "--server", url, "--token", TOKEN]);
      const { url } = host.server;
      await space.setDropping(true);
      const { code, said } = await register(url);
      assertEquals(code, 1);
      assertStringIncludes(
        said,
        "Next: see that no firewall is between, and that the address names the right port",
      );
      await space.setDropping(false);
      assertEquals((await register(url)).code, 0);
      await space.setDropping(true);
      const doctor = await wrapped(host, space.wrap, ["doctor"]);
      assertStringIncludes(doctor.said, "look for a firewall that drops packets");
    }, { config: '[http]\nconnect_timeout = "2s"\n' }),
});

Deno.test({
  ...cannotMakeNetworks,
  name: "advice on a server that a network does not reach: its host runs, and nothing is between",
  fn: () =>
    atAnotherHost(async (host, space) => {
      const { url } = host.server;
      const register = () =>
        wrapped(host, space.wrap, ["register", "--replace", "--server", url, "--token", TOKEN]);
      await space.setUnreachable(true);
      const refused = await register();
      assertStringIncludes(
        refused.said,
        "Next: see that the server's host runs, and that no firewall or missing route is between",
      );
      await space.setUnreachable(false);
      assertEquals((await register()).code, 0);
      await space.setUnreachable(true);
      const { said } = await wrapped(host, space.wrap, ["doctor"]);
      assertStringIncludes(said, "no route to its host");
      assertStringIncludes(said, "start that host, or look for a firewall or a missing route");
      await wrapped(host, space.wrap, ONCE);
      const { out } = await host.pennon(["status"]);
      // This host has a network: the server is what cannot be reached.
      assertStringIncludes(out, "the server is not reachable: no route to its host");
      assertStringIncludes(await nextOf(host, "outage"), "see whether the server runs");
      await space.setUnreachable(false);
      await wrapped(host, space.wrap, ONCE);
      await isWellAgain(host);
    }),
});
