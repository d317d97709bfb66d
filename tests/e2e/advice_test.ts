/**
 * Each situation in which the program advises a command: the advice is taken as it is printed, and mends
 * it. `tests/rules/advice_table.ts` says where each other text of advice is tested, or who has to act.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { advised, follow, isWell, nextStep, ONCE, take } from "./advice.ts";
import { type Host, onHost, TOKEN } from "./harness.ts";

const AGE_02 = { age: "0.2" } as const;

async function setServer(host: Host, url: string): Promise<void> {
  const path = `${host.folder}/config.toml`;
  const text = (await Deno.readTextFile(path)).replace(/\[server\]\nurl = .*\n/, "");
  await Deno.writeTextFile(path, `[server]\nurl = "${url}"\n${text}`);
}

const onUnix = { ignore: Deno.build.os === "windows" };
/** Only root can give files away. */
const asRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };

/** An account that owns nothing here; only its number counts. */
const OTHER = 54_321;

/** One situation: `brings` it about and takes the advice that the program gives in it. */
function situation(
  name: string,
  brings: (host: Host) => Promise<void>,
  options: { age?: "0.1" | "0.2"; ignore?: boolean } = {},
): void {
  const { ignore = false, ...server } = options;
  Deno.test({ name: `advice: ${name}`, ignore, fn: () => onHost(brings, server) });
}

situation("a host that is not registered", async (host) => {
  for (const words of [["run"], ["status"], ["unregister"]]) {
    const { code, err } = await host.pennon(words);
    assertEquals(code, 3);
    const again = advised(host, err, "register", { URL: host.server.url, TOKEN });
    assertStringIncludes(again.join(" "), `--server ${host.server.url} --token ${TOKEN}`);
  }
  const { err } = await host.pennon(["run"]);
  await follow(host, { text: err, name: "register", fills: { URL: host.server.url, TOKEN } });
  await isWell(host);
});

situation("server.url has changed", async (host) => {
  await host.register();
  const other = await startRefserver({ registrationTokens: [TOKEN] });
  try {
    await setServer(host, other.url);
    const { code, err } = await host.pennon(ONCE);
    assertEquals(code, 1);
    await follow(host, { text: err, name: "register", input: TOKEN });
    assertEquals(other.state().agents.length, 1);
    await isWell(host);
    await setServer(host, host.server.url);
    // Or the host leaves: that needs no server.url.
    const gone = await host.pennon(["unregister"]);
    assertEquals([gone.code, other.state().agents.length], [0, 0], gone.err);
  } finally {
    await other.close();
  }
});

situation("register with another server", async (host) => {
  await host.register();
  const again = await host.pennon(["register", "--server", host.server.url, "--token", "spent"]);
  assertEquals([again.code, again.out.slice(0, 18)], [0, "Already registered"], again.err);
  const other = await startRefserver({ registrationTokens: [TOKEN] });
  try {
    const { code, err } = await host.pennon(["register", "--server", other.url, "--token", TOKEN]);
    assertEquals(code, 1);
    await follow(host, { text: err, name: "register", input: TOKEN });
    await isWell(host);
    assertEquals(other.state().agents.length, 1);
  } finally {
    await other.close();
  }
});

situation("the identity is corrupt", async (host) => {
  await host.register();
  await Deno.writeTextFile(`${host.stateDirectory}/identity.json`, "{", { mode: 0o600 });
  const { code, err } = await host.pennon(ONCE);
  assertEquals(code, 1);
  const fills = { URL: host.server.url };
  await follow(host, { text: err, name: "register", fills, input: TOKEN });
  await isWell(host);
});

situation("other users may have read the identity", async (host) => {
  await host.register();
  const path = `${host.stateDirectory}/identity.json`;
  await Deno.chmod(path, 0o644);
  const { code, err } = await host.pennon(ONCE);
  assertEquals(code, 1);
  assertStringIncludes(
    err,
    `Next: chmod 600 ${path}; if any of them did, stop the agent (none runs now), then run\n`,
  );
  const fills = { URL: host.server.url };
  await Deno.chmod(path, 0o600);
  await isWell(host);
  await follow(host, { text: err, name: "register", fills, input: TOKEN });
  await isWell(host);
}, onUnix);

situation("the server has another machine id", async (host) => {
  await host.register();
  const own = host.server.state().age02?.bindings[0]?.machineId ?? "";
  host.server.operator().rebind("f".repeat(64));
  const next = nextStep(await host.pennon(ONCE));
  const machineId = /"new_machine_id":"([0-9a-f]{64})"/.exec(next)?.[1];
  assertEquals(machineId, own);
  host.server.operator().rebind(own); // What the text wants of an administrator.
  assertEquals((await host.pennon(ONCE)).code, 1, "it waits, as the text says");
  await follow(host, { text: next, name: "breaker" });
  await isWell(host);
}, AGE_02);

situation("the server wants a newer version", async (host) => {
  await host.register();
  host.server.operator().set({ minAgentVersion: "99.0.0" });
  const next = nextStep(await host.pennon(ONCE));
  host.server.operator().set({ minAgentVersion: "0.1.0" });
  await follow(host, { text: next, name: "breaker" });
  await isWell(host);
}, AGE_02);

situation("a machine that is registered already", async (host) => {
  await host.register();
  const words = ["register", "--replace", "--server", host.server.url, "--token", "-"];
  const { code, err } = await host.pennon(words, TOKEN);
  assertEquals(code, 1);
  assertStringIncludes(
    err,
    "Next: delete that agent in the server's dashboard, and register again",
  );
  host.server.deleteAgent();
  assertEquals((await host.pennon(words, TOKEN)).code, 0);
  await isWell(host);
}, AGE_02);

situation("a server that lets no agent delete itself", async (host) => {
  await host.register();
  const { code, err } = await host.pennon(["unregister"]);
  assertEquals(code, 1);
  assertStringIncludes(err, "Next: delete the agent in the server's dashboard, then run");
  host.server.deleteAgent();
  await follow(host, { text: err, name: "unregister" });
  assertEquals((await host.pennon(["status"])).code, 3);
}, AGE_02);

situation("unregister without its server", async (host) => {
  await host.register();
  await host.server.close();
  const { code, err } = await host.pennon(["unregister"]);
  assertEquals(code, 1);
  await follow(host, { text: err, name: "unregister" });
  assertEquals((await host.pennon(["status"])).code, 3);
});

situation("a second agent", async (host) => {
  await host.register();
  const first = host.run();
  await host.until("check-in", () => host.checkIns() > 0);
  const { code, err } = await host.pennon(ONCE);
  assertEquals(code, 1);
  assertStringIncludes(
    err,
    `Next: stop it (\`kill ${first.processId}\`), or give this one a directory of its own with ` +
      '"--state-dir"',
  );
  await first.stop("SIGTERM");
  await isWell(host);
});

situation("a damaged buffer", async (host) => {
  await host.register();
  await isWell(host);
  const path = `${host.stateDirectory}/buffer.sqlite`;
  await Deno.writeTextFile(
    path,
    "no database at all, but long enough to be read as one".repeat(200),
  );
  for (const end of ["-wal", "-shm"]) await Deno.remove(`${path}${end}`).catch(() => {});
  const words = ["events", "purge", "0123456789abc"];
  const { code, err } = await host.pennon(words);
  assertEquals(code, 1);
  assertStringIncludes(err, "is damaged. Next: start the agent, which salvages it");
  await isWell(host);
  assertStringIncludes((await host.pennon(words)).err, 'no event "0123456789abc"');
});

situation("a pattern that can match nothing", async (host) => {
  const path = `${host.folder}/config.toml`;
  const text = await Deno.readTextFile(path);
  const rows: [pattern: string, advice: RegExp, mended: string][] = [
    ["winupdate:2267602", /write "(KB\d+)"/, "winupdate:KB2267602"],
    ["apt:", /as in "(apt:linux-\*)"/, "apt:linux-*"],
    ["yum:curl", /write one of ("apt:".*) in front/, "apt:curl"],
    ["apt:linux image", /use \* and \?/, "apt:linux?image"],
  ];
  for (const [pattern, advice, mended] of rows) {
    const check = async (one: string) => {
      await Deno.writeTextFile(path, text.replace("[scanners]", `[scanners]\nignore = ["${one}"]`));
      return await host.pennon(["config", "check"]);
    };
    const { code, err } = await check(pattern);
    assertEquals(code, 2);
    assert(advice.test(err), err);
    assertEquals((await check(mended)).code, 0, mended);
  }
});

situation("a registration that was refused", async (host) => {
  const words = ["register", "--server", host.server.url, "--token"];
  const { code, err } = await host.pennon([...words, "unknown"]);
  assertEquals(code, 1);
  assertStringIncludes(err, "Next: take a registration token from the server's dashboard");
  assertEquals((await host.pennon([...words, TOKEN])).code, 0);
  await isWell(host);
});

situation("RedFlag's configuration is in no usual place", async (host) => {
  await host.register();
  const identity = JSON.parse(await Deno.readTextFile(`${host.stateDirectory}/identity.json`));
  const adopted = await host.pennon(["register", "--adopt"]);
  assertEquals(adopted.code, 1);
  const file = `${host.folder}/redflag.json`;
  const { server_url, agent_id, access_token: token, refresh_token } = identity;
  const config = { server_url, agent_id, token, refresh_token };
  await Deno.writeTextFile(file, JSON.stringify(config), { mode: 0o600 });
  await follow(host, { text: adopted.err, name: "register", fills: { FILE: file } });
  await Deno.remove(`${host.stateDirectory}/identity.json`);
  const none = await host.pennon(["register", "--adopt"]);
  assertEquals(none.code, 1);
  await follow(host, { text: none.err, name: "register", fills: { FILE: file } });
  await isWell(host);
}, onUnix);

/** A configuration of RedFlag's own agent. */
async function writeRedflag(host: Host, config: Record<string, string>): Promise<string> {
  const file = `${host.folder}/redflag.json`;
  await Deno.writeTextFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

situation("RedFlag's agent was never registered", async (host) => {
  const file = await writeRedflag(host, { server_url: host.server.url, agent_id: "" });
  const { code, err } = await host.pennon(["register", "--adopt", file]);
  assertEquals(code, 1);
  const fills = { URL: host.server.url };
  await follow(host, { text: err, name: "register", fills, input: TOKEN });
  await isWell(host);
}, onUnix);

situation("RedFlag's configuration names another server", async (host) => {
  await host.register();
  const path = `${host.stateDirectory}/identity.json`;
  const { server_url, agent_id, access_token: token, refresh_token } = JSON.parse(
    await Deno.readTextFile(path),
  );
  await Deno.remove(path);
  const file = await writeRedflag(host, { server_url, agent_id, token, refresh_token });
  const words = ["register", "--adopt", file, "--server"];
  const { code, err } = await host.pennon([...words, "http://127.0.0.1:1"]);
  assertEquals(code, 1);
  assertStringIncludes(err, 'Next: set server.url (or "--server") to the former');
  assertEquals((await host.pennon([...words, server_url])).code, 0);
  await isWell(host);
}, onUnix);

situation("a key that is not the server's", async (host) => {
  const [first, right] = [1, 2].map(() => host.server.operator().rotateKey({ retireOld: true }));
  const path = `${host.folder}/config.toml`;
  const text = await Deno.readTextFile(path);
  const name = (key = "") => Deno.writeTextFile(path, `[server]\npublic_key = "${key}"\n${text}`);
  await name(first?.publicKey);
  const words = ["register", "--server", host.server.url, "--token", "-"];
  const { code, err } = await host.pennon(words, TOKEN);
  assertEquals(code, 0);
  await follow(host, { text: err, name: "status" });
  const areRefused = async () => {
    const { out } = await host.pennon(["status", "--json"]);
    return JSON.parse(out).signing.commands_refused;
  };
  assertEquals(await areRefused(), true);
  await name(right?.publicKey);
  await isWell(host);
  assertEquals(await areRefused(), false);
}, AGE_02);

situation("a configuration that is no regular file", async (host) => {
  const path = `${host.folder}/config.toml`;
  const text = await Deno.readTextFile(path);
  await Deno.remove(path);
  await Deno.mkdir(path);
  const { code, err } = await host.pennon(["config", "check"]);
  assertEquals(code, 2);
  assertStringIncludes(err, "Next: move it away, or put a regular file in its place");
  await Deno.rename(path, `${path}.away`);
  await Deno.writeTextFile(path, text);
  assertEquals((await host.pennon(["config", "check"])).code, 0);
}, onUnix);

situation("a configuration in the home of a user", async (host) => {
  const home = `${host.folder}/home`;
  await Deno.mkdir(home);
  await Deno.copyFile(`${host.folder}/config.toml`, `${home}/config.toml`);
  await Deno.chown(home, OTHER, OTHER);
  const check = (path: string) => take(["config", "check", "--config", path]);
  const { code, err } = await check(`${home}/config.toml`);
  assertEquals(code, 2);
  assertStringIncludes(
    err,
    "Next: move the file to a directory that, with all above it, belongs to root",
  );
  assert(!err.includes("chown"), err);
  await Deno.rename(`${home}/config.toml`, `${host.folder}/moved.toml`);
  const moved = await check(`${host.folder}/moved.toml`);
  assertEquals(moved.code, 0, moved.err);
}, asRoot);

situation("a state directory in the home of a user", async (host) => {
  const home = `${host.folder}/home`;
  await Deno.mkdir(`${home}/state`, { recursive: true, mode: 0o700 });
  await Deno.chown(home, OTHER, OTHER);
  const config = ["--config", `${host.folder}/config.toml`];
  const list = (path: string) => take(["events", "list", ...config, "--state-dir", path]);
  const { code, err } = await list(`${home}/state`);
  assertEquals(code, 2);
  assertStringIncludes(err, 'Next: give a "--state-dir" that, with all above it, belongs to root');
  assertEquals((await list(`${host.folder}/elsewhere`)).code, 0);
}, asRoot);
