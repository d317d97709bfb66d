/** The OCI image, built on a Debian of the task's and run by podman as docs/fleet-rollout.md has it. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { lacks } from "../real/lacks.ts";
import { untilCheckIn } from "../real/until.ts";
import { PACKAGE_TESTS } from "./package_host.ts";

const BASE = "localhost/base";
const IMAGE = "localhost/pennon";
const VOLUME = "state:/var/lib/pennon";
const TOKEN = "a-registration-token";
const TIMEOUT_MS = 300_000;

/** What a container of a fleet's would have: no rights, and a root that nothing is written to. */
const CONFINED = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"];

/** This host may not raise limits, nor give a container a network of its own. */
const ON_THIS_HOST = ["--network=host", "--ulimit=nofile=1000:1000", "--ulimit=nproc=1000:1000"];

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** podman with a storage of the test's own, which nothing of the host's shares. */
class Podman implements AsyncDisposable {
  readonly #storage: string;

  constructor(storage: string) {
    this.#storage = storage;
  }

  async run(args: readonly string[], input = ""): Promise<Ended> {
    const own = [`--root=${this.#storage}/root`, `--runroot=${this.#storage}/run`];
    // runc, since crun refuses hosts with both generations of cgroups.
    const flags = ["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none"];
    const child = new Deno.Command("unshare", {
      // The tests are in a namespace of processes that /proc does not show.
      args: ["--mount-proc", "podman", ...own, ...flags, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  }

  async must(args: readonly string[], input = ""): Promise<string> {
    const { code, out, err } = await this.run(args, input);
    assertEquals(code, 0, `podman ${args.join(" ")}\n${out}${err}`);
    return out;
  }

  /** Runs Pennon in a container that goes with it; `flags` are podman's. */
  async pennon(
    words: readonly string[],
    { input = "", flags = [] }: { input?: string; flags?: readonly string[] } = {},
  ): Promise<Ended> {
    const argv = ["run", "--rm", "--interactive", `--volume=${VOLUME}`, ...CONFINED];
    return await this.run([...argv, ...ON_THIS_HOST, ...flags, IMAGE, ...words], input);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(["system", "reset", "--force"]);
    await Deno.remove(this.#storage, { recursive: true }).catch(() => {});
  }
}

Deno.test({
  name: "image: built, registered, checked in and stopped, without rights and on a read-only root",
  ignore: PACKAGE_TESTS === null || await lacks("podman", "runc", "tar"),
  fn: async () => {
    const { roots, work } = PACKAGE_TESTS!;
    await using podman = new Podman(`${work}/podman`);
    const archive = `${work}/base.tar`;
    await new Deno.Command("tar", { args: ["-C", roots["debian-13"]!, "-cf", archive, "."] })
      .output();
    await podman.must(["import", archive, BASE]);
    await Deno.remove(archive);
    const file = ["--file=packaging/oci/Containerfile", `--build-arg=BASE=${BASE}`];
    const here = ["--isolation=chroot", "--network=host"];
    await podman.must(["build", ...file, ...here, `--tag=${IMAGE}`, "dist"]);
    const config = JSON.parse(await podman.must(["image", "inspect", IMAGE]))[0].Config;
    assertEquals(config.User, "pennon");
    assertEquals(Object.keys(config.Volumes), ["/var/lib/pennon"]);

    const server = await startRefserver({ registrationTokens: [TOKEN], checkInIntervalS: 10 });
    try {
      const version = await podman.pennon(["version"]);
      assertMatch(version.out, /^pennon \d+\.\d+\.\d+ \(linux, x86_64\)/, version.err);
      const shell = ["-c", "id -un; test -s /etc/ssl/certs/ca-certificates.crt && echo trusts"];
      const inside = await podman.pennon([...shell, "; touch /x"], {
        flags: ["--entrypoint=/bin/sh"],
      });
      assertEquals(inside.out, "pennon\ntrusts\n", inside.err);
      const touched = await podman.pennon(["/x"], { flags: ["--entrypoint=/usr/bin/touch"] });
      assertStringIncludes(touched.err, "Read-only file system");

      const register = ["register", "--server", server.url, "--token", "-"];
      const registered = await podman.pennon(register, { input: TOKEN });
      assertEquals(registered.code, 0, registered.err);
      const command = server.queueCommand({ type: "scan_updates" });
      const once = await podman.pennon(["run", "--once"]);
      assertEquals(once.code, 0, once.err);
      const { agents, logs, violations } = server.state();
      assertEquals([agents.length, violations], [1, []]);
      assertEquals(logs.find((log) => log.command_id === command)?.result, "success", once.err);

      // What the image starts by itself, and its end: as an orchestrator would have it.
      server.resetRequests();
      const detached = ["run", "--detach", "--name=agent", `--volume=${VOLUME}`, ...CONFINED];
      await podman.must([...detached, ...ON_THIS_HOST, IMAGE]);
      await untilCheckIn(server);
      const stopMs = performance.now();
      await podman.must(["stop", "--time=30", "agent"]);
      assert(performance.now() - stopMs < 20_000, "the agent ends by itself");
      const ended = JSON.parse(await podman.must(["inspect", "agent"]))[0].State;
      const said = await podman.run(["logs", "agent"]);
      assertEquals(ended.ExitCode, 0, said.err);
      assertStringIncludes(said.err, "agent started");
      assertEquals(server.state().violations, []);
    } finally {
      await server.close();
    }
  },
});
