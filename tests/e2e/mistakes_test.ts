/** What somebody types by mistake, or from a strange place: the error names the mistake, and its advice helps. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lacks } from "../real/lacks.ts";
import { take, WITHOUT_RIGHTS, wrapped } from "./advice.ts";
import { onHost, TOKEN } from "./harness.ts";

const onUnix = Deno.build.os !== "windows";
const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;

Deno.test({
  name: "mistake: a device is named as a configuration, and nobody is told to move it away",
  ignore: !onUnix,
  fn: () =>
    onHost(async (host) => {
      const { code, err } = await take(["status", "--config", "/dev/null"]);
      assertEquals(code, 2);
      assertStringIncludes(
        err,
        "is a device, not a regular file. Next: name a regular file instead",
      );
      const config = ["--config", `${host.folder}/config.toml`];
      const named = ["config", "check", ...config, "--state-dir", host.stateDirectory];
      assertEquals((await take(named)).code, 0);
    }),
});

Deno.test({
  name:
    "mistake: the state directory is a file, or below one, and is not called a host without registration",
  ignore: !onUnix,
  fn: () =>
    onHost(async (host) => {
      const file = `${host.folder}/a file`;
      await Deno.writeTextFile(file, "");
      const at = (words: readonly string[], directory: string) =>
        take([...words, "--config", `${host.folder}/config.toml`, "--state-dir", directory]);
      const register = ["register", "--server", host.server.url, "--token", TOKEN];
      for (
        const words of [["status"], ["run"], ["events", "list"], ["breaker", "list"], register]
      ) {
        for (const directory of [file, `${file}/below`]) {
          const { code, out, err } = await at(words, directory);
          assertEquals([code, out], [2, ""], err);
          assertStringIncludes(
            err,
            `Cannot use the state directory: "${file}" is a regular file, not a directory`,
          );
        }
      }
      if (isRoot) { // Who else can make a device?
        const device = `${host.folder}/null`;
        await new Deno.Command("mknod", { args: [device, "c", "1", "3"] }).output();
        const { code, err } = await at(["status"], `${device}/x`);
        assertEquals(code, 2);
        assertStringIncludes(err, `"${device}" is a device, not a directory. Next: give another`);
        assert(!/chmod|mv /.test(err), err);
      }
      const { err } = await at(register, file);
      const [, command = ""] = /or move that away:\s+(mv .+)\n/.exec(err) ?? [];
      const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
      assert(success, err);
      assertEquals((await at(register, file)).code, 0);
      assertEquals(host.server.state().agents.length, 1);
    }),
});

Deno.test({
  name:
    "mistake: a directory whose name breaks lines, and the advice is still one that a shell understands",
  ignore: !onUnix || await lacks("bash"),
  fn: () =>
    onHost(async (host) => {
      const directory = `${host.folder}/a b\nc\t\u202e'd`;
      const config = ["--config", `${host.folder}/config.toml`];
      const { code, out, err } = await take(["status", ...config, "--state-dir", directory]);
      assertEquals(code, 3);
      for (const text of [out, err]) {
        const [, command = ""] =
          /Next:\s+pennon (register .+) --server URL --token TOKEN/.exec(text) ?? [];
        const args = ["-c", `printf "%s\\0" ${command}`];
        const { stdout } = await new Deno.Command("bash", { args }).output();
        const words = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
        assertEquals(words, ["register", ...config, "--state-dir", directory], text);
      }
      const words = ["register", ...config, "--state-dir", directory];
      const server = ["--server", host.server.url, "--token", TOKEN];
      assertEquals((await take([...words, ...server])).code, 0);
      assertEquals((await take(["run", "--once", ...words.slice(1)])).code, 0);
    }),
});

Deno.test({
  name: "mistake: the configuration is another user's, as HOME says, and can be named",
  ignore: !isRoot || await lacks("setpriv"),
  fn: () =>
    onHost(async (host) => {
      const closed = `${host.folder}/closed.toml`;
      await Deno.writeTextFile(closed, "", { mode: 0o600 });
      await Deno.chmod(closed, 0o000);
      const command = ["setpriv", WITHOUT_RIGHTS[1]] as const;
      const open = await wrapped(host, command, ["config", "check"]);
      assertEquals(open.code, 0, open.said);
      await Deno.chmod(`${host.folder}/config.toml`, 0o000);
      const { code, said } = await wrapped(host, command, ["config", "check"]);
      assertEquals(code, 2);
      assertStringIncludes(
        said,
        'ermission denied. Next: let this user read it, or name another file with "--config"',
      );
    }),
});

Deno.test("mistake: what is piped into a command that wants a token is named, however much it is", () =>
  onHost(async (host) => {
    const words = ["register", "--server", host.server.url, "--token", "-"];
    const rows: [input: string, says: string][] = [
      ["", "stdin holds no token"],
      ["  \n\n", "stdin holds no token"],
      ["a".repeat(5_000_000), "is longer than 8192 characters"],
      ["two words", "the registration token contains"],
      ["one\ntwo\n", "the registration token contains a line break"],
      ["\u0000\u0001", "the registration token contains"],
    ];
    for (const [input, says] of rows) {
      const { code, out, err } = await host.pennon(words, input);
      assertEquals([code, out], [2, ""], says);
      assertStringIncludes(err, says);
    }
    assertEquals((await host.pennon(words, `  ${TOKEN}\n`)).code, 0);
  }));
