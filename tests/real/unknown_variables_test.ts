import { assertEquals } from "@std/assert";
import { projectUrl } from "./deno_child.ts";

Deno.test({
  name: "a mistyped variable of the environment is named by config check",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const state = await Deno.makeTempDir();
    try {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-prompt", projectUrl("main.ts"), "config", "check"].concat([
          "--state-dir",
          state,
        ]),
        env: { PENNON_SCANNERS_IGNORED: "a,b=c", PENNON_SCANNERS_IGNORE: "a", NO_COLOR: "1" },
      }).output();
      const lines = new TextDecoder().decode(stderr).split("\n")
        .filter((line) => line.includes("PENNON_SCANNERS"));
      assertEquals([code, lines], [0, [
        "pennon: the variable PENNON_SCANNERS_IGNORED has no effect: there is no such setting; " +
        'did you mean "PENNON_SCANNERS_IGNORE"?',
      ]]);
    } finally {
      await Deno.remove(state, { recursive: true });
    }
  },
});
