import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { leaveRoot, parseAccount } from "../../src/service/account.ts";
import { FakeSystem } from "../fakes/system.ts";

const STATE = "/var/lib/pennon";
const PASSWD = "root:x:0:0:root:/root:/bin/bash\n" +
  "pennon2:x:5:5::/:/bin/sh\npennon:x:997:996:Pennon update agent:/var/lib/pennon:/usr/sbin/nologin\n";

/** The user that it ends as. */
async function userAfter(
  { userId = 0, owner = 997, passwd = PASSWD, fails = "" },
): Promise<number> {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => userId };
  system.files.texts.set("/etc/passwd", passwd).set(`${STATE}/identity.json`, "");
  system.files.owners.set(STATE, owner);
  if (fails !== "") system.files.fail(fails, "failed");
  await leaveRoot(system, STATE);
  return system.machine.userId() ?? -1;
}

Deno.test("root becomes the account of the service on that account's state directory", async () => {
  assertEquals(await userAfter({}), 997);
});

Deno.test("root stays root on any other directory, and without the account", async () => {
  assertEquals(await userAfter({ owner: 0 }), 0);
  assertEquals(await userAfter({ owner: 1_000 }), 0);
  assertEquals(await userAfter({ passwd: "" }), 0);
  assertEquals(await userAfter({ passwd: PASSWD.replaceAll("pennon:", "other:") }), 0);
});

Deno.test("another user stays that user, and an unreadable file changes nothing", async () => {
  assertEquals(await userAfter({ userId: 1_000 }), 1_000);
  assertEquals(await userAfter({ fails: "read the accounts" }), 0);
  assertEquals(await userAfter({ fails: "look at the state directory" }), 0);
});

Deno.test("parseAccount() takes a whole line of that very name", () => {
  assertEquals(parseAccount(PASSWD, "pennon"), {
    userId: 997,
    groupId: 996,
    home: "/var/lib/pennon",
  });
  const lines = ["", "pennon", "pennon:x:a:1::/h:", "pennon:x:1:-1::/h:", "pennon:x:1:1::h:"]
    .concat(" pennon:x:1:1::/h:", "pennon:x::1::/h:", "apennon:x:1:1::/h:");
  for (const line of lines) assertEquals(parseAccount(line, "pennon"), null, line);
});

Deno.test("parseAccount() never answers numbers that are not in the text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const account = parseAccount(text, "pennon");
    if (account === null) return;
    assertEquals(text.includes(`:${account.home}`), true);
    assertEquals(Number.isSafeInteger(account.userId + account.groupId), true);
  }));
});
