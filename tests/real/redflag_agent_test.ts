import { assert, assertEquals } from "@std/assert";
import { findRedflagActivity } from "../../src/host/redflag_agent.ts";
import { realSystem } from "../../src/system/real.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test({
  ...onLinux,
  name: "findRedflagActivity() finds a process of RedFlag's agent by its name, and no other",
  fn: async () => {
    const before = await findRedflagActivity(realSystem());
    if (before.kind === "runs") return console.log("skipped: RedFlag's agent is on this host");
    const folder = await Deno.makeTempDir({ prefix: "pennon-redflag-" });
    try {
      for (
        const [name, isTheirs] of [["redflag-agent", true], ["redflag-agent2", false]] as const
      ) {
        await Deno.copyFile("/usr/bin/sleep", `${folder}/${name}`);
        const program = new Deno.Command(`${folder}/${name}`, { args: ["60"] }).spawn();
        try {
          const found = await findRedflagActivity(realSystem());
          assertEquals(found.kind === "runs", isTheirs, name);
          if (found.kind === "runs") assert(found.fact.includes("process"), found.fact);
        } finally {
          program.kill("SIGKILL");
          await program.status;
        }
      }
      assertEquals(await findRedflagActivity(realSystem()), before);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
