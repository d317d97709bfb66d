import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnf4Dialect } from "../../../src/scanners/dnf/dnf4.ts";
import { dnf5Dialect } from "../../../src/scanners/dnf/dnf5.ts";
import { DnfCommands } from "../../../src/scanners/dnf/commands.ts";
import {
  askOptional,
  type DnfContext,
  findReplacingSecurity,
  listAvailable,
  readReboot,
} from "../../../src/scanners/dnf/questions.ts";
import { DnfHost, failed, rpm } from "./host.ts";
import { succeeded } from "../fixture.ts";

function asking(host: DnfHost, generation: 4 | 5 = 4): DnfContext {
  return {
    commands: new DnfCommands(host, undefined),
    dialect: generation === 4 ? dnf4Dialect : dnf5Dialect([5, 4, 6]),
    program: ["/usr/bin/dnf", "--setting"],
    gaps: [],
  };
}

/** A row of `repoquery`. */
function row(name: string, version = "1", architecture = "noarch"): string {
  return `${name}\t0\t${version}\t1\t${architecture}\tr\n`;
}

/** A host with security advisories of these severities about these rows. */
function hostWith(rows: Record<"any" | "critical" | "important" | "moderate" | "low", string>) {
  const host = new DnfHost();
  const asked: string[] = [];
  host.runCommand = (argv) => {
    const filter = argv.find((word) => /^--(?:security|sec-|advisory-)/.test(word)) ?? "";
    asked.push(filter);
    const severity = filter.split("=")[1]?.toLowerCase() ?? "any";
    return Promise.resolve(
      succeeded(Object.entries(rows).find(([one]) => one === severity)?.[1] ?? ""),
    );
  };
  return { host, asked };
}

const NONE = { any: "", critical: "", important: "", moderate: "", low: "" };

Deno.test("findReplacingSecurity() asks for severities in descending order until each package has one", async () => {
  const replacing = ["a-1-1.noarch", "b-1-1.noarch", "c-1-1.noarch"].map(rpm);
  const { host, asked } = hostWith({
    ...NONE,
    any: row("a") + row("b"),
    critical: row("a"),
    important: row("a") + row("b"),
  });
  assertEquals(
    await findReplacingSecurity(asking(host), replacing, []),
    new Map([["a.noarch", { severity: "critical" }], ["b.noarch", { severity: "important" }]]),
  );
  assertEquals(asked, ["--security", "--sec-severity=Critical", "--sec-severity=Important"]);
});

Deno.test("findReplacingSecurity() returns packages without a severity", async () => {
  const { host, asked } = hostWith({ ...NONE, any: row("a") + row("b"), low: row("b") });
  const run = asking(host, 5);
  assertEquals(
    await findReplacingSecurity(run, ["a-1-1.noarch", "b-1-1.noarch"].map(rpm), []),
    new Map([["a.noarch", { severity: null }], ["b.noarch", { severity: "low" as const }]]),
  );
  const words = ["critical", "important", "moderate", "low"];
  assertEquals(asked, ["--security", ...words.map((word) => `--advisory-severities=${word}`)]);
});

Deno.test("findReplacingSecurity() compares versions and architectures", async () => {
  const any = row("a", "2") + row("a", "1", "x86_64") + row("b");
  const { host } = hostWith({ ...NONE, any });
  const replacing = ["a-1-1.noarch", "b-1-1.noarch"].map(rpm);
  const found = await findReplacingSecurity(asking(host), replacing, []);
  assertEquals([...found?.keys() ?? []], ["b.noarch"]);
});

Deno.test("findReplacingSecurity() is null if dnf fails, and asks nothing without packages", async () => {
  const host = new DnfHost();
  host.answers = { security: failed("Error: x\n") };
  const run = asking(host);
  assertEquals(await findReplacingSecurity(run, [], []), new Map());
  assertEquals([host.asked, run.gaps], [[], []]);
  assertEquals(await findReplacingSecurity(run, [rpm("a-1-1.noarch")], ["--lifted"]), null);
  assertEquals(run.gaps, ["Cannot read advisories of replacing packages: x"]);
  assertEquals(host.asked[0]?.slice(0, 6), [
    "/usr/bin/dnf",
    "--setting",
    "-C",
    "-q",
    "--lifted",
    "repoquery",
  ]);
  // Earlier gaps do not matter.
  const later = asking(new DnfHost());
  later.gaps.push("an older gap");
  assertEquals(await findReplacingSecurity(later, [rpm("a-1-1.noarch")], []), new Map());
});

Deno.test("listAvailable() asks about many names in several commands of limited length", async () => {
  const host = new DnfHost();
  const name = (index: number) => `${index}`.padEnd(999, "x");
  /** How many names each command has; each name has 1,000 characters with its separator. */
  const batches = async (names: readonly string[]) => {
    host.asked.length = 0;
    host.answers = { available: [succeeded(row("a")), succeeded(row("b"))] };
    await listAvailable(asking(host), names);
    const asked = host.asked.map((argv) => argv.slice(argv.indexOf("--qf") + 2));
    assertEquals(asked.flat(), names);
    return asked.map((batch) => batch.length);
  };
  const hundred = Array.from({ length: 100 }, (_, index) => name(index));
  assertEquals(await batches([]), []);
  assertEquals(await batches(["a", "b"]), [2]);
  assertEquals(await batches(hundred), [100]);
  assertEquals(await batches([...hundred, "y"]), [100, 1]);
  // A command has at most 100,000 characters of names.
  assertEquals(await batches([...hundred.slice(0, 99), `${name(99)}y`]), [100]);
  assertEquals(await batches([...hundred.slice(0, 99), `${name(99)}yy`]), [99, 1]);
  assertEquals(await batches([...hundred, ...hundred]), [100, 100]);
  const two = new DnfHost();
  two.answers = { available: [succeeded(row("a")), succeeded(row("b"))] };
  const found = await listAvailable(asking(two), [...hundred, ...hundred]);
  assertEquals(found.map((one) => one.name), ["a", "b"]);
});

Deno.test("listAvailable() asks dnf 4 and dnf 5 for the same row with the options of each", async () => {
  for (const generation of [4, 5] as const) {
    const host = new DnfHost(generation);
    await listAvailable(asking(host, generation), ["a"]);
    const [argv = []] = host.asked;
    assertEquals(argv.slice(3, 6), ["-q", "repoquery", "--available"]);
    assertEquals(argv[6], generation === 4 ? "--qf" : "--queryformat");
    assertEquals(argv[7]?.endsWith("\t%{repoid}\n"), generation === 5);
    assertEquals(argv.slice(8), ["a"]);
  }
});

Deno.test("readReboot() is null without a gap if dnf fails or the answer is invalid", async () => {
  for (const reboot of [failed("No such command\n"), failed("", 2), succeeded("junk\n")]) {
    const host = new DnfHost();
    host.answers = { reboot };
    const run = asking(host);
    assertEquals([await readReboot(run), run.gaps], [null, []]);
  }
});

Deno.test("askOptional() propagates programming errors", async () => {
  const question = { command: [], codes: [0], read: () => undefined };
  const run = asking(new DnfHost());
  assertEquals(await askOptional(run, "ask", question), undefined);
  assertEquals(run.gaps, ["Cannot ask: the answer is not understood"]);
  const broken = {
    ...question,
    read: () => {
      throw new TypeError("oops");
    },
  };
  await assertRejects(() => askOptional(run, "ask", broken), TypeError, "oops");
  assert(run.gaps.length === 1);
});
