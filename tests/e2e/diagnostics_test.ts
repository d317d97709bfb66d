/** `pennon diagnostics` with the real program: a real archive, a terminal, and no secret in either. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { lacks } from "../real/lacks.ts";
import { type Host, onHost, within } from "./harness.ts";

const PASSWORD = "the-proxy-password";
const REGISTRATION = "another-registration-token";

async function unpack(folder: string, archive: string): Promise<Map<string, string>> {
  await Deno.mkdir(folder);
  const { success } = await new Deno.Command("tar", { args: ["xzf", archive, "-C", folder] })
    .output();
  assert(success, "tar cannot read the archive");
  const texts = new Map<string, string>();
  for await (const { name } of Deno.readDir(`${folder}/pennon-diagnostics`)) {
    texts.set(name, await Deno.readTextFile(`${folder}/pennon-diagnostics/${name}`));
  }
  return texts;
}

async function secretsOf(host: Host): Promise<string[]> {
  const read = async (name: string) =>
    JSON.parse(await Deno.readTextFile(`${host.stateDirectory}/${name}`));
  const { access_token, refresh_token } = await read("identity.json");
  const { registered } = await read("machine.json");
  const [, payload = "", signature = ""] = access_token.split(".");
  return [access_token, payload, signature, refresh_token, registered, PASSWORD, REGISTRATION];
}

Deno.test({
  name: "diagnostics writes an archive that tar reads, for its user alone, and never over another",
  ignore: await lacks("tar", "gzip"),
  async fn() {
    await onHost(async (host) => {
      await host.register();
      host.server.queueCommand({ type: "collect_specs" });
      assertEquals((await host.pennon(["run", "--once"])).code, 0);
      const config = await Deno.readTextFile(`${host.folder}/config.toml`);
      await Deno.writeTextFile(
        `${host.folder}/config.toml`,
        `${config}[server]\nregistration_token = "${REGISTRATION}"\n` +
          `[proxy]\nhttps = "http://me:${PASSWORD}@proxy.test:1"\n`,
      );
      const archive = `${host.folder}/out.tar.gz`;
      const words = ["diagnostics", "--output", archive];
      const unasked = await host.pennon(words);
      assertEquals(unasked.code, 2);
      assertMatch(
        unasked.err,
        /Next: pennon diagnostics .*--state-dir .* --yes --output .*\.tar\.gz$/m,
      );
      const { code, out, err } = await host.pennon([...words, "--yes"]);
      assertEquals([code, err], [0, ""]);
      const { mode, size } = await Deno.stat(archive);
      if (Deno.build.os !== "windows") assertEquals((mode ?? 0) & 0o777, 0o600);
      assert(size < 200_000);
      const texts = await unpack(`${host.folder}/unpacked`, archive);
      assertEquals([...texts.keys()].toSorted(), [
        ...["about.json", "configuration.json", "dead_letters.json", "doctor.json", "doctor.txt"],
        ...["log.txt", "state.json", "status.json", "status.txt"],
      ]);
      for (const name of texts.keys()) assertStringIncludes(out, `  ${name}`);
      for (const secret of await secretsOf(host)) {
        assert(secret.length > 8);
        for (const [name, text] of [...texts, ["stdout", out] as const]) {
          assert(!text.includes(secret), `${name} has ${secret}`);
        }
      }
      const [agent] = host.server.state().agents;
      assertStringIncludes(texts.get("status.json") ?? "", agent?.id ?? "no agent");
      assertStringIncludes(texts.get("configuration.json") ?? "", "@proxy.test:1");
      assertStringIncludes(texts.get("doctor.txt") ?? "", "OK    health");
      const again = await host.pennon([...words, "--yes"]);
      assertEquals(again.code, 1);
      assertStringIncludes(again.err, "there is a file of this name. Next: name another one");
    });
  },
});

Deno.test({
  name: "diagnostics asks on a terminal, and writes after a yes alone",
  ignore: await lacks("script"),
  async fn() {
    await onHost(async (host) => {
      for (const [answer, isWritten] of [["n", false], ["y", true]] as const) {
        const archive = `${host.folder}/${answer}.tar.gz`;
        // A shell in a terminal of its own runs the words behind it.
        const inTerminal = `script -qec "$(printf '%s ' "$@")" /dev/null`;
        const program = host.start(["diagnostics", "--output", archive], {
          wrap: ["sh", "-c", inTerminal, "sh"],
          input: `${answer}\n`,
        });
        const { code } = await within(program.ended, "the terminal");
        assertEquals(code, isWritten ? 0 : 1, program.lines.join("\n"));
        assert(program.lines.some((line) => line.includes(`Write "${archive}"? [y/N]`)));
        const isThere = await Deno.stat(archive).then(() => true, () => false);
        assertEquals(isThere, isWritten);
      }
    });
  },
});
