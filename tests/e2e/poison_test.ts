/** One bad item in a long list, against a server that answers 500 to the whole list, for ever. */

import { assert, assertEquals } from "@std/assert";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";
import { onHost, within } from "./harness.ts";

const ITEMS = 200;
const LIMITS = { maxEvents: 50_000, maxBytes: 67_108_864, maxAttempts: 10 };

/** A list as the agent makes it, but for the severity of one item, which no column takes. */
function poisoned(commandId: string, bad: number): string {
  const updates = Array.from({ length: ITEMS }, (_, number) => ({
    package_type: "apt",
    package_name: `package-${number}`,
    current_version: "1",
    available_version: "2",
    severity: number === bad ? "dreadful" : "low",
  }));
  return JSON.stringify({ command_id: commandId, timestamp: "2026-11-24T12:00:00Z", updates });
}

for (const bad of [0, 137, ITEMS - 1]) {
  Deno.test(`a bad item, the ${bad + 1}. of ${ITEMS}: the others arrive, it is left alone`, () =>
    onHost(async (host) => {
      await host.register();
      const commandId = crypto.randomUUID();
      const opened = await openBuffer(realSystem(), host.stateDirectory, LIMITS);
      opened.buffer.append([
        { kind: "updates", commandId, snapshotOf: "updates/apt", body: poisoned(commandId, bad) },
        { kind: "log", commandId, snapshotOf: null, body: scanLog(commandId) },
      ]);
      opened.close();
      const requests = () =>
        host.server.state().requests.filter(({ path }) => path.endsWith("/updates")).length;
      const agent = host.run();
      await host.until("199 updates", () => host.server.state().updates.length === ITEMS - 1);
      const sent = requests();
      await within(agent.stop("SIGTERM"), "the end");
      const names = new Set(host.server.state().updates.map((update) => update.package_name));
      assertEquals(names.size, ITEMS - 1);
      assert(!names.has(`package-${bad}`));
      const { buffer, close } = await openBuffer(realSystem(), host.stateDirectory, LIMITS);
      const left = buffer.list().find(({ kind }) => kind === "updates");
      close();
      assert(left);
      // What is left to ten attempts comes after pauses that are not waited for here.
      const inAll = sent + LIMITS.maxAttempts - left.attempts;
      assert(inAll <= 2 * Math.log2(ITEMS) + 3, `${inAll} requests, ${sent} so far`);
      assertEquals(JSON.parse(left.body).updates[0].package_name, `package-${bad}`);
    }));
}

function scanLog(commandId: string): string {
  return JSON.stringify({
    command_id: commandId,
    action: "scan_updates",
    result: "success",
    stdout: "",
    stderr: "",
    exit_code: 0,
    duration_seconds: 1,
  });
}
