import { assertEquals, assertMatch } from "@std/assert";
import { projectUrl, startDeno } from "./deno_child.ts";

const onUnix = { ignore: Deno.build.os === "windows" };

/** A socket as systemd has one, and the messages that come to it. */
async function withSocket(
  run: (socket: { path: string; folder: string; next: () => Promise<string> }) => Promise<void>,
) {
  const folder = await Deno.makeTempDir({ prefix: "pennon-notify-" });
  const path = `${folder}/systemd`;
  const listener = Deno.listenDatagram({ transport: "unixpacket", path });
  const next = async () => new TextDecoder().decode((await listener.receive())[0]);
  try {
    await run({ path, folder, next });
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Code that connects, reports twice at once, and prints the answers and the files that are left. */
function program(folder: string, environment: Record<string, string>): string {
  return `
    import { connectServiceManager } from "${projectUrl("src/system/real/service_manager.ts")}";
    for (const [name, value] of Object.entries(${JSON.stringify(environment)})) {
      Deno.env.set(name, value);
    }
    const manager = await connectServiceManager("${folder}");
    const answers = await Promise.all([manager.report("ready"), manager.report("stopping")]);
    const files = Array.from(Deno.readDirSync("${folder}"), ({ name }) => name).sort();
    console.log(JSON.stringify({ answers, files }));
    if (Deno.env.has("STAY")) await new Promise((done) => setTimeout(done, 60_000));
    manager.close();
  `;
}

async function answersOf(code: string): Promise<{ answers: (string | null)[]; files: string[] }> {
  await using child = await startDeno(code, ["-A", "--unstable-net"]);
  const answer = JSON.parse(await child.firstOutput());
  assertEquals((await child.process.status).code, 0);
  return answer;
}

Deno.test(
  "reports reach systemd's socket in order, and leave no file",
  onUnix,
  () =>
    withSocket(async ({ path, folder, next }) => {
      // What an agent leaves that was killed between two steps.
      await Deno.writeTextFile(`${folder}/notify.sock`, "");
      const { answers, files } = await answersOf(program(folder, { NOTIFY_SOCKET: path }));
      assertEquals(answers, [null, null]);
      assertEquals([await next(), await next()], ["READY=1", "STOPPING=1"]);
      assertEquals(files, ["systemd"]);
    }),
);

Deno.test(
  "the watchdog gets signs of life at half of its time, from the start",
  onUnix,
  () =>
    withSocket(async ({ path, folder, next }) => {
      const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000", STAY: "1" };
      await using child = await startDeno(program(folder, environment), ["-A", "--unstable-net"]);
      await child.firstOutput();
      const first = [await next(), await next(), await next()];
      assertEquals(first, ["WATCHDOG=1", "READY=1", "STOPPING=1"]);
      assertEquals([await next(), await next()], ["WATCHDOG=1", "WATCHDOG=1"]);
    }),
);

Deno.test("without a service manager nothing is sent, and nothing is made", onUnix, async () => {
  const folder = await Deno.makeTempDir({ prefix: "pennon-notify-" });
  for (const NOTIFY_SOCKET of ["", "@abstract"]) {
    const { answers, files } = await answersOf(program(folder, { NOTIFY_SOCKET }));
    assertEquals([answers, files], [[null, null], []]);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test(
  "a report answers why it could not be sent",
  onUnix,
  () =>
    withSocket(async ({ folder }) => {
      const away = await answersOf(program(folder, { NOTIFY_SOCKET: `${folder}/away` }));
      for (const why of away.answers) assertMatch(why ?? "", /No such file/);
      await Deno.mkdir(`${folder}/notify.sock/in the way`, { recursive: true });
      const blocked = await answersOf(program(folder, { NOTIFY_SOCKET: `${folder}/systemd` }));
      for (const why of blocked.answers) assertMatch(why ?? "", /in use/i);
    }),
);
