/**
 * `pennon doctor` in broken worlds: the right line fails or warns, nothing else does that is no
 * consequence, and the advice mends it where it can be run.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { Authority } from "../real/certificates.ts";
import { lacks } from "../real/lacks.ts";
import { mountSmallDisk } from "../real/small_disk.ts";
import { Host, onHost, TOKEN, within } from "./harness.ts";

interface Check {
  readonly check: string;
  readonly level: "ok" | "warn" | "fail" | "skip";
  readonly seen: string;
  readonly next: string | null;
}

interface Report {
  readonly code: number;
  readonly checks: readonly Check[];
}

async function doctor(host: Host, wrap?: [string, ...string[]]): Promise<Report> {
  const lines: string[] = [];
  const errors: string[] = [];
  const program = host.start(["doctor", "--json"], {
    onLine: (line, stream) => void (stream === "stdout" ? lines : errors).push(line),
    ...wrap && { wrap },
  });
  const { code } = await within(program.ended, "pennon doctor");
  assertEquals(errors, []);
  const answer = JSON.parse(lines.join("\n"));
  assertEquals(answer.schema, "pennon.doctor/1");
  const checks: Check[] = answer.checks;
  const levels = checks.map(({ level }) => level);
  const worst = levels.includes("fail") ? "fail" : levels.includes("warn") ? "warn" : "ok";
  assertEquals([answer.result, code], [worst, worst === "fail" ? 1 : 0]);
  for (const { level, next, check } of checks) {
    assertEquals(next !== null, level === "fail" || level === "warn", check);
  }
  return { code, checks };
}

function find({ checks }: Report, name: string): Check {
  const found = checks.find(({ check }) => check === name);
  assert(found, `no check "${name}" in ${checks.map(({ check }) => check).join()}`);
  return found;
}

/** That these checks failed and no others; answers the first. */
function failedAlone(report: Report, ...names: string[]): Check {
  const failed = report.checks.filter(({ level }) => level === "fail");
  assertEquals(failed.map(({ check }) => check), names, JSON.stringify(failed, null, 1));
  return failed[0]!;
}

function isWell(report: Report, ...names: string[]): void {
  failedAlone(report);
  for (const name of names) {
    const { level, seen } = find(report, name);
    assert(level === "ok" || level === "warn", `${name}: ${level} ${seen}`);
  }
}

/** Runs the command in an advice: in backquotes, or a chmod or chown as it stands. */
async function follow({ next }: Check): Promise<void> {
  const command = /`([^`]+)`/.exec(next ?? "")?.[1] ?? /ch(?:mod|own) [^,]+/.exec(next ?? "")?.[0];
  assert(command, `no command in: ${next}`);
  const { success } = await new Deno.Command("/bin/sh", { args: ["-c", command] }).output();
  assert(success, command);
}

async function setConfig(host: Host, text: string): Promise<void> {
  await Deno.writeTextFile(`${host.folder}/config.toml`, text);
}

/** A host beside `host` that is not registered, with a server in its configuration. */
async function strangerOf(host: Host, url: string, more = ""): Promise<Host> {
  const folder = await Deno.makeTempDir({ dir: host.folder });
  const stranger = new Host(host.server, folder);
  await setConfig(stranger, `[server]\nurl = "${url}"\n${more}`);
  return stranger;
}

const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;
const HEALTH = JSON.stringify({ status: "healthy" });

function pathsOf(host: Host): string[] {
  return host.server.state().requests.map(({ path }) => path);
}

Deno.test("doctor finds nothing wrong beside an agent that runs, and disturbs neither it nor the server", () =>
  onHost(async (host) => {
    await host.register();
    const agent = host.run();
    await host.until("check-in", () => host.checkIns() > 0);
    const tokens = () => host.server.state().age02?.refreshTokens.length;
    const [before, had] = [tokens(), pathsOf(host).length];
    const report = await doctor(host);
    isWell(report, "registration", "agent", "dns", "tcp", "health", "access", "signatures", "disk");
    for (const name of ["agent", "access", "signatures", "tokens", "server version"]) {
      assertEquals(find(report, name).level, "ok", find(report, name).seen);
    }
    assertStringIncludes(find(report, "agent").seen, `process ${agent.processId}`);
    const asked = pathsOf(host).slice(had).filter((path) => !path.endsWith("/commands"));
    const own = asked.filter((path) => /\/(health|config|public-keys)$/.test(path));
    assert(own.length >= 3, asked.join());
    assertEquals(tokens(), before);
    await agent.stop("SIGTERM");
    host.server.queueCommand({ type: "collect_specs" });
    const { out } = await host.pennon(["doctor"]);
    assertStringIncludes(out, "OK    registration      agent ");
    assert(
      !(await Array.fromAsync(Deno.readDir(host.stateDirectory)))
        .some(({ name }) => name.includes("doctor")),
    );
    assertEquals(host.server.state().violations, []);
  }, { age: "0.2" }));

Deno.test("doctor without any configuration or registration asks no server", () =>
  onHost(async (host) => {
    await setConfig(host, "");
    const report = await doctor(host);
    failedAlone(report);
    assertEquals(find(report, "registration").level, "warn");
    assertEquals(find(report, "tcp").level, "skip");
    assertEquals(pathsOf(host), []);
  }));

Deno.test("doctor: names, ports and answers of a server that is none", async (t) => {
  await onHost(async (host) => {
    const { url, port } = host.server;
    await t.step("a name that does not resolve", async () => {
      const stranger = await strangerOf(host, "http://no-such-name.invalid:1");
      const { seen } = failedAlone(await doctor(stranger), "dns");
      assertStringIncludes(seen, "no-such-name.invalid");
      await setConfig(stranger, `[server]\nurl = "${url}"\n`);
      isWell(await doctor(stranger), "dns", "health");
    });
    await t.step("a port on which nothing listens", async () => {
      const report = await doctor(await strangerOf(host, "http://127.0.0.1:1"));
      const { next } = failedAlone(report, "tcp");
      assertStringIncludes(next ?? "", "start the server, or correct the port");
      assertEquals(find(report, "health").level, "skip");
    });
    await t.step("plain HTTP where TLS is expected", async () => {
      const stranger = await strangerOf(host, `https://127.0.0.1:${port}`);
      const { next } = failedAlone(await doctor(stranger), "tls");
      assertStringIncludes(next ?? "", "write http:// in server.url");
      await setConfig(stranger, `[server]\nurl = "http://127.0.0.1:${port}"\n`);
      isWell(await doctor(stranger), "tcp", "health");
    });
    await t.step("a page of a captive portal", async () => {
      await host.server.setFault({ mode: "html", status: 200 });
      const { seen, next } = failedAlone(await doctor(await strangerOf(host, url)), "health");
      assertStringIncludes(seen, "something else than the server answers: HTTP 200");
      assertStringIncludes(next ?? "", "captive portal");
    });
    await t.step("HTTP 503", async () => {
      await host.server.setFault({ mode: "status", status: 503 });
      const stranger = await strangerOf(host, url);
      assertStringIncludes(failedAlone(await doctor(stranger), "health").seen, "HTTP 503");
      await host.server.setFault({ mode: "none" });
      isWell(await doctor(stranger), "health");
    });
    await t.step("a server that never answers: the time is bounded", async () => {
      await host.server.setFault({ mode: "hang" });
      const stranger = await strangerOf(host, url, '[http]\nhealth_timeout = "500ms"\n');
      assertStringIncludes(failedAlone(await doctor(stranger), "health").seen, "no answer in time");
      await host.server.setFault({ mode: "none" });
    });
    await t.step("a server that is not set up", async () => {
      await host.server.setFault({ mode: "waiting_for_configuration" });
      const { next } = failedAlone(await doctor(await strangerOf(host, url)), "health");
      assertStringIncludes(next ?? "", "finish the server's setup");
      await host.server.setFault({ mode: "none" });
    });
  });
});

Deno.test("doctor: a clock that is off by an hour, and one by two minutes", async (t) => {
  let aheadMs = -3_600_000;
  await onHost(async (host) => {
    const stranger = await strangerOf(host, host.server.url);
    await t.step("an hour", async () => {
      const { seen, next } = failedAlone(await doctor(stranger), "clock");
      assertStringIncludes(seen, "60 min ahead of the server's");
      assertStringIncludes(next ?? "", "set-ntp");
    });
    await t.step("two minutes", async () => {
      aheadMs = 120_000;
      const report = await doctor(stranger);
      failedAlone(report);
      const { level, seen } = find(report, "clock");
      assertEquals([level, seen], ["warn", "2 min behind the server's"]);
    });
    await t.step("none", async () => {
      aheadMs = 0;
      assertEquals(find(await doctor(stranger), "clock").level, "ok");
    });
  }, {
    rewrite: (_request, reply) => {
      const date = new Date(Date.now() + aheadMs).toUTCString();
      return { ...reply, headers: { ...reply.headers, Date: date } };
    },
  });
});

Deno.test({
  name: "doctor: certificates of an unknown authority, of another name, and past their end",
  ignore: await lacks("openssl"),
}, async (t) => {
  await using authority = await Authority.make();
  const trusting = `[tls]\nca_file = "${authority.file}"\n`;
  await onHost(async (host) => {
    const at = async (
      [name, days]: [name: string, days: number],
      story: (url: string) => Promise<void>,
    ) => {
      const tls = await authority.sign(name, undefined, { days });
      const server = await startRefserver({ tls });
      try {
        await story(server.url);
      } finally {
        await server.close();
      }
    };
    await t.step("an unknown authority", () =>
      at(["IP:127.0.0.1", 30], async (url) => {
        const stranger = await strangerOf(host, url);
        const { seen, next } = failedAlone(await doctor(stranger), "tls");
        assertStringIncludes(seen, "an authority that this host does not trust");
        assertStringIncludes(seen, "Test authority");
        assertStringIncludes(next ?? "", "tls.ca_file");
        await setConfig(stranger, `[server]\nurl = "${url}"\n${trusting}`);
        const report = await doctor(stranger);
        isWell(report, "tls", "health");
        const tls = find(report, "tls");
        assertEquals(tls.level, "ok");
        assertStringIncludes(tls.seen, 'signed by "Test authority"; 29 days left');
      }));
    await t.step(
      "a certificate that ends in two days",
      () =>
        at(["IP:127.0.0.1", 2], async (url) => {
          const report = await doctor(await strangerOf(host, url, trusting));
          const { level, seen } = find(report, "tls");
          assertEquals([level, seen.includes("1 days left")], ["warn", true]);
        }),
    );
    await t.step("another name", () =>
      at(["DNS:other.test", 30], async (url) => {
        const { seen } = failedAlone(await doctor(await strangerOf(host, url, trusting)), "tls");
        assertStringIncludes(seen, 'not valid for "127.0.0.1", but for other.test');
      }));
    await t.step("past its end", () =>
      at(["IP:127.0.0.1", -1], async (url) => {
        const { seen } = failedAlone(await doctor(await strangerOf(host, url, trusting)), "tls");
        assertStringIncludes(seen, "the certificate has expired");
      }));
  });
});

/** A proxy that answers everything with one status. */
function refusingProxy(status: string) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(HEALTH, { status: Number(status) }),
  );
  return { url: `http://user:a-proxy-password@127.0.0.1:${server.addr.port}`, server };
}

Deno.test("doctor: a proxy that refuses, and one that is not there", async (t) => {
  await onHost(async (host) => {
    const with_ = (url: string) =>
      strangerOf(host, "http://updates.test", `[proxy]\nhttp = "${url}"\n`);
    const { url, server } = refusingProxy("407");
    await t.step("407", async () => {
      const report = await doctor(await with_(url));
      const { seen, next } = failedAlone(report, "proxy");
      assertStringIncludes(seen, "407");
      assertStringIncludes(next ?? "", "user and password");
      assert(!JSON.stringify(report).includes("a-proxy-password"));
    });
    await server.shutdown();
    await t.step("closed", async () => {
      const { seen } = failedAlone(await doctor(await with_(url)), "proxy");
      assertStringIncludes(seen, "connection refused");
    });
  });
});

Deno.test("doctor: a configuration that cannot be read, and a ca_file that is not there", async (t) => {
  await onHost(async (host) => {
    await t.step("a mistyped key", async () => {
      await setConfig(host, '[server]\nurll = "http://a.test"\n');
      const report = await doctor(host);
      const { seen } = failedAlone(report, "configuration");
      assertStringIncludes(seen, 'did you mean "server.url"?');
      assertEquals(find(report, "health").level, "skip");
    });
    await t.step("no ca_file", async () => {
      const stranger = await strangerOf(host, "https://127.0.0.1:1", '[tls]\nca_file = "/no/ca"\n');
      const report = await doctor(stranger);
      assertStringIncludes(failedAlone(report, "tls files").seen, "/no/ca");
      assertEquals(find(report, "tcp").level, "skip");
    });
    await t.step("one that others can write, as root", async () => {
      if (!isRoot) return;
      await setConfig(host, "");
      await Deno.chmod(`${host.folder}/config.toml`, 0o666);
      await follow(failedAlone(await doctor(host), "configuration"));
      isWell(await doctor(host), "configuration");
    });
  });
});

Deno.test({
  name: "doctor: a state directory of another user, and one that others can write",
  ignore: !isRoot,
  fn: () =>
    onHost(async (host) => {
      await host.register();
      await Deno.chown(host.stateDirectory, 54_321, 54_321);
      const report = await doctor(host);
      const check = failedAlone(report, "state directory");
      assertEquals(find(report, "registration").level, "skip");
      await follow(check);
      await Deno.chmod(host.stateDirectory, 0o777);
      await follow(failedAlone(await doctor(host), "state directory"));
      isWell(await doctor(host), "state directory", "disk", "registration");
    }),
});

Deno.test("doctor: a state directory that is a file", () =>
  onHost(async (host) => {
    await Deno.writeTextFile(host.stateDirectory, "");
    const { seen } = find(await doctor(host), "state directory");
    assertStringIncludes(seen, "is a regular file, not a directory");
    await follow(find(await doctor(host), "state directory"));
    isWell(await doctor(host));
  }));

Deno.test({
  name: "doctor: a full disk, and one that is read-only",
  ignore: !isRoot,
  fn: () =>
    onHost(async (host) => {
      await Deno.mkdir(host.stateDirectory, { mode: 0o700 });
      const disk = await mountSmallDisk(host.stateDirectory, { sizeKib: 4_096 });
      if (disk === null) return;
      try {
        await host.register();
        await disk.fill();
        const { seen, next } = failedAlone(await doctor(host), "disk");
        assertStringIncludes(seen, "accepts no writes");
        assertStringIncludes(next ?? "", "make room");
        await disk.makeRoom();
        assertEquals(find(await doctor(host), "disk").level, "warn"); // 4 MiB are not much.
        await disk.remount("ro");
        assertStringIncludes(failedAlone(await doctor(host), "disk").seen, "accepts no writes");
        await disk.remount("rw");
        isWell(await doctor(host), "disk");
      } finally {
        await host.stopAll();
        await disk.unmount();
      }
    }),
});

Deno.test("doctor: a server of 0.2 that does not accept this agent, or signs with another key", async (t) => {
  await onHost(async (host) => {
    await host.register();
    const operator = host.server.operator();
    const machineId = host.server.state().age02?.bindings[0]?.machineId ?? "";
    await t.step("bound to another machine", async () => {
      operator.rebind("f".repeat(64));
      const { seen, next } = failedAlone(await doctor(host), "access");
      assertStringIncludes(seen, "another machine id on record");
      assertStringIncludes(next ?? "", `{"new_machine_id":"${machineId}"}`);
      operator.rebind(machineId);
      isWell(await doctor(host), "access");
    });
    await t.step("below the minimum version", async () => {
      operator.set({ minAgentVersion: "99.0.0" });
      const { seen } = failedAlone(await doctor(host), "access");
      assertStringIncludes(seen, "its minimum is 99.0.0");
      operator.set({ minAgentVersion: "0.1.26" });
    });
    await t.step("another key", async () => {
      const { keyId, publicKey } = operator.rotateKey({ retireOld: true });
      const { seen, next } = failedAlone(await doctor(host), "signatures");
      assertStringIncludes(seen, keyId);
      assertStringIncludes(next ?? "", "server.public_key");
      await setConfig(host, `[server]\npublic_key = "${publicKey}"\n`);
      const once = await host.pennon(["run", "--once"]);
      assertEquals(once.code, 0, once.err);
      isWell(await doctor(host), "signatures");
    });
    await t.step("deleted", async () => {
      host.server.deleteAgent();
      const { seen, next } = failedAlone(await doctor(host), "access");
      // One answer is a doubt, and `status` says so in the same words, and since when.
      assertStringIncludes(seen, "the server says that it does not know this agent");
      assertStringIncludes(seen, "this is no proof yet: the agent was deleted there");
      const status = JSON.parse((await host.pennon(["status", "--json"])).out);
      const [heard] = status.health.reasons.filter(({ code }: { code: string }) =>
        code === "maybe_deleted"
      );
      assert(heard.since !== null && seen.includes(heard.words) && seen.includes(heard.because));
      assertMatch(next ?? "", /`pennon register [^`]*--replace --server http:\S+ --token -`/);
      const words = ["register", "--replace", "--server", host.server.url, "--token", "-"];
      const again = await host.pennon(words, TOKEN);
      assertEquals(again.code, 0, again.err);
      isWell(await doctor(host), "access");
    });
    assertEquals(host.server.state().violations, []);
  }, { age: "0.2" });
});

const hasApt = Deno.build.os === "linux" &&
  await Deno.stat("/usr/bin/apt-get").then(() => true, () => false);

Deno.test("doctor: no package manager, lists that are old or missing", async (t) => {
  await onHost(async (host) => {
    await t.step("none of those that are enabled", async () => {
      await setConfig(host, '[scanners]\nenabled = ["winget"]\n');
      const { seen, next } = failedAlone(await doctor(host), "package managers");
      assertStringIncludes(seen, "none of winget is on this host");
      assertStringIncludes(next ?? "", "scanners.enabled");
    });
    await t.step("none enabled", async () => {
      await setConfig(host, "[scanners]\nenabled = []\n");
      const report = await doctor(host);
      failedAlone(report);
      assertEquals(find(report, "package managers").level, "warn");
    });
    if (!isRoot || !hasApt || await lacks("unshare", "mount")) return;
    await setConfig(host, '[scanners]\nenabled = ["apt"]\n');
    const apt = `${host.folder}/apt`;
    // In a mount namespace of its own, in which the host's lists are another directory.
    const mounting = `mount --bind ${apt} /var/lib/apt && exec "$@"`;
    const wrap: [string, ...string[]] = ["unshare", "-m", "sh", "-c", mounting, "sh"];
    await Deno.mkdir(`${apt}/lists`, { recursive: true });
    await t.step("none", async () => {
      const report = await doctor(host, wrap);
      failedAlone(report);
      const { level, seen, next } = find(report, "apt");
      assertEquals([level, seen.includes("no package lists")], ["warn", true], seen);
      assertEquals(next, "fetch them as root: `apt-get update`");
    });
    await t.step("of a month ago", async () => {
      await Deno.writeTextFile(`${apt}/lists/a.test_dists_x_InRelease`, "");
      const monthAgo = (Date.now() - 30 * 86_400_000) / 1_000;
      await Deno.utime(`${apt}/lists`, monthAgo, monthAgo);
      const report = await doctor(host, wrap);
      failedAlone(report);
      const { level, seen } = find(report, "apt");
      assertEquals([level, seen.includes("lists 30 days old")], ["warn", true], seen);
    });
  });
});
