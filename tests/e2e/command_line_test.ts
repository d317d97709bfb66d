import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { EXECUTABLE, onHost, TOKEN } from "./harness.ts";
import { Authority } from "../real/certificates.ts";
import { lacks } from "../real/lacks.ts";

Deno.test("every command says what it does, within 80 columns", () =>
  onHost(async (host) => {
    const commands = [
      "run",
      "register",
      "unregister",
      "scan",
      "status",
      "events",
      "config",
      "version",
    ];
    for (const words of [["help"], ...commands.map((command) => ["help", command])]) {
      const { code, out, err } = await host.pennon(words.slice(0, 2));
      assertEquals([code, err], [0, ""], words.join(" "));
      assert(out.split("\n").every((line) => line.length <= 80), out);
    }
  }));

Deno.test("misuse exits 2, no registration 3, failure 1, each with what to do", () =>
  onHost(async (host) => {
    const rows: [words: string[], code: number, says: string][] = [
      [["bogus"], 2, 'Cannot run "bogus": no such command'],
      [["scan", "--bogus"], 2, 'Cannot read "--bogus": no such option'],
      [["events", "eat"], 2, "it takes one of list, show, requeue, purge"],
      [["register"], 2, 'add "--server URL"'],
      [["register", "--server", "junk", "--token", "x"], 2, "Cannot use server.url"],
      [
        ["register", "--server", host.server.url, "--token", "wrong"],
        1,
        "does not take this token",
      ],
      [["register", "--server", "http://127.0.0.1:1", "--token", "x"], 1, "connection refused"],
      [["run"], 3, "--server URL --token TOKEN"],
      [["unregister"], 3, "not registered"],
      [["status"], 3, "--server URL --token TOKEN"],
    ];
    for (const [words, code, says] of rows) {
      const ended = await host.pennon(words);
      assertEquals(ended.code, code, `${words.join(" ")}: ${ended.err}`);
      assertStringIncludes(ended.err, says);
    }
  }));

Deno.test("register says that a server waits for its configuration, and works once it has one", () =>
  onHost(async (host) => {
    await host.server.setFault({ mode: "waiting_for_configuration" });
    const words = ["register", "--server", host.server.url, "--token", "x"];
    const { code, err } = await host.pennon(words);
    assertEquals(code, 1);
    assertStringIncludes(err, 'the server says "waiting for configuration"');
    assertStringIncludes(err, "Next: finish the server's setup in a browser");
    await host.server.setFault({ mode: "none" });
    await host.register();
  }));

Deno.test("register with a good token during a database outage names the database, too", () =>
  onHost(async (host) => {
    await host.server.setFault({ mode: "database_down" });
    const words = ["register", "--server", host.server.url, "--token", "-"];
    const { code, err } = await host.pennon(words, TOKEN);
    assertEquals(code, 1);
    assertStringIncludes(err, "invalid or expired registration token");
    assertStringIncludes(err, "see whether the server's database is up");
  }));

Deno.test("junk in the configuration is named line by line", () =>
  onHost(async (host) => {
    const { code, out, err } = await host.pennon(["config", "check"]);
    assertEquals([code, out], [2, ""]);
    assertStringIncludes(err, '"bogus.key" is no setting');
    assertStringIncludes(err, "Cannot use log.level");
  }, { config: '[bogus]\nkey = 1\n[log]\nlevel = "loud"\n' }));

Deno.test("the identity is for its user's eyes only, and is gone after unregister", () =>
  onHost(async (host) => {
    await host.register();
    const path = `${host.stateDirectory}/identity.json`;
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    const twice = await host.pennon(["register", "--server", host.server.url, "--token", TOKEN]);
    assertEquals(twice.code, 0);
    assertStringIncludes(twice.out, "Already registered with ");
    assertEquals((await host.pennon(["unregister"])).code, 0);
    assertEquals(host.server.state().agents.length, 0);
    assertEquals((await host.pennon(["status"])).code, 3);
  }));

Deno.test({
  name: "a reader that goes away is no error",
  ignore: EXECUTABLE === undefined,
  async fn() {
    const { code, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", '"$0" config show | head -1', EXECUTABLE ?? ""],
      stdout: "null",
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    assertEquals(code, 0);
  },
});

Deno.test({
  name: "scan gives an ordinary user, in another language, what it gives root",
  ignore: EXECUTABLE === undefined || Deno.uid() !== 0 || await lacks("setpriv"),
}, () =>
  onHost(async (host) => {
    const asRoot = await host.pennon(["scan", "--only", "apt", "--json"]);
    if (asRoot.code !== 0) return console.log("skipped: no apt on this host that can be asked");
    // Where it was built, others may not look.
    const copy = `${host.folder}/pennon`;
    await Deno.copyFile(EXECUTABLE ?? "", copy);
    await Deno.chmod(host.folder, 0o755);
    const { stdout, code } = await new Deno.Command("/usr/bin/setpriv", {
      args: ["--reuid=65534", "--regid=65534", "--clear-groups", copy]
        .concat(["scan", "--only", "apt", "--json"]),
      env: { LANG: "de_DE.UTF-8", LANGUAGE: "de", HOME: "/nonexistent" },
      cwd: "/",
    }).output();
    assertEquals(code, 0);
    const updates = (text: string) => JSON.parse(text).scanners[0].updates;
    assertEquals(updates(new TextDecoder().decode(stdout)), updates(asRoot.out));
  }));

Deno.test({
  name: "scan without any package manager says so, and exits with 1",
  ignore: EXECUTABLE === undefined || Deno.uid() !== 0 || !await mayUnshare(),
}, () =>
  onHost(async (host) => {
    const { code, stderr } = await new Deno.Command("/usr/bin/unshare", {
      args: [
        "--mount",
        "/bin/sh",
        "-c",
        'mount -t tmpfs none /usr/bin && exec "$0" scan --state-dir "$1"',
        EXECUTABLE ?? "",
        host.stateDirectory,
      ],
      cwd: "/",
    }).output();
    assertStringIncludes(
      new TextDecoder().decode(stderr),
      "no package manager that Pennon knows is on this host",
    );
    assertEquals(code, 1);
  }));

async function mayUnshare(): Promise<boolean> {
  if (await lacks("unshare")) return false;
  const args = ["--mount", "/bin/true"];
  return (await new Deno.Command("/usr/bin/unshare", { args, stderr: "null" }).output()).success;
}

Deno.test({
  name: "talks to a server with an authority of its own, and to no other",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    const tls = await authority.sign("IP:127.0.0.1");
    await onHost(async (host) => {
      await host.register();
      assertEquals((await host.pennon(["run", "--once"])).code, 0);
      await Deno.writeTextFile(`${host.folder}/config.toml`, "");
      const { code, err } = await host.pennon(["run", "--once"]);
      assertEquals(code, 1);
      assertStringIncludes(err, "its certificate is not trusted");
    }, { tls, config: `[tls]\nca_file = "${authority.file}"\n` });
  },
});

Deno.test({
  name: "trusts the authorities that the system trusts",
  ignore: EXECUTABLE === undefined || await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    const tls = await authority.sign("IP:127.0.0.1");
    await onHost(async (host) => {
      const words = ["register", "--server", host.server.url, "--token", TOKEN];
      const wrap = ["/usr/bin/env", `SSL_CERT_FILE=${authority.file}`] as const;
      assertEquals((await host.start(words, { wrap }).ended).code, 0);
      assertEquals((await host.start(["run", "--once"], { wrap }).ended).code, 0);
      assertEquals((await host.pennon(["run", "--once"])).code, 1);
    }, { tls });
  },
});
