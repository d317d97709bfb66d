import { assert } from "@std/assert";
import { FakeSystem } from "../fakes/system.ts";
import { say } from "./said.ts";

Deno.test("config show tells each value and where it came from, and hides the secret", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", '[server]\nurl = "https://file.test"\n');
  system.environment.set("PENNON_TOKEN", "very-secret");
  const { out } = await say(system, "config", "show", "--log-level", "debug");
  assert(!out.includes("very-secret"));
  assert(
    /^server\.url +https:\/\/file\.test +file: \/etc\/pennon\/config\.toml, line 2$/m.test(out),
  );
  assert(/^server\.registration_token +\(set\) +environment: PENNON_TOKEN$/m.test(out));
  assert(/^log\.level +debug +flag: /m.test(out), out);
});
