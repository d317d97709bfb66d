import { assert, assertEquals } from "@std/assert";
import {
  type CheckInAnswer,
  LONGEST_CHECK_IN_BYTES,
  MOST_COMMANDS,
  MOST_CONFIRMED,
  MOST_PARAMS_BYTES,
  MOST_SIGNED_LENGTH,
  readCheckIn,
} from "../../src/server/check_in_answer.ts";

function read(body: unknown): CheckInAnswer {
  const answer = readCheckIn(typeof body === "string" ? body : JSON.stringify(body));
  assert(answer.ok, answer.ok ? "" : answer.why);
  return answer.value;
}

/** A command as it came in, in JSON, between two good ones: what came of the three. */
function readBetween(item: string): Pick<CheckInAnswer, "commands" | "rejected" | "ignored"> {
  const good = (id: string) => JSON.stringify({ id, type: "scan_updates", params: {} });
  const answer = read(`{"commands":[${good("before")},${item},${good("after")}]}`);
  const ids = answer.commands.map(({ id }) => id);
  assertEquals([ids[0], ids.at(-1)], ["before", "after"], item.slice(0, 100));
  return { ...answer, commands: answer.commands.slice(1, -1) };
}

Deno.test("readCheckIn() reads what a server sends", () => {
  const body = {
    commands: [
      { id: "a1", type: "scan_updates", params: { refresh: true }, signature: "x", created_at: 1 },
      { id: "a2", type: "reboot", params: null },
      { id: "a3", type: "update_agent" },
    ],
    rapid_polling: { enabled: true, until: "2026-11-23T12:10:00Z" },
    acknowledged_ids: ["c1", "c2"],
    receipt_confirmed_ids: ["c3"],
    confirmed_command_ids: ["c3", "c4"],
    more: [{}],
  };
  const expected = {
    commands: [
      {
        id: "a1",
        type: "scan_updates",
        params: '{"refresh":true}',
        signed: {
          signature: "x",
          keyId: null,
          signedAt: null,
          agentId: null,
          createdAt: "", // A number is no timestamp.
        },
      },
      { id: "a2", type: "reboot", params: "null", signed: null },
      { id: "a3", type: "update_agent", params: "null", signed: null },
    ],
    rejected: [],
    rapidPolling: { enabled: true, until: "2026-11-23T12:10:00Z" },
    acknowledgedIds: ["c1", "c2"],
    receiptConfirmedIds: ["c3", "c4"],
    ignored: [],
  };
  assertEquals(read(body), expected);
  const spaced = read(JSON.stringify(body, null, 2)).commands[0];
  assertEquals(JSON.parse(spaced?.params ?? ""), { refresh: true });
  assertEquals(read({ commands: null }), {
    commands: [],
    rejected: [],
    rapidPolling: null,
    acknowledgedIds: [],
    receiptConfirmedIds: [],
    ignored: [],
  });
});

Deno.test("readCheckIn() refuses a body that is no answer to a check-in", () => {
  const rows: [string, string][] = [
    ["", "it is not a JSON object"],
    ["null", "it is not a JSON object"],
    ["[]", "it is not a JSON object"],
    ["<html>", "it is not a JSON object"],
    ["{}", "it has no list of commands"],
    ['{"commands":{}}', "it has no list of commands"],
    ['{"commands":[{"id":"a"', "it is not valid JSON (byte 23)"],
    ['{"commands":[]}}', "it is not valid JSON (byte 16)"],
    [`{"commands":[]}${" ".repeat(LONGEST_CHECK_IN_BYTES)}`, "it has more than 4194304 bytes"],
    [`{"commands":["${"€".repeat(1_500_000)}"]}`, "it has more than 4194304 bytes"],
    [`{${'"a":1,'.repeat(100)}"commands":[]}`, "it has more than 100 members"],
  ];
  for (const [body, why] of rows) assertEquals(readCheckIn(body), { ok: false, why });
});

Deno.test("readCheckIn() rejects a command with an id and no valid type", () => {
  const rows: [type: string, why: string][] = [
    ["", "its type is missing"],
    [',"type":7', "its type is a number, not a string"],
    [',"type":null', "its type is null, not a string"],
    [',"type":{}', "its type is an object, not a string"],
    [',"type":[]', "its type is an array, not a string"],
    [',"type":true', "its type is a boolean, not a string"],
    [',"type":""', 'its type is ""'],
    [',"type":"a b"', 'its type is "a b"'],
    [',"type":"a\\nb"', 'its type is "a\\nb"'],
    [',"type":"\\x"', 'its type is "\\x"'],
    [',"type":"a\tb"', 'its type is "a\\u0009b"'],
    [',"type":"\\ud800"', 'its type is "\\ud800"'],
    [',"type":"\u202eb"', 'its type is "\\u202eb"'],
    [`,"type":"${"x".repeat(101)}"`, `its type is "${"x".repeat(79)}...`],
    [`,"type":"${"x".repeat(998)}"`, `its type is "${"x".repeat(79)}...`],
    [`,"type":"${"x".repeat(999)}"`, "its type is too long"],
    [`,"type":"${"x".repeat(1_000_000)}"`, "its type is too long"],
    [`,"type":${"[".repeat(100_000)}${"]".repeat(100_000)}`, "its type is an array, not a string"],
  ];
  for (const [type, why] of rows) {
    const { commands, rejected, ignored } = readBetween(`{"id":"x"${type}}`);
    assertEquals([commands, rejected, ignored], [[], [{ id: "x", type: "unreadable", why }], []]);
  }
});

Deno.test("readCheckIn() rejects a command whose params cannot be stored", () => {
  const long = "x".repeat(1_000_000);
  const rows: [params: string, why: string][] = [
    ["[]", "its params are an array, not an object"],
    ['"now"', "its params are a string, not an object"],
    ["7", "its params are a number, not an object"],
    ["false", "its params are a boolean, not an object"],
    [`"${long}"`, "its params are a string, not an object"],
    [`{"a":"${long}"}`, `its params take 1000008 bytes, more than ${MOST_PARAMS_BYTES}`],
    [
      `{"a":"${"€".repeat(22_000)}"}`,
      `its params take 66008 bytes, more than ${MOST_PARAMS_BYTES}`,
    ],
    [
      `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
      `its params take 120001 bytes, more than ${MOST_PARAMS_BYTES}`,
    ],
  ];
  for (const [params, why] of rows) {
    const { commands, rejected, ignored } = readBetween(
      `{"id":"x","type":"reboot","params":${params}}`,
    );
    assertEquals([commands, rejected, ignored], [[], [{ id: "x", type: "reboot", why }], []]);
  }
  const { rejected } = readBetween(`{"id":"x","type":"t",${'"a":1,'.repeat(100)}"b":2}`);
  assertEquals(rejected, [{ id: "x", type: "t", why: "it has more than 100 members" }]);
});

Deno.test("readCheckIn() rejects a command with params that are no UTF-8, and no other", () => {
  const commands = ["x", "y"].map((id) => ({ id, type: "reboot", params: { a: `${id}-value` } }));
  const bytes = new TextEncoder().encode(JSON.stringify({ commands }));
  bytes[bytes.indexOf(0x2d)] = 0xff;
  const read = readCheckIn(bytes);
  assert(read.ok);
  assertEquals(read.value.commands.map(({ id }) => id), ["y"]);
  assertEquals(read.value.rejected, [{
    id: "x",
    type: "reboot",
    why: "its params are not UTF-8",
  }]);
});

Deno.test("readCheckIn() returns params that fit as they are written", () => {
  const most = `{"a":"${"x".repeat(MOST_PARAMS_BYTES - 8)}"}`;
  const deep = `${'{"a":'.repeat(1_000)}1${"}".repeat(1_000)}`;
  const texts = [
    '{"__proto__":{"a":1}}',
    '{"a":"\\ud800"}',
    '{"a":"\\u0000"}',
    '{"a":1e999}',
    deep,
  ];
  for (const params of [...texts, '{ "a" : "ä€😀\u2028" }', '{"a":tru}', most]) {
    const { commands } = readBetween(`{"id":"x","type":"reboot","params":${params}}`);
    assertEquals(commands, [{ id: "x", type: "reboot", params, signed: null }]);
  }
});

Deno.test("readCheckIn() counts items without a valid id, and quotes the first", () => {
  const rows: [item: string, first: string, why: string][] = [
    ["null", "null", "it is null, not an object"],
    ["7", "7", "it is a number, not an object"],
    ["[]", "[]", "it is an array, not an object"],
    ['"junk"', '"junk"', "it is a string, not an object"],
    ["{}", "{}", "it has no id"],
    ['{"type":"reboot"}', '{"type":"reboot"}', "it has no id"],
    ['{"id":7,"type":"reboot"}', "7", "its id is a number, not a string"],
    ['{"id":null}', "null", "its id is null, not a string"],
    ['{"id":{"a":1}}', '{"a":1}', "its id is an object, not a string"],
    ['{"id":["a"]}', '["a"]', "its id is an array, not a string"],
    ['{"id":""}', '""', 'its id is ""'],
    ['{"id":"../x"}', '"../x"', 'its id is "../x"'],
    ['{"id":"a\\u0000b"}', '"a\\u0000b"', 'its id is "a\\u0000b"'],
    ['{"id":"\\x"}', '"\\x"', 'its id is "\\x"'],
    ['{"id":"\u202e\u2028é"}', '"\\u202e\\u2028\\u00e9"', 'its id is "\\u202e\\u2028\\u00e9"'],
    [`{"id":"${"x".repeat(65)}"}`, `"${"x".repeat(65)}"`, `its id is "${"x".repeat(65)}"`],
    [`{"id":"${"x".repeat(1e6)}"}`, `"${"x".repeat(79)}...`, "its id is too long"],
    [
      `{"id":${"[".repeat(1e5)}${"]".repeat(1e5)}}`,
      `${"[".repeat(80)}...`,
      "its id is an array, not a string",
    ],
  ];
  for (const [item, first, why] of rows) {
    const { commands, rejected, ignored } = readBetween(item);
    assertEquals([commands, rejected], [[], []]);
    assertEquals(ignored, [{ part: "commands", count: 1, first, why }]);
  }
  const { ignored } = read(`{"commands":[null,{"id":7},{"id":"a","type":"t"},8]}`);
  const why = "it is null, not an object";
  assertEquals(ignored, [{ part: "commands", count: 3, first: "null", why }]);
});

Deno.test("readCheckIn() reads each id once, and prefers the valid command", () => {
  const { commands, rejected, ignored } = read({
    commands: [
      { id: "a" },
      { id: "a", type: "scan_updates" },
      { id: "a", type: "reboot" },
      { id: "b", type: 7 },
      { id: "b", type: [] },
      { id: "\u0061", type: "scan_updates" },
    ],
  });
  assertEquals(commands, [{ id: "a", type: "scan_updates", params: "null", signed: null }]);
  assertEquals(rejected.map(({ id, why }) => [id, why]), [[
    "b",
    "its type is a number, not a string",
  ]]);
  // The last one is the first again, as RedFlag sends a command that waited for more than 5 minutes.
  assertEquals(ignored.map(({ count, why }) => [count, why]), [[
    1,
    "another command in this answer has its id",
  ]]);
  // As JSON.parse has it, the last of two members of one name counts.
  assertEquals(read('{"commands":[{"id":"x","id":"y","type":"t"}]}').commands[0]?.id, "y");
});

Deno.test("readCheckIn() reads a command that stands twice in an answer once, and reports any difference", () => {
  const command = {
    id: "a",
    type: "scan_apt",
    params: { subsystem: "apt" },
    signature: "ab".repeat(64),
    key_id: "k",
    signed_at: "2026-11-30T10:00:00.123456Z",
    agent_id: "g",
    created_at: "2026-11-30T09:59:59Z",
  };
  const twice = read({ commands: [command, { ...command, retry: 1 }] });
  assertEquals(twice.ignored, []);
  assertEquals(twice.commands, [{
    id: "a",
    type: "scan_apt",
    params: '{"subsystem":"apt"}',
    signed: {
      signature: command.signature,
      keyId: "k",
      signedAt: "2026-11-30T10:00:00.123456Z",
      agentId: "g",
      createdAt: "2026-11-30T09:59:59Z",
    },
  }]);
  for (const other of [{ type: "reboot" }, { params: null }, { params: {} }, { signature: "0" }]) {
    const { commands, ignored } = read({ commands: [command, { ...command, ...other }] });
    assertEquals([commands, ignored.length], [twice.commands, 1], JSON.stringify(other));
  }
});

Deno.test("readCheckIn() keeps null apart from no params, and bounds each signed field", () => {
  const params = (text: string) =>
    read(`{"commands":[{"id":"a","type":"t"${text}}]}`).commands.map(({ params }) => params);
  assertEquals(params(""), ["null"]);
  assertEquals(params(',"params":null'), ["null"]);
  assertEquals(params(',"params":{}'), ["{}"]);
  assertEquals(params(',"params": {"b":1, "a":"&"}'), ['{"b":1, "a":"&"}']);
  const longest = "x".repeat(MOST_SIGNED_LENGTH);
  const rows: [signature: unknown, read: string | null | undefined][] = [
    [longest, longest],
    [`${longest}x`, ""],
    ["", ""],
    [7, ""],
    [{}, ""],
    ["a\nb", ""],
    [null, undefined],
  ];
  for (const [signature, expected] of rows) {
    const { commands } = read({ commands: [{ id: "a", type: "t", signature }] });
    assertEquals(commands[0]?.signed?.signature, expected, JSON.stringify(signature));
  }
  const { signed } = read({ commands: [{ id: "a", type: "t", key_id: "k" }] }).commands[0]!;
  assertEquals([signed?.signature, signed?.keyId], [null, "k"]);
});

Deno.test("readCheckIn() reads a limited number of commands and acknowledgements, and counts the rest", () => {
  const commands = Array.from({ length: MOST_COMMANDS + 5 }, (_, number) => ({
    id: `c${number}`,
    type: "reboot",
  }));
  const acknowledged_ids = Array.from({ length: 100_000 }, (_, number) => `a${number}`);
  const answer = read({ commands, acknowledged_ids });
  assertEquals(answer.commands.length, MOST_COMMANDS);
  assertEquals(answer.acknowledgedIds.length, MOST_CONFIRMED);
  assertEquals(answer.acknowledgedIds.at(-1), "a999");
  assertEquals(answer.ignored.map(({ part, count, why }) => [part, count, why]), [
    ["commands", 5, `more than ${MOST_COMMANDS} in one answer`],
    ["acknowledged_ids", 99_000, `more than ${MOST_CONFIRMED} in one answer`],
  ]);
  assert(answer.ignored[0]?.first.startsWith('{"id":"c200"'), answer.ignored[0]?.first);
});

Deno.test("readCheckIn() returns the valid acknowledgements", () => {
  const acknowledged_ids = ["a", 7, null, "../x", {}, "b", "a", "x".repeat(65)];
  const answer = read({ commands: [], acknowledged_ids });
  assertEquals(answer.acknowledgedIds, ["a", "b"]);
  const why = "it is a number, not a string";
  assertEquals(answer.ignored, [{ part: "acknowledged_ids", count: 5, first: "7", why }]);
  for (const other of [null, 7, "a", {}]) {
    assertEquals(read({ commands: [], acknowledged_ids: other }).acknowledgedIds, []);
  }
  assertEquals(read({ commands: [], acknowledged_ids: {} }).ignored.length, 1);
});

Deno.test("readCheckIn() reports a rapid polling that is too long, to the character", () => {
  const whyOf = (length: number) => {
    const rest = JSON.stringify({ enabled: true, more: "" }).length;
    const rapid_polling = { enabled: true, more: "x".repeat(length - rest) };
    return read({ commands: [], rapid_polling }).ignored.map(({ why }) => why);
  };
  assertEquals([whyOf(1_000), whyOf(1_001), whyOf(5_000)], [
    [],
    ["it has more than 1000 characters"],
    ["it has more than 1000 characters"],
  ]);
});

Deno.test("readCheckIn() accepts rapid polling only until an instant", () => {
  const rapid = (rapid_polling: unknown) => {
    const { rapidPolling, ignored } = read({ commands: [], rapid_polling });
    return [rapidPolling, ignored.length];
  };
  const until = "9999-12-31T23:59:59.123456789+14:00";
  assertEquals(rapid({ enabled: true, until }), [{ enabled: true, until }, 0]);
  assertEquals(rapid({ enabled: false }), [{ enabled: false, until: null }, 0]);
  assertEquals(rapid({ enabled: true, until: null }), [{ enabled: true, until: null }, 0]);
  assertEquals(rapid(null), [null, 0]);
  assertEquals(rapid({ enabled: false, more: [[[]]] }), [{ enabled: false, until: null }, 0]);
  assertEquals(rapid({ enabled: false, more: [[[[]]]] }), [null, 1], "five levels");
  const junk = ["tomorrow", "1", "", "2026", "+275760-09-13", "x".repeat(1_000_000), 7, {}, []];
  for (const until of junk) assertEquals(rapid({ enabled: true, until }), [null, 1], String(until));
  for (
    const other of [7, "on", [], { enabled: "yes" }, {}, { enabled: true, until: [[[[[[]]]]]] }]
  ) {
    assertEquals(rapid(other), [null, 1]);
  }
});
