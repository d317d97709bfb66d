/** The reference server as a program: `deno run -A tools/refserver/main.ts --help`. */

import { parseArgs } from "@std/cli/parse-args";
import * as v from "valibot";
import { SettingsChangeSchema } from "./age02/settings.ts";
import { FaultSchema } from "./faults.ts";
import { type RefserverOptions, startRefserver } from "./refserver.ts";

const HELP = `Reference server: a RedFlag server for tests and demos, with faults to order.

Usage: deno run -A tools/refserver/main.ts [options]

  --age 0.1|0.2              which RedFlag to be like (0.1)
  --registration-token T     accept T at registration; may be given more than once
  --host ADDRESS             address of the agents' port (127.0.0.1)
  --port N                   agents' port (0: any free one)
  --control-port N           port of the debug API, on 127.0.0.1 (0: any free one)
  --data FILE                SQLite file; a restart on it goes on (:memory:)
  --tls-cert F --tls-key F   PEM files: the agents' port speaks HTTPS
  --token-life-s N           life of access tokens (86400)
  --refresh-token-life-s N   life of refresh tokens (7776000)
  --check-in-interval-s N    interval told to agents (300)
  --limit-register N         registrations per minute and address, 0: no limit (5)
  --limit-public N           renewals per minute and address (20)
  --limit-agent N            reports per minute and agent (30)
  --limit-checkin N          of 0.2: check-ins per minute and agent (60)
  --settings JSON            of 0.2: as for POST /debug/settings
  --signing-seed HEX         of 0.2: of the first signing key, 64 characters (random)
  --old                      a server without acknowledgements, system-info and 409
  --fault JSON               a fault from the start, as for POST /debug/fault

The first line on stdout is {"ready":true,"port":N,"controlPort":N}; then one line per request.
Debug API: GET /debug/state; POST /debug/fault, /debug/commands, /debug/packages, /debug/advance,
/debug/revoke-tokens, /debug/delete-agent, /debug/reset-requests; of 0.2 also /debug/settings,
/debug/rebind, /debug/replay, /debug/cancel, /debug/rotate-key, /debug/retire-key,
/debug/subsystem, /debug/trigger, /debug/schedule. SIGTERM and SIGINT end it.`;

const count = v.pipe(v.string(), v.regex(/^\d{1,9}$/, "not a whole number"), v.transform(Number));
const port = v.pipe(count, v.maxValue(65_535));

/** The flags, as `parseArgs` leaves them. */
const FlagsSchema = v.strictObject({
  "_": v.pipe(v.array(v.unknown()), v.maxLength(0, "takes no arguments")),
  "help": v.boolean(),
  "old": v.boolean(),
  "age": v.optional(v.picklist(["0.1", "0.2"]), "0.1"),
  "registration-token": v.array(v.string()),
  "host": v.optional(v.string(), "127.0.0.1"),
  "port": v.optional(port, "0"),
  "control-port": v.optional(port, "0"),
  "data": v.optional(v.string(), ":memory:"),
  "tls-cert": v.exactOptional(v.string()),
  "tls-key": v.exactOptional(v.string()),
  "token-life-s": v.optional(count, "86400"),
  "refresh-token-life-s": v.optional(count, "7776000"),
  "check-in-interval-s": v.optional(count, "300"),
  "limit-register": v.optional(count, "5"),
  "limit-public": v.optional(count, "20"),
  "limit-agent": v.optional(count, "30"),
  "limit-checkin": v.optional(count, "60"),
  "settings": v.optional(v.pipe(v.string(), v.parseJson(), SettingsChangeSchema), "{}"),
  "signing-seed": v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  "fault": v.optional(v.pipe(v.string(), v.parseJson(), FaultSchema), '{"mode":"none"}'),
});

const BOOLEANS = new Set(["help", "old"]);

/** Runs until it is told to stop; the process's exit code. */
async function main(args: readonly string[]): Promise<number> {
  const flags = v.safeParse(
    FlagsSchema,
    parseArgs(args, {
      string: Object.keys(FlagsSchema.entries).filter((name) => !BOOLEANS.has(name)),
      boolean: [...BOOLEANS],
      collect: ["registration-token"],
    }),
  );
  if (!flags.success) {
    console.error(`Cannot start reference server:\n${v.summarize(flags.issues)}`);
    return 2;
  }
  if (flags.output.help) {
    console.log(HELP);
    return 0;
  }
  try {
    await run(await optionsOf(flags.output));
    return 0;
  } catch (error) {
    console.error(
      `Cannot start reference server: ${error instanceof Error ? error.message : error}`,
    );
    return 1;
  }
}

async function run(options: RefserverOptions): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    for (const signal of stopSignals()) Deno.addSignalListener(signal, () => resolve());
  });
  const server = await startRefserver({ ...options, print: (line) => console.log(line) });
  const { port, controlPort } = server;
  console.log(JSON.stringify({ ready: true, port, controlPort }));
  await stopped;
  await server.close();
}

async function optionsOf(flags: v.InferOutput<typeof FlagsSchema>): Promise<RefserverOptions> {
  const { "tls-cert": certificateFile, "tls-key": keyFile } = flags;
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw new Error("--tls-cert and --tls-key go together");
  }
  const tls = certificateFile !== undefined && keyFile !== undefined
    ? {
      certificate: await Deno.readTextFile(certificateFile),
      key: await Deno.readTextFile(keyFile),
    }
    : undefined;
  const seed = flags["signing-seed"];
  return {
    age: flags.age,
    settings: flags.settings,
    ...seed !== undefined && { signingSeed: seed },
    registrationTokens: flags["registration-token"],
    hostname: flags.host,
    port: flags.port,
    controlPort: flags["control-port"],
    data: flags.data,
    ...(tls ? { tls } : {}),
    tokenLifeS: flags["token-life-s"],
    refreshTokenLifeS: flags["refresh-token-life-s"],
    checkInIntervalS: flags["check-in-interval-s"],
    limits: {
      register: flags["limit-register"],
      public: flags["limit-public"],
      agent: flags["limit-agent"],
      checkin: flags["limit-checkin"],
    },
    old: flags.old,
    fault: flags.fault,
  };
}

function stopSignals(): Deno.Signal[] {
  return Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
}

if (import.meta.main) Deno.exit(await main(Deno.args));
