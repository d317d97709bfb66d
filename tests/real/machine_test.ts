import { assert, assertEquals, assertMatch } from "@std/assert";
import { cpuTimes, realMachine } from "../../src/system/real/machine.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { lacks } from "./lacks.ts";

async function output(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(program, { args, env: { LC_ALL: "C" } }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test({
  name: "the machine's facts are those that the system's own tools tell",
  ignore: Deno.build.os !== "linux" || await lacks("free"),
  async fn() {
    assertEquals(realMachine.hostName(), await output("uname", "-n"));
    assertEquals(realMachine.kernelRelease(), await output("uname", "-r"));
    assertEquals(realMachine.userId(), Number(await output("id", "-u")));
    assertEquals(realMachine.cpus().length, Number(await output("nproc", "--all")));
    const [, sizeBytes, usedBytes] = (await output("df", "-B1", "--output=target,size,used", "/"))
      .split("\n")[1]!.split(/\s+/).map(Number);
    const disk = realMachine.disk("/")!;
    assertEquals(disk.totalBytes, sizeBytes);
    assert(Math.abs(disk.totalBytes - disk.freeBytes - usedBytes!) < 50_000_000);
    const totalBytes = Number((await output("free", "-b")).split("\n")[1]!.split(/\s+/)[1]);
    assert(Math.abs(realMachine.memory()!.totalBytes - totalBytes) < 10_000_000);
  },
});

Deno.test("the machine's numbers lie in the bounds of what they measure", () => {
  const uptimeS = realMachine.uptimeS();
  assert(uptimeS !== null && uptimeS > 0 && uptimeS < 10 * 365 * 86_400);
  const memory = realMachine.memory();
  assert(memory && memory.availableBytes > 0 && memory.availableBytes <= memory.totalBytes);
  for (const cpu of realMachine.cpus()) {
    assert(cpu.busyMs >= 0 && cpu.busyMs <= cpu.totalMs);
  }
  const loopback = realMachine.networkAddresses().find(({ address }) => address === "127.0.0.1");
  assert(loopback);
  assertEquals(loopback.family, "IPv4");
  assertMatch(loopback.mac, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
});

Deno.test("a processor is busy with all that is not idle", () => {
  const times = { user: 10_000, nice: 2_000, sys: 300, idle: 70_000, irq: 40 };
  assertEquals(cpuTimes({ model: " Model X  ", times }), {
    model: "Model X",
    busyMs: 12_340,
    totalMs: 82_340,
  });
});

Deno.test("disk() of what is not there is not known", () => {
  assertEquals(realMachine.disk("/no/such/folder"), null);
});

Deno.test("nothing is known, and nothing thrown, without permissions", async () => {
  await using child = await startDeno(
    `import { realMachine as machine } from "${projectUrl("src/system/real/machine.ts")}";
    console.log(JSON.stringify([
      machine.hostName(), machine.kernelRelease(), machine.uptimeS(), machine.memory(),
      machine.cpus(), machine.disk("/"), machine.networkAddresses(), machine.userId(),
      machine.homeDirectory(),
    ]));`,
    [],
  );
  assertEquals(JSON.parse(await child.firstOutput()), [
    "",
    "",
    null,
    null,
    [],
    null,
    [],
    null,
    null,
  ]);
});
