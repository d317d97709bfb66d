/** Taking an agent over from RedFlag's own, and giving it back, at servers of both ages. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import type { ServerAge } from "../../tools/refserver/server.ts";
import { lacks } from "../real/lacks.ts";
import { call } from "../real/raw_request.ts";
import { type Ended, EXECUTABLE, type Host, onHost, TOKEN, within } from "./harness.ts";

const AGES: readonly ServerAge[] = ["0.1", "0.2"];
const onLinux = { ignore: Deno.build.os !== "linux" };
const asRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };

/** The number of RedFlag's user on the played host. */
const THEIR_USER = 4_998;

/** The number of the account of Pennon's service there. */
const SERVICE_USER = 4_997;

/** This host's machine id as RedFlag's agent computes it; `null` on a host without one. */
async function machineId(): Promise<string | null> {
  for (const path of ["/var/lib/dbus/machine-id", "/etc/machine-id"]) {
    const text = (await Deno.readTextFile(path).catch(() => "")).trim();
    if (text !== "") return createHash("sha256").update(text).digest("hex");
  }
  return null;
}

interface Theirs {
  readonly server_url: string;
  readonly agent_id: string;
  readonly token: string;
  readonly refresh_token: string;
  readonly [key: string]: unknown;
}

/** Registers as RedFlag's own agent of this host does, and answers its configuration. */
async function registerTheirs(host: Host, machine = ""): Promise<Theirs> {
  const { status, json } = await call(host.server.url, {
    method: "POST",
    path: "/api/v1/agents/register",
    headers: { Authorization: `Bearer ${TOKEN}` },
    body: {
      hostname: Deno.hostname(),
      os_type: "linux",
      os_version: "12",
      os_architecture: "amd64",
      agent_version: "0.2.9.3",
      machine_id: machine || await machineId(),
      metadata: {},
    },
  });
  assertEquals(status, 200);
  const { agent_id, token, refresh_token } = json;
  const of02 = { polling: { jitter_max_seconds: 30 }, subsystems: { apt: { timeout: 3e10 } } };
  const common = { version: "5", agent_version: "0.2.9.3", check_in_interval: 300, ...of02 };
  return { ...common, server_url: host.server.url, agent_id, token, refresh_token };
}

/** What RedFlag's agent does with a configuration: renews, and checks in. Answers both statuses. */
async function actAsTheirs(host: Host, config: Theirs): Promise<number[]> {
  const headers = { "X-Machine-ID": await machineId() ?? "" };
  const { agent_id, refresh_token } = config;
  const renewal = await call(host.server.url, {
    method: "POST",
    path: "/api/v1/agents/renew",
    headers,
    body: { agent_id, refresh_token },
  });
  const checkIn = await call(host.server.url, {
    method: "GET",
    path: `/api/v1/agents/${agent_id}/commands`,
    headers: { ...headers, Authorization: `Bearer ${renewal.json?.token}` },
  });
  return [renewal.status, checkIn.status];
}

async function writeTheirs(host: Host, config: Theirs): Promise<string> {
  const file = `${host.folder}/redflag.json`;
  await Deno.writeTextFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

async function savedIdentity(host: Host) {
  const text = await Deno.readTextFile(`${host.stateDirectory}/identity.json`).catch(() => "null");
  return JSON.parse(text);
}

function renewals(host: Host): number {
  return host.server.state().requests.filter(({ path }) => path.endsWith("/renew")).length;
}

/** The agent checks in, with nothing that the server would punish, and is the only one. */
async function works(host: Host, agentId: string): Promise<void> {
  const { code, err } = await host.pennon(["run", "--once"]);
  assertEquals(code, 0, err);
  const { agents, violations } = host.server.state();
  assertEquals([agents.map(({ id }) => id), violations], [[agentId], []]);
}

for (const age of AGES) {
  const of = `at a server of ${age}`;

  Deno.test(`takes over from RedFlag's own agent ${of}, keeping its id and its tokens`, () =>
    onHost(async (host) => {
      const theirs = await registerTheirs(host);
      const file = await writeTheirs(host, theirs);
      const { code, out } = await host.pennon(["register", "--adopt", file]);
      assertEquals(code, 0);
      assertEquals(out, `Adopted ${theirs.agent_id} at ${host.server.url} from ${file}\n`);
      assertEquals([renewals(host), host.checkIns()], [0, 0]);
      const { access_token, refresh_token } = await savedIdentity(host);
      assertEquals([access_token, refresh_token], [theirs.token, theirs.refresh_token]);
      await works(host, theirs.agent_id);
    }, { age }));

  Deno.test(`takes over ${of} with an access token that has expired, and has the new tokens saved`, () =>
    onHost(async (host) => {
      const theirs = await registerTheirs(host);
      host.server.revokeTokens("access");
      const file = await writeTheirs(host, theirs);
      assertEquals((await host.pennon(["register", "--adopt", file])).code, 0);
      const { access_token, refresh_token } = await savedIdentity(host);
      assert(access_token !== theirs.token);
      assertEquals(refresh_token === theirs.refresh_token, age === "0.1");
      await works(host, theirs.agent_id);
      assertEquals(renewals(host), 1);
      host.server.revokeTokens("access");
      await works(host, theirs.agent_id);
    }, { age }));

  Deno.test(`gives the agent back to RedFlag's own ${of}, and takes it over again`, () =>
    onHost(async (host) => {
      const theirs = await registerTheirs(host);
      const file = await writeTheirs(host, theirs);
      assertEquals((await host.pennon(["register", "--adopt", file])).code, 0);
      host.server.revokeTokens("access");
      await works(host, theirs.agent_id); // Renewed: their file is worth nothing at 0.2 any more.
      const { code, out } = await host.pennon(["unregister", "--keep-server"]);
      assertEquals(code, 0);
      const back = `${host.stateDirectory}/redflag-config.json`;
      assertStringIncludes(out, back);
      assertEquals(((await Deno.stat(back)).mode ?? 0) & 0o777, 0o600);
      const config: Theirs = JSON.parse(await Deno.readTextFile(back));
      assertEquals([config.agent_id, config["version"]], [theirs.agent_id, "5"]);
      assertEquals((await host.pennon(["status"])).code, 3);
      // What a copy of that file is used for is for a copy of the server's patience as well.
      assertEquals((await host.pennon(["register", "--adopt", back])).code, 0);
      await works(host, theirs.agent_id);
      assertEquals((await host.pennon(["unregister", "--keep-server"])).code, 0);
      const last: Theirs = JSON.parse(await Deno.readTextFile(back));
      assertEquals(await actAsTheirs(host, last), [200, 200]);
      assertEquals(host.server.state().violations, []);
    }, { age }));

  Deno.test(`a take-over killed after the renewal that it needed can be repeated ${of}`, async () => {
    let kill = () => {};
    await onHost(async (host) => {
      const theirs = await registerTheirs(host);
      host.server.revokeTokens("access");
      const file = await writeTheirs(host, theirs);
      const program = host.start(["register", "--adopt", file]);
      kill = () => void program.stop("SIGKILL");
      const { code } = await within(program.ended, "the kill");
      assert(code !== 0);
      kill = () => {};
      const replace = ["register", "--adopt", file, "--replace"];
      const { err, code: again } = await host.pennon(replace);
      assertEquals(again, 0, err);
      await works(host, theirs.agent_id);
    }, {
      age,
      // The server has spent the token, and the answer is never read.
      onStage: ({ path }, stage) => {
        if (path.endsWith("/renew") && stage === "acted") kill();
      },
    });
  });
}

Deno.test("a server of 0.2 lets an administrator alone remove an agent: unregister says so, and the agent goes on", () =>
  onHost(async (host) => {
    await host.register();
    const [{ id = "" } = {}] = host.server.state().agents;
    const { code, err } = await host.pennon(["unregister"]);
    assertEquals(code, 1);
    assertMatch(err, /an administrator has to remove it: .*HTTP 401.*Next: delete the agent in/);
    const deletions = host.server.state().requests.filter(({ method }) => method === "DELETE");
    assertEquals([deletions.length, renewals(host)], [2, 1]);
    await works(host, id);
    const forced = await host.pennon(["unregister", "--force", "--json"]);
    assertEquals([forced.code, JSON.parse(forced.out).deleted_on_server], [0, false]);
    assertStringIncludes(forced.err, "an administrator has to remove it");
    assertEquals([await savedIdentity(host), host.server.state().agents.length], [null, 1]);
  }, { age: "0.2" }));

Deno.test("a take-over on another machine is refused by a server of 0.2, until an administrator binds it", () =>
  onHost(async (host) => {
    const theirs = await registerTheirs(host, "b".repeat(64));
    const file = await writeTheirs(host, theirs);
    const { code, err } = await host.pennon(["register", "--adopt", file]);
    assertEquals(code, 1);
    assertMatch(err, /another machine id on record.*rebind-machine-id/);
    assertEquals([await savedIdentity(host), renewals(host)], [null, 0]);
    const bound = /"new_machine_id":"([0-9a-f]{64})"/.exec(err)?.[1] ?? "";
    assertEquals(bound, await machineId() ?? bound);
    host.server.operator().rebind(bound);
    assertEquals((await host.pennon(["register", "--adopt", file])).code, 0);
    await works(host, theirs.agent_id);
  }, { age: "0.2" }));

/** What systemctl says on the played host: `is-active`, `is-enabled`. */
type Systemd = readonly [active: string, enabled: string];

/**
 * Runs a command as on a host of RedFlag's, in a mount namespace of its own: with a configuration that
 * its installer has left, its user, a systemd that runs, and a played systemctl.
 */
async function onTheirHost(
  host: Host,
  words: readonly string[],
  { place, text, systemd }: { place: string; text: string; systemd: Systemd },
): Promise<Ended> {
  const { folder } = host;
  const etc = `${folder}/overlay/etc`;
  await Deno.remove(`${folder}/overlay`, { recursive: true }).catch(() => {});
  const directory = `${etc}${place.slice("/etc".length, place.lastIndexOf("/"))}`;
  await Deno.mkdir(directory, { recursive: true });
  await Deno.mkdir(`${folder}/overlay/run/systemd/system`, { recursive: true });
  const passwd = await Deno.readTextFile("/etc/passwd");
  const user = `redflag-agent:x:${THEIR_USER}:${THEIR_USER}::/var/lib/redflag:/usr/sbin/nologin`;
  const service = `pennon:x:${SERVICE_USER}:${SERVICE_USER}::/var/lib/pennon:/usr/sbin/nologin`;
  await Deno.writeTextFile(`${etc}/passwd`, `${passwd.trimEnd()}\n${user}\n${service}\n`, {
    mode: 0o644,
  });
  const file = `${etc}${place.slice("/etc".length)}`;
  await Deno.writeTextFile(file, text, { mode: 0o600 });
  await Deno.chown(file, THEIR_USER, THEIR_USER);
  await Deno.chown(directory, THEIR_USER, THEIR_USER);
  const [active, enabled] = systemd;
  const played = `#!/bin/sh\ncase "$1 $2" in\n` +
    `"is-active redflag-agent.service") echo ${active};;\n` +
    `"is-enabled redflag-agent.service") echo ${enabled};;\n*) exit 9;;\nesac\n`;
  await Deno.writeTextFile(`${folder}/overlay/systemctl`, played, { mode: 0o755 });
  const enter = `set -e; cd "$1/overlay"; shift
    mount -t overlay overlay -o lowerdir="$PWD/etc":/etc /etc
    mount -t overlay overlay -o lowerdir="$PWD/run":/run /run
    mount --bind systemctl /usr/bin/systemctl
    exec "$@"`;
  let out = "";
  let err = "";
  const program = host.start(words, {
    wrap: ["unshare", "--mount", "/bin/sh", "-c", enter, "sh", folder],
    onLine: (line, stream) => {
      if (stream === "stdout") out += `${line}\n`;
      else err += `${line}\n`;
    },
  });
  const { code } = await within(program.ended, words.join(" "));
  return { code, out, err };
}

async function canMount(): Promise<boolean> {
  if (await lacks("unshare", "mount", "systemctl")) return false;
  const { success } = await new Deno.Command("unshare", {
    args: ["--mount", "mount", "-t", "overlay", "o", "-o", "lowerdir=/run:/etc", "/etc"],
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

Deno.test({
  ignore: asRoot.ignore || !await canMount(),
  name: "finds RedFlag's configuration in each of its places, as its installers leave it",
  fn: () =>
    onHost(async (host) => {
      const theirs = await registerTheirs(host);
      const systemd = ["inactive", "disabled"] as const;
      for (const mark of ["", "\ufeff"]) {
        for (
          const place of [
            "/etc/redflag/agent/config.json",
            "/etc/redflag/config.json",
            "/etc/aggregator/config.json",
          ]
        ) {
          const text = `${mark}${JSON.stringify(theirs, null, 2)}`;
          const words = ["register", "--adopt", "--replace"];
          const { code, out, err } = await onTheirHost(host, words, { place, text, systemd });
          assertEquals(code, 0, err);
          assertStringIncludes(out, ` from ${place}\n`);
        }
      }
      await works(host, theirs.agent_id);
    }, { age: "0.2" }),
});

Deno.test({
  // The account may not read root's Deno and its cache: only the executable goes on as it.
  ignore: asRoot.ignore || EXECUTABLE === undefined || !await canMount(),
  name:
    "root takes over into a state directory of the service's account, which owns all of it then",
  fn: () =>
    onHost(async (host) => {
      await Deno.chmod(host.folder, 0o755);
      await Deno.chmod(`${host.folder}/config.toml`, 0o644);
      await Deno.mkdir(host.stateDirectory, { mode: 0o700 });
      await Deno.chown(host.stateDirectory, SERVICE_USER, SERVICE_USER);
      const theirs = await registerTheirs(host);
      const place = "/etc/redflag/agent/config.json";
      const their = {
        place,
        text: JSON.stringify(theirs),
        systemd: ["inactive", "disabled"],
      } as const;
      const { code, out, err } = await onTheirHost(host, ["register", "--adopt"], their);
      assertEquals([code, out], [
        0,
        `Adopted ${theirs.agent_id} at ${host.server.url} from ${place}\n`,
      ], err);
      const again = await onTheirHost(host, ["register", "--adopt"], their);
      const already = `Already registered with ${host.server.url} as ${theirs.agent_id}\n`;
      assertEquals([again.code, again.out], [0, already], again.err);
      const names = [...Deno.readDirSync(host.stateDirectory)].map(({ name }) => name);
      assert(names.includes("identity.json"), names.join());
      for (const name of names) {
        const { uid, gid } = await Deno.stat(`${host.stateDirectory}/${name}`);
        assertEquals([uid, gid], [SERVICE_USER, SERVICE_USER], name);
      }
    }, { age: "0.2" }),
});

Deno.test({
  ignore: asRoot.ignore || !await canMount(),
  name: "takes nothing over while RedFlag's service is active or enabled",
  fn: () =>
    onHost(async (host) => {
      const theirs = await registerTheirs(host);
      host.server.resetRequests();
      const place = "/etc/redflag/agent/config.json";
      const text = JSON.stringify(theirs);
      const rows: [...Systemd, says: RegExp | null][] = [
        ["active", "enabled", /service is active\. Next: .*systemctl disable --now redflag-agent/],
        ["activating", "disabled", /service is activating/],
        ["failed", "enabled", /stopped, but enabled/],
        ["failed", "masked", null],
      ];
      for (const [active, enabled, says] of rows) {
        const systemd = [active, enabled] as const;
        const { code, err } = await onTheirHost(host, ["register", "--adopt"], {
          place,
          text,
          systemd,
        });
        if (says === null) assertEquals(code, 0, err);
        else {
          assertEquals([code, host.server.state().requests.length], [1, 0]);
          assertMatch(err, says);
        }
      }
    }, { age: "0.2" }),
});

Deno.test({
  ...onLinux,
  name: "where RedFlag's agent never was, --adopt names the places that it looked at",
  fn: () =>
    onHost(async (host) => {
      const { code, err } = await host.pennon(["register", "--adopt"]);
      if (err.includes("RedFlag's own agent may still")) return console.log("skipped: it is here");
      assertEquals(code, 1);
      assertStringIncludes(err, '"/etc/redflag/agent/config.json"');
    }),
});
