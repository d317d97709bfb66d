/** The program, as root and as somebody else, on files that other users own or can write. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lacks } from "../real/lacks.ts";
import { type Ended, EXECUTABLE, type Host, onHost, within } from "./harness.ts";

/** An account that owns nothing here; only its number counts. */
const OTHER = 54_321;

const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;
const needsRoot = { ignore: !isRoot }; // Only root can give files away.

/** Runs the commands that the program advises, each behind a "Next: ". */
async function follow({ err }: Ended): Promise<void> {
  const commands = [...err.matchAll(/Next: (ch(?:mod|own) [^,\n]+)/g)].map(([, command]) =>
    command ?? ""
  );
  assert(commands.length > 0, err);
  for (const command of commands) {
    const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
    assert(success, command);
  }
}

/** Refused with 2 and `says`; and the advice, taken, is enough. */
async function isRefused(host: Host, words: readonly string[], says: string): Promise<void> {
  const refused = await host.pennon(words);
  assertEquals(refused.code, 2, refused.err);
  assertStringIncludes(refused.err, says);
  assertEquals(refused.out, "");
  for (let more = refused; more.code === 2; more = await host.pennon(words)) await follow(more);
  const fine = await host.pennon(words);
  assertEquals(fine.code, 0, fine.err);
  assert(!fine.err.includes("trust"), fine.err);
}

const CHECK = ["config", "check"];

Deno.test({
  ...needsRoot,
  name: "root takes no configuration that others can write, own or replace",
  fn: () =>
    onHost(async (host) => {
      const path = `${host.folder}/config.toml`;
      assertEquals((await host.pennon(CHECK)).err, "");
      await Deno.chmod(path, 0o666);
      await isRefused(host, CHECK, `"${path}" can be written by every user (mode 666)`);
      await Deno.chown(path, OTHER, OTHER);
      await isRefused(host, CHECK, `"${path}" belongs to user ${OTHER}`);
      await Deno.chmod(host.folder, 0o777);
      await isRefused(host, CHECK, `"${host.folder}" can be written by every user`);
      await Deno.chown(host.folder, OTHER, OTHER);
      // That may be a user's home, which nobody is told to take away: the file has to move.
      const { code, err } = await host.pennon(CHECK);
      assertEquals(code, 2);
      assertStringIncludes(err, `"${host.folder}" belongs to user ${OTHER}. Next: move the file`);
      await Deno.chown(host.folder, 0, 0);
      // A directory that is shared, where each moves what is his own alone.
      await Deno.chmod(host.folder, 0o1777);
      assertEquals((await host.pennon(CHECK)).code, 0);
      await Deno.chmod(host.folder, 0o700);
      // A link counts as what it leads to, and so does each directory on its way.
      await Deno.mkdir(`${host.folder}/open`);
      await Deno.chmod(`${host.folder}/open`, 0o777);
      await Deno.rename(path, `${host.folder}/real.toml`);
      await Deno.symlink(`open/link.toml`, path);
      await Deno.symlink("../real.toml", `${host.folder}/open/link.toml`);
      await isRefused(host, CHECK, `"${host.folder}/open" can be written by every user`);
    }),
});

Deno.test({
  ...needsRoot,
  name: "root takes no state directory that others can write, own or replace",
  fn: () =>
    onHost(async (host) => {
      await host.register();
      const state = host.stateDirectory;
      const words = ["status", "--json"];
      await Deno.chmod(state, 0o777);
      await isRefused(host, words, `"${state}" can be written by every user`);
      await Deno.chown(state, OTHER, OTHER);
      for (const command of [["run", "--once"], ["events", "list"], ["unregister"]]) {
        const { code, err } = await host.pennon(command);
        assertEquals(code, 2, command.join(" "));
        assertStringIncludes(err, `or run pennon as user ${OTHER}`);
      }
      await isRefused(host, words, `"${state}" belongs to user ${OTHER}`);
      // One that is not there yet is looked for on the way to it.
      await Deno.mkdir(`${host.folder}/open`);
      await Deno.chmod(`${host.folder}/open`, 0o777);
      const below = ["scan", "--only", "winget", "--state-dir", `${host.folder}/open/state`];
      const scanned = await host.start(below).ended;
      assertEquals(scanned.code, 2);
      // A link to a directory of one's own will do.
      await Deno.rename(state, `${host.folder}/elsewhere`);
      await Deno.symlink("elsewhere", state);
      const linked = await host.pennon(words);
      assertEquals([linked.code, linked.err], [0, ""]);
      const once = await host.pennon(["run", "--once"]);
      assertEquals(once.code, 0, once.err);
    }),
});

Deno.test({
  ...needsRoot,
  name: "a key that others can read is not used, nor certificates that others can write",
  fn: () =>
    onHost(async (host) => {
      const names = ["ca_file", "certificate_file", "key_file"];
      for (const name of names) {
        await Deno.writeTextFile(`${host.folder}/${name}`, "no PEM", { mode: 0o600 });
      }
      const settings = names.map((name) => `${name} = "${host.folder}/${name}"\n`);
      await Deno.writeTextFile(
        `${host.folder}/config.toml`,
        `[tls]\n${settings.join("")}`,
      );
      const words = ["register", "--server", host.server.url, "--token", "t"];
      const says = async (code: number, text: string) => {
        const ended = await host.pennon(words);
        assertEquals(ended.code, code, ended.err);
        assertStringIncludes(ended.err, text);
      };
      const key = `${host.folder}/key_file`;
      await Deno.chmod(key, 0o644);
      await says(2, `Cannot trust tls.key_file: "${key}" can be read by every user (mode 644)`);
      await Deno.chmod(key, 0o640);
      await Deno.chmod(`${host.folder}/ca_file`, 0o666);
      await says(2, `Cannot trust tls.ca_file: "${host.folder}/ca_file" can be written by`);
      await Deno.chmod(`${host.folder}/ca_file`, 0o644);
      await Deno.remove(`${host.folder}/config.toml`);
      await Deno.writeTextFile(`${host.folder}/config.toml`, "");
      const adopted = `${host.folder}/adopt.json`;
      await Deno.writeTextFile(adopted, "{}");
      await Deno.chmod(adopted, 0o666);
      words.splice(1, 4, "--adopt", adopted);
      await says(2, `Cannot trust the other agent's configuration: "${adopted}" can be written`);
    }),
});

/** What runs a program as another user. */
const AS_OTHER = ["setpriv", `--reuid=${OTHER}`, `--regid=${OTHER}`, "--clear-groups"] as const;

Deno.test({
  // Nobody else may read root's Deno and its cache: only the executable runs as another user.
  ignore: !isRoot || EXECUTABLE === undefined || await lacks("setpriv"),
  name: "an ordinary user scans with root's configuration, and is warned of others'",
  fn: async () => {
    await onHost(async (host) => {
      await Deno.chmod(host.folder, 0o755);
      const path = `${host.folder}/config.toml`;
      await Deno.chmod(path, 0o644);
      // Of a scanner that is not here: the configuration is all that counts.
      const scan = async () => {
        const program = host.start(["scan", "--only", "winget"], { wrap: [...AS_OTHER] });
        await within(program.ended, "the scan");
        const said = program.lines.join("\n");
        assertStringIncludes(said, "Cannot scan with winget: it is not on this host");
        return program.lines.filter((line) => / is not safe: |Cannot trust/.test(line));
      };
      assertEquals(await scan(), []);
      await Deno.chown(path, OTHER + 1, OTHER + 1);
      const [warning = ""] = await scan();
      assertStringIncludes(warning, `the configuration is not safe: "${path}" belongs to user`);
    });
  },
});

Deno.test({
  ignore: !isRoot || await lacks("unshare", "chroot", "mount"),
  name: "a host whose / belongs to another user is told of, and runs",
  fn: async () => {
    await onHost(async (host) => {
      await host.register();
      const inside = `${host.folder}/inside`;
      await Deno.mkdir(inside, { mode: 0o755 });
      await Deno.chown(inside, OTHER, OTHER);
      // All of this host's directories, below a root that is another user's.
      const script = `
        for name in /*; do
          [ -d "$name" ] && [ ! -h "$name" ] && mkdir "$0$name" && mount --rbind "$name" "$0$name"
          [ -h "$name" ] && cp -P "$name" "$0$name"
        done
        exec chroot "$0" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"`;
      const program = host.start(["run", "--once"], {
        wrap: ["unshare", "--mount", "sh", "-c", script, inside],
      });
      const { code } = await within(program.ended, "the program");
      const said = program.lines.join("\n");
      assertEquals(code, 0, said);
      assertStringIncludes(said, `"/" belongs to user ${OTHER}, who can replace every file`);
      assert(!said.includes("Cannot trust"), said);
    });
  },
});
