/** A hostile server with well-formed HTTP answers, against the real program. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Host, onHost, within } from "./harness.ts";

/** The commands of the next check-in as JSON, and further members of its answer. */
interface Next {
  commands: string;
  more: string;
}

/** Runs a story against a server whose next answer to a check-in the story provides. */
function withHostileServer(story: (host: Host, next: Next) => Promise<void>): Promise<void> {
  const next: Next = { commands: "", more: "" };
  return onHost((host) => story(host, next), {
    age: "0.1", // Of a server of 0.2 no command without a signature is run.
    rewrite(request, reply) {
      const isCheckIn = request.method === "GET" && request.path.endsWith("/commands");
      if (!isCheckIn || reply.status !== 200 || next.commands === "") return reply;
      const body = `{"commands":[${next.commands}]${next.more}}`;
      next.commands = next.more = "";
      return { ...reply, body };
    },
  });
}

const NESTED = 20_000;
const uuid = () => crypto.randomUUID();

function command(id: string, rest: string): string {
  return `{"id":${JSON.stringify(id)},${rest}}`;
}

function good(id: string): string {
  return command(id, '"type":"collect_specs","params":null');
}

/** Commands that are reported as `failed`, and a part of the reason. */
const REJECTED: readonly (readonly [rest: string, reason: string])[] = [
  ['"type":7', "its type is a number"],
  ['"type":""', "its type"],
  [`"type":"${"x".repeat(1_000_000)}"`, "its type is too long"],
  ['"params":{}', "its type is missing"],
  ['"type":"reboot","params":[]', "its params are an array"],
  ['"type":"reboot","params":"now"', "its params are a string"],
  ['"type":"reboot","params":7', "its params are a number"],
  [`"type":"reboot","params":{"a":"${"x".repeat(1_000_000)}"}`, "its params take 1000008 bytes"],
  [
    `"type":"reboot","params":${'{"a":'.repeat(NESTED)}1${"}".repeat(NESTED)}`,
    "its params take 120001 bytes",
  ],
  [
    `"type":"collect_specs","params":{"a":${"[".repeat(NESTED)}${"]".repeat(NESTED)}}`,
    "nested deeper than 16 levels",
  ],
  ['"type":"collect_specs","params":{"a":1e999}', "a number that is out of range"],
  ['"type":"collect_specs","params":{"a":tru}', "it is not valid JSON"],
];

/** Commands without a usable id. */
const COUNTED: readonly string[] = [
  "null",
  "7",
  "[]",
  "{}",
  '{"id":"../../etc/passwd","type":"reboot"}',
  '{"id":7,"type":"reboot"}',
  '{"id":"","type":"reboot"}',
  `{"id":"${"x".repeat(65)}","type":"reboot"}`,
  `{"id":"${"x".repeat(1_000_000)}","type":"reboot"}`,
  '{"id":"a\\u0000b\\u202e","type":"reboot"}',
  "[".repeat(NESTED) + "]".repeat(NESTED),
];

Deno.test("hostile commands do not affect the good ones around them", () =>
  withHostileServer(async (host, next) => {
    await host.register();
    const rejected = REJECTED.map(([rest, reason]) => ({ id: uuid(), rest, reason }));
    const hostile = [...rejected.map(({ id, rest }) => command(id, rest)), ...COUNTED];
    const goodIds = hostile.map(uuid);
    next.commands = hostile.flatMap((text, at) => [text, good(goodIds[at] ?? "")]).join(",");
    assert(next.commands.length < 4_000_000);
    next.more = `,"acknowledged_ids":[${Array.from({ length: 10_000 }, (_, n) => `"${n}"`)}]` +
      ',"rapid_polling":{"enabled":true,"until":"275760-09-13"}';
    const agent = host.run();
    const isAnswered = (id: string) => host.logOf(id) !== undefined;
    await host.until(
      "results",
      () => [...goodIds, ...rejected.map(({ id }) => id)].every(isAnswered),
    );
    for (const id of goodIds) assertEquals(host.logOf(id)?.result, "success");
    for (const { id, reason } of rejected) {
      const log = host.logOf(id);
      assertEquals([log?.result, log?.command_id], ["failed", id]);
      assertStringIncludes(log?.stderr ?? "", reason);
    }
    const { logs, violations } = host.server.state();
    assertEquals([logs.length, violations], [goodIds.length + rejected.length, []]);

    const ignored = agent.lines.filter((line) => line.includes("part of an answer ignored"))
      .map((line) => JSON.parse(line)).map(({ part, count, first }) => [part, count, first]);
    assertEquals(ignored.filter(([part]) => part === "commands"), [[
      "commands",
      COUNTED.length,
      "null",
    ]]);
    assertEquals(ignored.map(([part]) => part).toSorted(), [
      "acknowledged_ids",
      "commands",
      "rapid_polling",
    ]);
    // The same commands again have no effect: every id is known.
    next.commands = hostile.flatMap((text, at) => [text, good(goodIds[at] ?? "")]).join(",");
    await host.until("one more check-in", () => next.commands === "");
    const last = host.server.queueCommand({ type: "disable_heartbeat" });
    await host.until("the result of a good command", () => isAnswered(last));
    assertEquals(host.server.state().logs.length, logs.length + 1);
    if (Deno.build.os === "linux") {
      const status = await Deno.readTextFile(`/proc/${agent.processId}/status`);
      const residentKb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
      assert(residentKb < 150 * 1_024, `${residentKb} kB resident`);
    }
    await within(agent.stop("SIGTERM"), "the end");
    assertEquals((await agent.ended).code, 0);
  }));

Deno.test("an answer of 4 MiB without a valid command does not stop the agent", () =>
  withHostileServer(async (host, next) => {
    await host.register();
    const size = 4_100_000;
    const floods = [
      "[".repeat(size / 2) + "]".repeat(size / 2),
      Array(Math.floor(size / 3)).fill("[]").join(","),
      Array(Math.floor(size / 4)).fill("1e9").join(","),
      Array(Math.floor(size / 60)).fill(command("x", '"type":"reboot"')).join(","),
    ];
    for (const flood of floods) {
      next.commands = flood;
      const once = await host.pennon(["run", "--once"]);
      assertEquals([once.code, next.commands], [0, ""], once.err.slice(-500));
    }
    next.commands = "[".repeat(size);
    assertEquals((await host.pennon(["run", "--once"])).code, 1);
    const id = host.server.queueCommand({ type: "collect_specs" });
    await host.pennon(["breaker", "reset", "connection"]);
    const last = await host.pennon(["run", "--once"]);
    assertEquals(last.code, 0, last.err);
    assertEquals(host.logOf(id)?.result, "success");
  }));

Deno.test("a renewal with an invalid token keeps the old token", async () => {
  const bad = ["abc\nX-Evil: 1", "abc def", "äbc", "", 7];
  let renewals: unknown[] = [];
  await onHost(async (host) => {
    await host.register();
    const file = `${host.stateDirectory}/identity.json`;
    const tokens = async () => {
      const { access_token, refresh_token } = JSON.parse(await Deno.readTextFile(file));
      return [access_token, refresh_token];
    };
    const before = await tokens();
    for (const token of bad) {
      host.server.revokeTokens("access");
      renewals = [token];
      const { code, err } = await host.pennon(["run", "--once", "--log-level", "debug"]);
      assertEquals([code, renewals.length], [1, 0], err);
      assertStringIncludes(err, "but not the answer promised: token ");
      assertEquals(await tokens(), before);
      await host.pennon(["breaker", "reset", "connection"]);
    }
    const id = host.server.queueCommand({ type: "collect_specs" });
    const well = await host.pennon(["run", "--once"]);
    assertEquals(well.code, 0, well.err);
    assertEquals(host.logOf(id)?.result, "success");
    assert((await tokens())[0] !== before[0]);
    assertEquals((await host.pennon(["status"])).code, 0);
  }, {
    rewrite(request, reply) {
      const isRenewal = request.path.endsWith("/renew") && renewals.length > 0;
      return isRenewal ? { ...reply, body: JSON.stringify({ token: renewals.shift() }) } : reply;
    },
  });
});

Deno.test("a registration with an invalid token fails and saves nothing", async () => {
  let token = "abc\nX-Evil: 1";
  await onHost(async (host) => {
    const words = ["register", "--server", host.server.url, "--token", "-"];
    const { code, err } = await host.pennon(words, "a-registration-token");
    assertEquals(code, 1);
    assertStringIncludes(err, "token contains a line break");
    assertEquals((await host.pennon(["status"])).code, 3);
    token = "";
    await host.register();
    const typed = await host.pennon([...words, "--replace"], "two words");
    assertEquals(typed.code, 2);
    assertStringIncludes(typed.err, "the registration token contains white space");
  }, {
    age: "0.1", // A server of 0.2 has bound this machine to the agent whose token was damaged.
    rewrite(request, reply) {
      if (!request.path.endsWith("/register") || token === "") return reply;
      return { ...reply, body: JSON.stringify({ ...JSON.parse(reply.body), token }) };
    },
  });
});
