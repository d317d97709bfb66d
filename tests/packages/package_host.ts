/** A throw-away host on a root that `deno task test:packages` has made, for tests that install packages. */

import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { BuiltVersion } from "../../tools/packages/versions.ts";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";

/** What the task hands to the tests. */
interface PackageTests {
  /** Paths by the names of the hosts. */
  readonly roots: Readonly<Record<string, string>>;
  readonly versions: readonly [BuiltVersion, BuiltVersion];
  /** A directory for what the tests write. */
  readonly work: string;
}

const GIVEN = Deno.env.get("PENNON_PACKAGE_TESTS");

/** `null` where the task does not run the tests. */
export const PACKAGE_TESTS: PackageTests | null = GIVEN === undefined ? null : JSON.parse(GIVEN);

/** A test on a host of its own. */
export function onPackageHost(
  name: string,
  root: string,
  test: (host: PackageHost) => Promise<void>,
): void {
  Deno.test({
    name: `${name} (${root})`,
    ignore: PACKAGE_TESTS === null, // By deno task test:packages alone.
    fn: async () => {
      const host = await PackageHost.make(root);
      await using _host = host;
      await test(host);
    },
  });
}

/** What came of a command. */
interface Ended {
  readonly code: number;
  /** stdout and stderr, one after the other. */
  readonly output: string;
}

const ENTER = fileURLToPath(new URL("../../tools/packages/enter.sh", import.meta.url));

const TIMEOUT_MS = 600_000;

/** Programs that the documented lines use, where a small Debian lacks them. */
const STAND_INS = {
  sudo: '#!/bin/sh\nexec "$@"\n',
  // curl -fsSL URL -o FILE
  curl: '#!/bin/sh\nexec /usr/lib/apt/apt-helper download-file "$2" "$4" >/dev/null\n',
};

/** Where package managers keep what they fetched, and logs: not the package's to leave or to remove. */
const NOT_LISTED = ["/var/lib/apt", "/var/cache", "/var/log", "/var/lib/dnf", "/root"]
  .concat("/run", "/dev", "/proc", "/tmp", "/usr/lib/sysimage", "/var/lib/rpm");

export class PackageHost implements AsyncDisposable {
  readonly root: string;
  readonly #view: string;

  private constructor(view: string) {
    this.#view = view;
    this.root = `${view}/root`;
  }

  static async make(name: string): Promise<PackageHost> {
    const { roots, work } = PACKAGE_TESTS!;
    const view = `${work}/view-${name}`;
    await command(["/bin/sh", ENTER, roots[name]!, view]);
    const host = new PackageHost(view);
    for (const [program, text] of Object.entries(STAND_INS)) {
      await Deno.writeTextFile(`${host.root}/usr/local/bin/${program}`, text, { mode: 0o755 });
    }
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await command(["umount", "--recursive", "--lazy", this.#view]);
  }

  /** Runs a program on the host, as root. */
  async run(...argv: string[]): Promise<Ended> {
    const { code, stdout, stderr } = await new Deno.Command("chroot", {
      args: [this.root, ...argv],
      clearEnv: true,
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        HOME: "/root",
        LC_ALL: "C",
        DEBIAN_FRONTEND: "noninteractive",
      },
      stdin: "null",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  /** Runs a program that has to end with 0, and returns what it printed. */
  async must(...argv: string[]): Promise<string> {
    const { code, output } = await this.run(...argv);
    assertEquals(code, 0, `${argv.join(" ")}\n${output}`);
    return output;
  }

  /** Runs the lines of the documentation, and stops at the first that fails. */
  async mustRunLines(lines: string): Promise<string> {
    return await this.must(
      "/bin/sh",
      "-ec",
      lines.replaceAll("install pennon", "install -y pennon"),
    );
  }

  /** Runs pennon as the account of the service. */
  async pennon(...words: string[]): Promise<Ended> {
    const account = ["--reuid=pennon", "--regid=pennon", "--clear-groups", "--reset-env"];
    const argv = ["setpriv", ...account, "/usr/bin/pennon", ...words];
    return await this.run(...argv, "--state-dir", "/var/lib/pennon");
  }

  /** As `listFiles()`. */
  async files(): Promise<string[]> {
    return await listFiles((...argv) => this.must(...argv));
  }

  async read(path: string): Promise<string> {
    return await Deno.readTextFile(`${this.root}${path}`);
  }

  /** Changes the installed configuration as an administrator would; returns its text. */
  async configureShortWaits(): Promise<string> {
    const path = "/etc/pennon/config.toml";
    const text = (await this.read(path))
      .replace('# base = "5s"', 'base = "100ms"')
      .replace('# floor = "500ms"', 'floor = "10ms"');
    await Deno.writeTextFile(`${this.root}${path}`, text);
    assertEquals(text.match(/^\w+ = .*$/gm), ['base = "100ms"', 'floor = "10ms"']);
    return text;
  }

  /** Of a file, as `root:pennon 640`. */
  async ownerAndMode(path: string): Promise<string> {
    return (await this.must("stat", "-c", "%U:%G %a", path)).trim();
  }

  async exists(path: string): Promise<boolean> {
    return await Deno.lstat(`${this.root}${path}`).then(() => true, () => false);
  }
}

/** Every file and directory of a host that is not another package manager's own notes, with its kind. */
export async function listFiles(
  must: (...argv: string[]) => Promise<string>,
  notListed: readonly string[] = [],
): Promise<string[]> {
  const prune = [...NOT_LISTED, ...notListed].flatMap((path) => ["-path", path, "-o"]).slice(0, -1);
  const argv = ["find", "/", "-xdev", "(", ...prune, ")", "-prune", "-o", "-printf", "%y %p\n"];
  const files = (await must(...argv)).trim().split("\n").sort();
  // What groupadd and useradd keep of the files before the last change.
  return files.filter((file) =>
    !/^f \/etc\/(passwd|shadow|group|gshadow|subuid|subgid)-$/.test(file)
  );
}

/** Fails with the files that are there only before, or only after, what was done in between. */
export function assertSameFiles(before: readonly string[], after: readonly string[]): void {
  const appeared = after.filter((file) => !before.includes(file));
  const disappeared = before.filter((file) => !after.includes(file));
  assertEquals({ appeared, disappeared }, { appeared: [], disappeared: [] });
}

async function command(argv: readonly [string, ...string[]]): Promise<void> {
  const [program, ...args] = argv;
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${argv.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** A cycle takes a second, and the longest wait after a failure is set to 100 ms. */
const MOST_CYCLES = 30;

/** The registration token of the tests. */
const TOKEN = "a-registration-token";

/**
 * An agent with a server: registers on a host where the package is installed, buffers events that the
 * server does not take, and delivers them after something was done to the package.
 */
export class PackagedAgent implements AsyncDisposable {
  readonly server: Refserver;
  readonly #host: PackageHost;
  readonly #commands: string[] = [];

  private constructor(host: PackageHost, server: Refserver) {
    this.#host = host;
    this.server = server;
  }

  static async register(host: PackageHost): Promise<PackagedAgent> {
    const server = await startRefserver({ registrationTokens: [TOKEN] });
    const agent = new PackagedAgent(host, server);
    // As the package says to, by root; the files belong to the account of the service all the same.
    const ended = await host.run("pennon", "register", "--server", server.url, "--token", TOKEN);
    assertEquals(ended.code, 0, ended.output);
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }

  /** One cycle; returns the exit code and the log. */
  async runOnce(): Promise<Ended> {
    return await this.#host.pennon("run", "--once");
  }

  /** Has the server hand out a command and refuse the answer; returns the ids of what is buffered. */
  async bufferEvents(): Promise<string[]> {
    const command = this.server.queueCommand({ type: "collect_specs" });
    this.#commands.push(command);
    await this.server.setFault({
      mode: "status",
      status: 503,
      path: "/(logs|updates|system-info)$",
    });
    await this.runOnce();
    await this.server.setFault({ mode: "none" });
    const waiting = await this.#events();
    const reported = this.server.state().logs.filter((log) => log.command_id === command);
    const hasResult = waiting.some(({ command_id }) => command_id === command);
    assertEquals([hasResult, reported.length], [true, 0]);
    return waiting.map(({ id }) => id);
  }

  /** Runs cycles until the buffer is empty: after an outage the agent goes on slowly at first. */
  async deliver(): Promise<void> {
    let last = "";
    for (let cycle = 0; cycle < MOST_CYCLES; cycle++) {
      // Without this the agent would wait for half a minute and more.
      const { code, output } = await this.#host.pennon("breaker", "reset", "connection");
      assertEquals(code, 0, output);
      last = (await this.runOnce()).output;
      if ((await this.bufferedEvents()).length === 0) break;
    }
    assertEquals(await this.bufferedEvents(), [], last);
    assertEquals(await this.bufferedEvents("--dead"), []);
    const { logs, violations } = this.server.state();
    const reported = new Set(logs.map(({ command_id }) => command_id));
    assertEquals([this.#commands.filter((id) => !reported.has(id)), violations], [[], []]);
  }

  /** The ids of the events in the buffer. */
  async bufferedEvents(...flags: string[]): Promise<string[]> {
    return (await this.#events(...flags)).map(({ id }) => id);
  }

  async #events(...flags: string[]): Promise<{ id: string; command_id: string | null }[]> {
    const { code, output } = await this.#host.pennon("events", "list", "--json", ...flags);
    assertEquals(code, 0, output);
    return JSON.parse(output).events;
  }
}
