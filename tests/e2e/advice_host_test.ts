/**
 * Advice on the host itself, taken on a host that plays each: another agent's process, a service manager that
 * is not there, or that lets only root in.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Program } from "../../tools/program.ts";
import { lacks } from "../real/lacks.ts";
import { advised, isWell, setConfig, take } from "./advice.ts";
import { EXECUTABLE, onHost, within } from "./harness.ts";

const onLinux = Deno.build.os === "linux";
const isRoot = onLinux && Deno.uid() === 0;
const hasSystemd = await Deno.stat("/run/systemd/system").then(() => true, () => false);

/** Another account, which the lists of accounts need not know. */
const OTHER = 54_321;

Deno.test({
  name: "advice on a process of RedFlag's agent: it is ended, and the agent is taken over",
  // From source on Deno 2.9.6, /proc is closed to the program.
  ignore: !onLinux || hasSystemd || EXECUTABLE === undefined || await lacks("sh"),
  fn: () =>
    onHost(async (host) => {
      await host.register();
      const path = `${host.stateDirectory}/identity.json`;
      const { server_url, agent_id, access_token: token, refresh_token } = JSON.parse(
        await Deno.readTextFile(path),
      );
      await Deno.remove(path);
      const file = `${host.folder}/redflag.json`;
      const config = { server_url, agent_id, token, refresh_token };
      await Deno.writeTextFile(file, JSON.stringify(config), { mode: 0o600 });
      const theirs = `${host.folder}/redflag-agent`;
      await Deno.copyFile("/bin/sleep", theirs);
      const process = new Program({ argv: [theirs, "60"] });
      try {
        const adopting = ["register", "--adopt", file];
        const { code, err } = await host.pennon(adopting);
        assertEquals(code, 1);
        const [, command = ""] = /Next: end it: (kill \d+)\n/.exec(err) ?? [];
        assertEquals(command, `kill ${process.processId}`, err);
        assertStringIncludes(
          err,
          "Or: stop it for good: sudo systemctl disable --now redflag-agent\n",
        );
        const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
        assert(success, command);
        await within(process.ended, "the end of the other agent");
        const adopted = await host.pennon(adopting);
        assertEquals(adopted.code, 0, adopted.err);
        await isWell(host);
      } finally {
        await process.stop("SIGKILL");
      }
    }),
});

Deno.test({
  name: "advice on a host without systemd: the agent runs by itself, and its log can be kept",
  ignore: !onLinux || hasSystemd,
  fn: () =>
    onHost(async (host) => {
      await host.register();
      const { code, err } = await host.pennon(["service", "install"]);
      assertEquals(code, 1);
      assertStringIncludes(err, "systemd does not run here. Next: start ");
      const [, print = ""] = /"pennon (service install --print)" shows the unit/.exec(err) ?? [];
      const shown = await take(print.split(" "));
      assertEquals(shown.code, 0, shown.err);
      assert(/^\[Service\]$/m.test(shown.out), shown.out);
      const run = advised(host, err, "run");
      assertEquals((await take([...run, "--once"])).code, 0);
      const logs = await host.pennon(["service", "logs"]);
      assertEquals(logs.code, 1);
      assertStringIncludes(logs.err, "or set log.file, which keeps the log in the state directory");
      await setConfig(host, '[log]\nfile = "pennon.log"\n');
      await isWell(host);
      const log = await Deno.readTextFile(`${host.stateDirectory}/pennon.log`);
      assertStringIncludes(log, "agent started");
    }),
});

Deno.test({
  name: "advice on a service that only root may install or remove: root may",
  // From source another account cannot read the modules; and a real systemd would obey.
  ignore: !isRoot || hasSystemd || EXECUTABLE === undefined || await lacks("unshare", "setpriv"),
  fn: () =>
    onHost(async (host) => {
      await Deno.chmod(host.folder, 0o755);
      const program = `${host.folder}/pennon`;
      await Deno.copyFile(EXECUTABLE ?? "", program);
      // systemd runs, as far as the program can see.
      const play = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$@"';
      const played = ["unshare", "--mount", "sh", "-c", play, "sh"];
      const drop = ["setpriv", `--reuid=${OTHER}`, `--regid=${OTHER}`, "--clear-groups"];
      const run = async (...words: string[]) => {
        const { code, stdout, stderr } = await new Deno.Command(played[0] ?? "", {
          args: [...played.slice(1), ...words],
          env: { NO_COLOR: "1" },
        }).output();
        return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
      };
      const ends: [verb: string, code: number, said: string][] = [
        // A step further: this program is where no service can see it.
        ["install", 1, `Next: sudo install -m 0755 ${program} /usr/local/bin/pennon && sudo `],
        ["uninstall", 0, "The service is not installed"],
      ];
      for (const [verb, code, said] of ends) {
        const refused = await run(...drop, program, "service", verb);
        assertEquals(refused.code, 1);
        const [, command = ""] = /only root can\. Next: sudo pennon (.+)\n/.exec(refused.said) ??
          [];
        assertEquals(command, `service ${verb}`, refused.said);
        const asRoot = await run(program, ...command.split(" "));
        assertEquals(asRoot.code, code, asRoot.said);
        assertStringIncludes(asRoot.said, said);
      }
    }),
});
