import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { EnrolError, type Enrolment } from "../../src/agent/enrol.ts";
import { acquireInstanceLock, LockedError } from "../../src/agent/instance_lock.ts";
import {
  findRedflagIdentity,
  handBack,
  takeOver as takeOverFound,
} from "../../src/agent/take_over.ts";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { readMachineId } from "../../src/host/machine_id.ts";
import { type Identity, IdentityError, loadIdentity, saveIdentity } from "../../src/identity.ts";
import { HttpError, type HttpRequest, type HttpResponse } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { whileTimePasses } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";

const URL = "http://server.test";
const PLACES = [
  "/etc/redflag/agent/config.json",
  "/etc/redflag/config.json",
  "/etc/aggregator/config.json",
];
const [NEWEST = ""] = PLACES;

const theirs = {
  version: "5",
  server_url: `${URL}/`,
  agent_id: "a1",
  token: "access-1",
  refresh_token: "refresh-1",
  check_in_interval: 300,
};

const identity: Identity = {
  agentId: "a1",
  serverUrl: URL,
  accessToken: "access-1",
  refreshToken: "refresh-1",
  intervalMs: 300_000,
};

/** RedFlag's agent may have sent its token a moment ago, and that request may still arrive. */
const renewed: Identity = {
  ...identity,
  accessToken: "access-2",
  refreshToken: "refresh-2",
  previousRefreshToken: "refresh-1",
};

type Reply = HttpResponse | Error;

function answer(status: number, body: unknown = {}): HttpResponse {
  return response(status, JSON.stringify(body));
}

const NEW_TOKENS = answer(200, { token: "access-2", refresh_token: "refresh-2" });
const TOO_OLD = answer(426, { error: "agent version too old - upgrade required for security" });

/** A host with RedFlag's configuration, and a server that answers to host facts and to renewals. */
async function setUp(
  facts: Reply | ((request: HttpRequest) => Reply) = answer(200),
  renewal: Reply = NEW_TOKENS,
) {
  const system = new FakeSystem();
  const requests: HttpRequest[] = [];
  system.sendHttp = (request) => {
    requests.push(request);
    if (request.url.includes("/public-key")) return Promise.resolve(answer(404));
    const isRenewal = request.url.endsWith("/renew");
    const reply = isRenewal ? renewal : typeof facts === "function" ? facts(request) : facts;
    return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
  };
  system.files.texts.set(NEWEST, JSON.stringify(theirs));
  system.files.modes.set(NEWEST, 0o600);
  const { config } = await loadConfig(system);
  /** Without the look-ups of the server's keys, which a success ends with. */
  const paths = () =>
    requests.map(({ method, url }) => `${method} ${url.slice(URL.length)}`)
      .filter((path) => !path.includes("/public-key"));
  return { system, requests, paths, enrolment: { system, config, stateDirectory: "/state" } };
}

const FACTS = "POST /api/v1/agents/a1/system-info";
const RENEWAL = "POST /api/v1/agents/renew";

function saved(system: FakeSystem) {
  return loadIdentity(system, "/state");
}

/** As `register --adopt` does: root reads RedFlag's file before it becomes another account. */
async function takeOver(enrolment: Enrolment, file: string | null) {
  return await takeOverFound(enrolment, await findRedflagIdentity(enrolment.system, file));
}

Deno.test("takeOver() verifies with one report that spends nothing, as the machine that it is", async () => {
  const { system, requests, paths, enrolment } = await setUp();
  system.files.texts.set("/state/state.json", "an earlier agent's");
  assertEquals(await takeOver(enrolment, null), { identity, file: NEWEST });
  assertEquals(paths(), [FACTS]);
  const headers = requests[0]?.headers;
  const { id } = await readMachineId(system);
  assertEquals([headers?.["authorization"], headers?.["x-machine-id"]], ["Bearer access-1", id]);
  assertEquals(await saved(system), identity);
  assertEquals(JSON.parse(system.files.texts.get("/state/machine.json") ?? "").registered, id);
  assertEquals(system.files.texts.has("/state/state.json"), false);
  await (await acquireInstanceLock(system, "/state", "run")).release();
});

Deno.test("takeOver() finds the configuration in each place, newest layout first", async () => {
  const { system, enrolment } = await setUp();
  for (const [index, place] of PLACES.entries()) {
    system.files.texts.set(place, JSON.stringify({ ...theirs, agent_id: `a${index}` }));
  }
  for (const [index, place] of PLACES.entries()) {
    const { identity: { agentId }, file } = await takeOver(enrolment, null);
    assertEquals([agentId, file], [`a${index}`, place]);
    system.files.texts.delete(place);
  }
  const error = await assertRejects(() => takeOver(enrolment, null), EnrolError);
  for (const place of PLACES) assert(error.message.includes(`"${place}"`), error.message);
  assertMatch(error.message, /Next: .*--adopt FILE/);
  await assertRejects(
    () => takeOver(enrolment, "/other.json"),
    EnrolError,
    'no file "/other.json"',
  );
  system.files.texts.set("/other.json", `\ufeff${JSON.stringify(theirs)}`);
  assertEquals(await takeOver(enrolment, "/other.json"), { identity, file: "/other.json" });
});

Deno.test("takeOver() asks no server while RedFlag's agent may run, or an agent of this directory", async () => {
  const { system, requests, enrolment } = await setUp();
  system.files.texts.set("/proc/17/stat", "");
  system.runCommand = () =>
    Promise.resolve({ code: 0, stdout: "17 (redflag-agent) S 1\n", stderr: "", truncated: false });
  const error = await assertRejects(() => takeOver(enrolment, NEWEST), EnrolError);
  assertMatch(
    error.message,
    /a process "redflag-agent" runs\. Next: .*kill 17.*disable --now redflag-agent/,
  );
  system.files.texts.delete("/proc/17/stat");
  const lock = await acquireInstanceLock(system, "/state", "run");
  await assertRejects(
    () => whileTimePasses(system.clock, () => takeOver(enrolment, null)),
    LockedError,
    "Cannot register",
  );
  await lock.release();
  assertEquals([requests.length, await saved(system)], [0, undefined]);
  system.files.fail("list the processes", "denied");
  await takeOver(enrolment, null);
  assertMatch(system.terminal.err, /cannot tell whether RedFlag's own agent runs/);
});

Deno.test("takeOver() accepts as root what RedFlag's own user owns, and no other", async () => {
  const rows: [owner: number, mode: number, says: string | null][] = [
    [0, 0o600, null],
    [998, 0o600, null],
    [997, 0o600, "belongs to user 997"],
    [998, 0o620, "can be written by group"],
    [998, 0o666, "can be written by every user"],
  ];
  for (const [owner, mode, says] of rows) {
    const { system, requests, enrolment } = await setUp();
    system.machine = { ...system.machine, userId: () => 0 };
    system.files.texts.set("/etc/passwd", "redflag-agent:x:998:998::/:/bin/false\n");
    system.files.owners.set(NEWEST, owner);
    system.files.owners.set("/etc/redflag/agent", owner);
    system.files.modes.set(NEWEST, mode);
    if (says === null) await takeOver(enrolment, null);
    else {
      await assertRejects(() => takeOver(enrolment, null), ConfigError, says);
      assertEquals(requests.length, 0);
    }
  }
});

Deno.test("takeOver() refuses another server than the configured one, and a file without identity", async () => {
  const { system, requests, enrolment } = await setUp();
  const config = { ...enrolment.config, server: { ...enrolment.config.server, url: "http://b" } };
  const other = () => takeOver({ ...enrolment, config }, null);
  await assertRejects(other, EnrolError, 'names the server "http://server.test"');
  system.files.texts.set(NEWEST, JSON.stringify({ ...theirs, token: "", refresh_token: "" }));
  await assertRejects(() => takeOver(enrolment, null), IdentityError, "was never registered");
  assertEquals([requests.length, await saved(system)], [0, undefined]);
});

Deno.test("takeOver() renews a token that has expired, or a version that is too old, and keeps the new tokens", async () => {
  const router = response(404, "404 page not found"); // Older than 0.1.18.
  for (const facts of [answer(401, { error: "invalid token" }), TOO_OLD, router]) {
    const { system, paths, enrolment } = await setUp(facts);
    assertEquals((await takeOver(enrolment, null)).identity, renewed);
    assertEquals([paths(), await saved(system)], [[FACTS, RENEWAL], renewed]);
  }
  // RedFlag 0.1 has one refresh token for good.
  const { system, enrolment } = await setUp(answer(401), answer(200, { token: "access-2" }));
  await takeOver(enrolment, null);
  assertEquals(await saved(system), { ...identity, accessToken: "access-2" });
});

Deno.test("takeOver() has the old tokens on disk before it spends them, and the new ones when it returns", async () => {
  const onDisk: (string | undefined)[] = [];
  const { system, enrolment } = await setUp(answer(401));
  const { sendHttp } = system;
  system.sendHttp = async (request) => {
    if (request.url.endsWith("/renew")) onDisk.push((await saved(system))?.refreshToken);
    return await sendHttp(request);
  };
  await takeOver(enrolment, null);
  assertEquals(onDisk, ["refresh-1"]);
});

const FAILED_RENEWALS: [what: string, renewal: Reply, says: RegExp][] = [
  ["refused", answer(401, { error: "dead" }), /does not take this token .* tokens have expired/],
  ["lost", new HttpError("Cannot read: cut off", { reason: "cut_off" }), /cut off/],
  [
    "refused for the machine",
    answer(403, {
      error: "machine ID mismatch - refresh token presented from a different machine",
    }),
    /another machine id on record/,
  ],
];

for (const [what, renewal, says] of FAILED_RENEWALS) {
  Deno.test(`takeOver() whose renewal is ${what} leaves the identity that this host had`, async () => {
    const earlier = { ...identity, agentId: "a0" };
    for (const before of [undefined, earlier]) {
      const { system, enrolment } = await setUp(answer(401), renewal);
      if (before) await saveIdentity(system, "/state", before);
      const error = await assertRejects(() => takeOver(enrolment, null), EnrolError);
      assertMatch(error.message, says);
      assertEquals(await saved(system), before);
      const machine = JSON.parse(system.files.texts.get("/state/machine.json") ?? "{}");
      assertEquals(machine.registered ?? null, null);
    }
  });
}

Deno.test("takeOver() that cannot save renewed tokens fails, while RedFlag's file still leads to new ones", async () => {
  const { system, enrolment } = await setUp(answer(401));
  const { sendHttp } = system;
  system.sendHttp = async (request) => {
    const reply = await sendHttp(request);
    if (request.url.endsWith("/renew")) system.files.fail("save the identity", "full");
    return reply;
  };
  await assertRejects(() => takeOver(enrolment, null), EnrolError, "save the identity");
  assertEquals(await saved(system), undefined);
});

Deno.test("takeOver() that a server refuses says why, renews nothing and saves nothing", async () => {
  const bound = "agent not bound to machine - re-registration required";
  const rows: [reply: Reply, says: RegExp][] = [
    [answer(403, { error: bound }), /no machine id on record.*rebind-machine-id/],
    [answer(404, { error: "agent not found" }), /the agent was deleted there/],
    [answer(429), /Next: try again in a minute/],
    [answer(503), /HTTP 503/],
    [answer(500), /HTTP 500/],
    [new HttpError("Cannot reach: refused", { reason: "refused" }), /see that the server runs/],
  ];
  for (const [reply, says] of rows) {
    const { system, paths, enrolment } = await setUp(reply);
    const error = await assertRejects(() => takeOver(enrolment, null), EnrolError);
    assertMatch(error.message, says);
    assert(!error.message.includes("access-1"), error.message);
    assertEquals([paths(), await saved(system)], [[FACTS], undefined]);
  }
});

Deno.test("handBack() moves the tokens into a private file for RedFlag's agent, and forgets them", async () => {
  const { system, requests, enrolment } = await setUp();
  assertEquals(await handBack(enrolment), undefined);
  await takeOver(enrolment, null);
  requests.length = 0;
  const handed = await handBack(enrolment);
  const file = "/state/redflag-config.json";
  assertEquals([handed?.identity, handed?.file], [identity, file]);
  assertEquals(handed?.strangeMachineId, null);
  assertEquals(JSON.parse(system.files.texts.get(file) ?? ""), { ...theirs, server_url: URL });
  assertEquals(system.files.modes.get(file), 0o600);
  assertEquals([await saved(system), requests.length], [undefined, 0]);
  assertEquals(JSON.parse(system.files.texts.get("/state/machine.json") ?? "").registered, null);
  // And again the other way.
  assertEquals((await takeOver(enrolment, file)).identity, identity);
});

Deno.test("handBack() names the place that RedFlag's agent has, and the newest one otherwise", async () => {
  const rows: [present: string[], place: string][] = [
    [[], NEWEST],
    [["/etc/aggregator/config.json"], "/etc/aggregator/config.json"],
    [PLACES, NEWEST],
  ];
  for (const [present, place] of rows) {
    const { system, enrolment } = await setUp();
    PLACES.forEach((other) => system.files.texts.delete(other));
    for (const other of present) system.files.texts.set(other, "");
    await saveIdentity(system, "/state dir", identity);
    const handed = await handBack({ ...enrolment, stateDirectory: "/state dir" });
    assertEquals(handed?.commands, [
      "sudo install -m 600 -o redflag-agent -g redflag-agent " +
      `'/state dir/redflag-config.json' ${place}`,
      "sudo rm '/state dir/redflag-config.json'",
      "sudo systemctl enable --now redflag-agent",
    ]);
  }
  const { system, enrolment } = await setUp();
  system.os = "windows";
  await saveIdentity(system, "C:\\P\\State", identity);
  const handed = await handBack({ ...enrolment, stateDirectory: "C:\\P\\State" });
  assertEquals(handed?.commands, [
    'move /Y "C:\\P\\State\\redflag-config.json" "C:\\ProgramData\\RedFlag\\agent\\config.json"',
    "sc.exe config RedFlagAgent start= auto",
    "sc.exe start RedFlagAgent",
  ]);
});

Deno.test("handBack() that cannot write the file keeps the identity; one that ends in between can be repeated", async () => {
  const { system, enrolment } = await setUp();
  await saveIdentity(system, "/state", identity);
  system.files.fail("save RedFlag's configuration", "full");
  await assertRejects(() => handBack(enrolment), Error, "on purpose");
  assertEquals(await saved(system), identity);
  system.files.heal("save RedFlag's configuration");
  system.files.fail("remove the identity", "denied");
  await assertRejects(() => handBack(enrolment), Error, "on purpose");
  assertEquals(await saved(system), identity);
  system.files.heal("remove the identity");
  assertEquals((await handBack(enrolment))?.identity, identity);
  const lock = await acquireInstanceLock(system, "/state", "run");
  await assertRejects(
    () => whileTimePasses(system.clock, () => handBack(enrolment)),
    LockedError,
    "Cannot unregister",
  );
  await lock.release();
});

Deno.test("handBack() says where the server has a machine id that RedFlag's agent does not send", async () => {
  const { system, enrolment } = await setUp();
  system.files.ofHost.clear();
  await saveIdentity(system, "/state", identity);
  const { id } = await readMachineId(system); // Of the host's name: Pennon has drawn one instead.
  assertEquals((await handBack(enrolment))?.strangeMachineId, id);
});
