/** Traps of RedFlag 0.2 that lie in files of its agent, so that the reference server cannot have them. */

import { assertEquals } from "@std/assert";
import { readRedflagConfig } from "../../src/agent/redflag_config.ts";
import { KeyRing, REDFLAG_KEY_FILE } from "../../src/connection/key_ring.ts";
import type { Answer } from "../../src/server/answer.ts";
import { FakeLog } from "../fakes/log.ts";
import { SigningServer } from "../fakes/signing_server.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("trap 37: the server's key file has two forms, and both pin the same key", async () => {
  const { key } = new SigningServer();
  const raw = Uint8Array.fromHex(key.publicKey);
  const forms = [raw, new TextEncoder().encode(`${key.publicKey}\n`)];
  for (const bytes of forms) {
    const system = new FakeSystem();
    // Made, as its installer makes it, by root; a file has only bytes here where a test reads bytes.
    system.files.texts.set(REDFLAG_KEY_FILE, "");
    system.files.modes.set(REDFLAG_KEY_FILE, 0o644);
    system.files.owners.set(REDFLAG_KEY_FILE, 0);
    system.files.readBytes = (_purpose, path) =>
      Promise.resolve(path === REDFLAG_KEY_FILE ? bytes : undefined);
    const publicKeys = (): Promise<Answer<never>> => Promise.resolve({ kind: "aborted" });
    const ring = new KeyRing({
      system,
      log: new FakeLog(),
      stateDirectory: "/state",
      client: { publicKeys },
      configuredKey: null,
    });
    await ring.open();
    assertEquals([ring.keys?.trust.pinned, ring.keys?.trust.source], [key, "key_file"]);
  }
});

Deno.test("trap 37: config.json may begin with a byte order mark", () => {
  const text = JSON.stringify({
    server_url: "https://redflag.test",
    agent_id: "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11",
    token: "access",
    refresh_token: "refresh",
  });
  assertEquals(readRedflagConfig(`\ufeff${text}`).refreshToken, "refresh");
});
