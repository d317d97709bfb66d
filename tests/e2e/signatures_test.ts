/** Signed commands of a server of age 0.2, good ones and those of someone who is not the server. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { SignMode } from "../../tools/refserver/age02/signing.ts";
import { type Host, onHost } from "./harness.ts";
import { runRapidly } from "./outage.ts";

const AGE_02 = { age: "0.2", settings: { autoHeartbeat: false } } as const;

/** What `pennon status --json` says of signatures. */
async function signing(host: Host) {
  const { out } = await host.pennon(["status", "--json"]);
  return JSON.parse(out).signing;
}

/** Queues a command, and waits for what the agent reports of it. */
async function outcome(
  host: Host,
  order: { sign?: SignMode; signedAtOffsetS?: number; signatureOf?: string } = {},
): Promise<{ result: string; stderr: string }> {
  const id = host.server.queueCommand({ type: "collect_specs", ...order });
  await host.until("report", () => host.logOf(id) !== undefined);
  const { result = "", stderr = "" } = host.logOf(id) ?? {};
  return { result, stderr };
}

Deno.test("a server of 0.2: its key is pinned at registration, and only what it signed is run", () =>
  onHost(async (host) => {
    await host.register();
    const [key] = host.server.state().age02?.keys ?? [];
    const before = await signing(host);
    assertEquals([before.key_id, before.source], [key?.keyId, "first_use"]);
    const agent = await runRapidly(host);
    const good = await outcome(host);
    assertEquals(good.result, "success");
    const hostile: [why: string, order: Parameters<typeof outcome>[1]][] = [
      ["it has no signature", { sign: "none" }],
      ["its signature is not valid", { sign: "wrong" }],
      ["its signature is not valid", { sign: "other_key" }],
      ["it is signed with a key that is not trusted", { sign: "unknown_key" }],
      ["it is for another agent", { sign: "other_agent" }],
      ["its signature is not valid", { sign: "relabelled" }],
      ["its signature is not valid", { sign: "other_params" }],
      ["its signature is not valid", { sign: "other_type" }],
      ["its signature is not valid", { sign: "other_id" }],
      ["its signature is not valid", { sign: "v2" }],
      ["the time of its signature cannot be read", { sign: "v1" }],
      ["its signature is too old", { signedAtOffsetS: -5 * 3_600 }],
      ["its signature is from the future", { signedAtOffsetS: 600 }],
    ];
    for (const [why, order] of hostile) {
      const { result, stderr } = await outcome(host, order);
      assertEquals(result, "failed", JSON.stringify(order));
      assertStringIncludes(stderr, `not run: ${why}`);
    }
    // The same command again, and the rest of the agent: unharmed.
    const id = host.server.state().commands[0]!.id;
    host.server.operator().replay(id);
    assertEquals((await outcome(host)).result, "success");
    assertEquals(host.server.state().logs.filter((log) => log.command_id === id).length, 1);
    const { key_id, refused_commands, commands_refused, last_refusal } = await signing(host);
    assertEquals([key_id, refused_commands, commands_refused], [key?.keyId, 13, false]);
    assertEquals(last_refusal.reason, "from_the_future");
    assertEquals(agent.lines.filter((line) => line.includes('"command_refused"')).length, 13);
    // Its advice cannot mend it: it says where to read who may send such commands.
    const { health } = JSON.parse((await host.pennon(["status", "--json"])).out);
    const heard = health.reasons.find(({ code }: { code: string }) => code === "commands_refused");
    assertStringIncludes(
      heard.next_step,
      "see docs/security.md, signed commands: somebody may send",
    );
    const page = await Deno.readTextFile(new URL("../../docs/security.md", import.meta.url));
    assertStringIncludes(page, "\n## Signed commands\n");
    assertEquals(host.server.state().violations, []);
  }, AGE_02));

Deno.test("a server of 0.2: an announced key is followed, a swapped one is not, until its owner names it", () =>
  onHost(async (host) => {
    await host.register();
    const first = await runRapidly(host);
    const { keyId: second } = host.server.operator().rotateKey();
    assertEquals((await outcome(host)).result, "success");
    assert(first.lines.some((line) => line.includes('"key_announced"')));
    await first.stop("SIGTERM");
    const { keyId: swapped, publicKey } = host.server.operator().rotateKey({ retireOld: true });
    const again = await runRapidly(host);
    const refused = await outcome(host);
    assertEquals(refused.result, "failed");
    assertStringIncludes(refused.stderr, "the server shows a signing key that is not trusted");
    assert(again.lines.some((line) => line.includes('"key_changed"')));
    const { out } = await host.pennon(["status"]);
    assertStringIncludes(out, `all commands refused: the server shows the key ${swapped}`);
    assertEquals((await signing(host)).other_key_ids, [second]);
    await again.stop("SIGTERM");
    await runRapidly(host, { config: `[server]\npublic_key = "${publicKey}"\n` });
    assertEquals((await outcome(host)).result, "success");
    const { key_id, source, commands_refused } = await signing(host);
    assertEquals([key_id, source, commands_refused], [swapped, "configuration", false]);
    assertEquals(host.server.state().violations, []);
  }, AGE_02));

Deno.test("a server that becomes one of 0.2: the agent pins its key at the first signed command", () =>
  onHost(async (host) => {
    host.server.operator().set({ signing: false });
    await host.register();
    assertEquals((await signing(host)).unsigned_commands, "read_only");
    const agent = host.run();
    assertEquals((await outcome(host, { sign: "none" })).result, "success");
    await agent.stop("SIGTERM"); // It asks for the key again only minutes later.
    host.server.operator().set({ signing: true });
    host.run();
    assertEquals((await outcome(host)).result, "success");
    assertEquals((await signing(host)).source, "first_use");
    const { result, stderr } = await outcome(host, { sign: "none" });
    assertEquals([result, stderr.includes("it has no signature")], ["failed", true]);
  }, AGE_02));
