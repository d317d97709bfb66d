import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { saveState } from "../../src/agent/saved_state.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { IDENTITY_FILE } from "../../src/identity.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { saveLastScans } from "../../src/scanners/last_scans.ts";
import { failedReport } from "../../src/scanners/run_scans.ts";
import { holdsSecret, SECRET, SECRET_TEXTS } from "../fakes/secrets.ts";
import { SECRET_URLS } from "../fakes/secret_urls.ts";
import { FakeSystem } from "../fakes/system.ts";
import { type ReadEntry, readTar } from "../doctor/read_tar.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";

const ARCHIVE = "/home/test/out.tar.gz";

async function entriesOf(system: FakeSystem, path = ARCHIVE): Promise<ReadEntry[]> {
  const bytes = system.files.created.get(path);
  assert(bytes, `no archive at ${path}`);
  const stream = new Blob([new Uint8Array(bytes)]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return readTar(new Uint8Array(await new Response(stream).arrayBuffer()));
}

const IN_PLAY = {
  access: "eyJhbGciOi.the-access-token.4711",
  refresh: "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
  registration: "the-registration-token",
  proxy: "the-proxy-p@ssword",
  short: "abc12",
  server: "the-server-password",
};

/** A host that has every secret in every place that can have it. */
async function hostWithSecrets(): Promise<{ system: FakeSystem; machineId: string }> {
  const { system } = await enrolled();
  const { files } = system;
  const identity = IDENTITY_FILE.encode({
    agentId: "a1",
    serverUrl: `http://me:${IN_PLAY.server}@server.test`,
    accessToken: IN_PLAY.access,
    refreshToken: IN_PLAY.refresh,
    intervalMs: 60_000,
  });
  files.texts.set(IDENTITY_FILE.pathIn(STATE), identity);
  const machine = JSON.parse(files.texts.get(`${STATE}/machine.json`) ?? "{}");
  const machineId: string = machine.registered;
  const [one, two] = [encodeURIComponent(IN_PLAY.proxy), IN_PLAY.short];
  files.texts.set(
    "/etc/pennon/config.toml",
    `[server]\nregistration_token = "${IN_PLAY.registration}"\n` +
      `[proxy]\nhttp = "http://me:${one}@proxy.test:3128"\n` +
      `https = "http://me:${two}@proxy.test:3128"\n`,
  );
  const every = [...Object.values(IN_PLAY), machineId];
  const why = `HTTP 500: ${every.filter((text) => text.length > 7).join(" or ")}`;
  const { connection } = NEW_STATE;
  await saveState(system, STATE, {
    ...NEW_STATE,
    connection: {
      ...connection,
      outage: { sinceMs: 0, failedCalls: 1, why, offline: false, status: 500 },
      operatorAction: {
        ...{ cause: "machine_mismatch", why, sinceMs: 0, notBeforeMs: 0 } as const,
        facts: { machineId, agentId: "a1" },
      },
    },
  });
  const reports = SECRET_URLS.slice(0, 20).map((url, index) =>
    failedReport(`apt${index}`, { reason: "transient", message: `${url} fails; ${why}` }, 1)
  );
  await saveLastScans(files, STATE, { reports, nowMs: system.clock.nowMs() });
  const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };
  const { buffer } = await openBuffer(system, STATE, limits);
  const event = { kind: "log", commandId: null, snapshotOf: null, body: `{"a":"${why}"}` } as const;
  for (const id of buffer.append([event]).ids) buffer.refuse(id, `${SECRET_URLS[0]} ${why}`);
  files.texts.set("/run/systemd/system/x", "");
  const lines = [...SECRET_TEXTS.filter((text) => !text.includes("\n")), why, `:${two}@proxy.test`];
  system.runCommand = () =>
    Promise.resolve({ code: 0, stdout: lines.join("\n"), stderr: "", truncated: false });
  return { system, machineId };
}

Deno.test("pennon diagnostics: no secret in play is in the archive, whatever holds it", async () => {
  const { system, machineId } = await hostWithSecrets();
  assert(machineId.length >= 16);
  const { code, out, err } = await runCli(system, "diagnostics", "--yes", "--output", ARCHIVE);
  assertEquals(code, 0, err);
  const entries = await entriesOf(system);
  const secrets = [...Object.values(IN_PLAY), encodeURIComponent(IN_PLAY.proxy), machineId];
  for (const { name, text } of [...entries, { name: "stdout", text: out + err }]) {
    for (const secret of secrets) assert(!text.includes(secret), `${name} has ${secret}`);
    for (const line of text.split("\n")) assert(!holdsSecret(line), `${name}: ${line}`);
  }
  // The test sees what is there: each place has a text with the secret taken out.
  const textOf = (name: string) =>
    entries.find((entry) => entry.name === `pennon-diagnostics/${name}`)?.text ?? "";
  for (const name of ["status.txt", "state.json", "dead_letters.json", "log.txt", "doctor.txt"]) {
    assertStringIncludes(textOf(name), "(hidden)", name);
  }
  assert(textOf("log.txt").split("\n").length >= SECRET_TEXTS.length - 1);
  for (const { name, text } of entries.filter((entry) => entry.name.endsWith(".json"))) {
    assert(JSON.parse(text), name);
  }
  assert(!entries.some(({ text }) => text.includes(SECRET)));
  const { machine_id_sha256 } = JSON.parse(textOf("about.json"));
  assertEquals(/^[0-9a-f]{16}$/.test(machine_id_sha256), true);
  assert(!machineId.startsWith(machine_id_sha256));
});

Deno.test("pennon diagnostics lists what is in the archive, and writes it for its user alone", async () => {
  const { system } = await enrolled();
  const { code, out } = await runCli(system, "diagnostics", "--yes", "--output", ARCHIVE);
  assertEquals(code, 0);
  const entries = await entriesOf(system);
  const listed = [...out.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => `pennon-diagnostics/${name}`);
  assertEquals(entries.map(({ name }) => name), listed);
  assertEquals(new Set(entries.map(({ mode }) => mode)), new Set([0o600]));
  assertEquals(system.files.modes.get(ARCHIVE), 0o600);
  assertEquals(listed.length, 9);
});

Deno.test("pennon diagnostics asks on a terminal, and writes nothing without a yes", async () => {
  const { system } = await enrolled();
  const words = ["diagnostics", "--output", ARCHIVE];
  const noTerminal = await runCli(system, ...words);
  assertEquals([noTerminal.code, system.files.created.size], [2, 0]);
  assertStringIncludes(noTerminal.out, "The archive holds:");
  assertStringIncludes(noTerminal.err, "Next: pennon diagnostics --yes --output ");
  for (const answer of ["", "n", "yes please", "no"]) {
    system.terminal.answer = answer;
    const refused = await runCli(system, ...words);
    assertEquals([refused.code, system.files.created.size], [1, 0], answer);
    assertStringIncludes(refused.err, `Write "${ARCHIVE}"? [y/N]`);
  }
  system.terminal.answer = "Y";
  assertEquals((await runCli(system, ...words)).code, 0);
  assertEquals(system.files.created.size, 1);
});

Deno.test("pennon diagnostics replaces no file", async () => {
  const { system } = await enrolled();
  system.files.texts.set(ARCHIVE, "mine");
  const { code, err } = await runCli(system, "diagnostics", "--yes", "--output", ARCHIVE);
  assertEquals([code, system.files.texts.get(ARCHIVE)], [1, "mine"]);
  assertStringIncludes(err, "there is a file of this name. Next: name another one with --output");
  const words = ["diagnostics", "--yes", "--output", `${ARCHIVE}.2`];
  assertEquals((await runCli(system, ...words)).code, 0);
});

Deno.test("pennon diagnostics works where the configuration and the state cannot be read", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", "[server\n");
  system.files.fail("read the state", "denied");
  system.machine.hostName = () => "a host/../ß";
  system.files.ofHost.clear(); // No machine id either.
  const { code } = await runCli(system, "diagnostics", "--yes");
  assertEquals(code, 0);
  const [path = ""] = system.files.created.keys();
  assertEquals(/^pennon-diagnostics-ahost\.\.-\d{8}T\d{6}Z\.tar\.gz$/.test(path), true, path);
  const entries = await entriesOf(system, path);
  const textOf = (name: string) => entries.find((entry) => entry.name.endsWith(name))?.text ?? "";
  assertEquals(textOf("status.txt"), "");
  assertStringIncludes(textOf("doctor.txt"), "FAIL  configuration");
  assertEquals(JSON.parse(textOf("about.json")).machine_id_sha256, null);
  const { problems } = JSON.parse(textOf("configuration.json"));
  assertStringIncludes(problems[0], "/etc/pennon/config.toml");
});

Deno.test("pennon diagnostics cuts the beginning of a log that is too long", async () => {
  const { system } = await enrolled();
  system.files.texts.set("/run/systemd/system/x", "");
  const stdout = `${"x".repeat(99)}\n`.repeat(30_000) + "the end";
  system.runCommand = () => Promise.resolve({ code: 0, stdout, stderr: "", truncated: false });
  await runCli(system, "diagnostics", "--yes", "--output", ARCHIVE);
  const log = (await entriesOf(system)).find(({ name }) => name.endsWith("log.txt"))?.text ?? "";
  assert(log.length <= 2 * 1_024 ** 2 + 6 && log.length > 2_000_000);
  assert(log.startsWith("(cut)\nxxx") && log.endsWith("the end\n"));
});

Deno.test("pennon diagnostics as root, on a host whose agent has an account, writes beside its state", async () => {
  const { system } = await enrolled();
  system.machine.userId = () => 0;
  system.files.texts.set("/etc/passwd", "pennon:x:990:990::/var/lib/pennon:/usr/sbin/nologin\n");
  const state = "/var/lib/pennon";
  system.files.texts.set(`${state}/state.json`, "{}");
  for (const path of [state, `${state}/state.json`]) system.files.owners.set(path, 990);
  const { code, out, err } = await runCli(system, "diagnostics", "--yes");
  assertEquals(code, 0, err);
  const [path = ""] = system.files.created.keys();
  assert(path.startsWith(`${state}/pennon-diagnostics-`), path);
  assertStringIncludes(out, `Wrote "${state}/`);
  const entries = await entriesOf(system, path);
  const doctor = entries.find(({ name }) => name.endsWith("doctor.txt"))?.text ?? "";
  assertStringIncludes(doctor, `OK    state directory   "${state}"`);
});
