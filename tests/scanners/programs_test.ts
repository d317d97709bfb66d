import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  compareVersionNumbers,
  inBatches,
  outputLines,
  reasonNotRun,
  runProgram,
} from "../../src/scanners/programs.ts";
import { cannot } from "../../src/scanners/scanner.ts";
import { hasControls } from "../../src/strip_controls.ts";
import { CommandError, type CommandErrorReason } from "../../src/system/process.ts";
import { anyString } from "../fakes/texts.ts";

Deno.test("reasonNotRun() distinguishes missing, forbidden and transient failures", () => {
  const reasons: CommandErrorReason[] = ["not_found", "denied", "timeout", "aborted", "failed"];
  assertEquals(
    reasons.map((reason) => reasonNotRun(new CommandError("Cannot run it", { reason }))),
    ["not_available", "permanent", "transient", "transient", "transient"],
  );
});

Deno.test("runProgram() describes what did not end by itself, and passes programming errors on", async () => {
  const bounds = { timeoutMs: 1, signal: undefined };
  const fail = (error: Error) => {
    const system = { runCommand: () => Promise.reject(error) };
    return runProgram(system, ["x"], bounds, ({ message }) => cannot("ask", message, "transient"));
  };
  const error = new CommandError("Cannot run it", { reason: "failed" });
  await assertRejects(() => fail(error), Error, "Cannot ask: Cannot run it");
  await assertRejects(() => fail(new TypeError("x")), TypeError, "x");
});

Deno.test("outputLines() accepts all line ends, and a byte order mark", () => {
  for (const text of ["a\nb\n", "a\r\nb\r\n", "a\rb\r", "\ufeffa\nb\n", "a\0\nb\x1b\n"]) {
    assertEquals(outputLines(text), { lines: ["a", "b"], dropped: 0 });
  }
});

Deno.test("outputLines() drops a last line that was cut off, and counts it", () => {
  assertEquals(outputLines("a\nb"), { lines: ["a"], dropped: 1 });
  assertEquals(outputLines(""), { lines: [], dropped: 0 });
});

Deno.test("outputLines() drops lines of more than 65,536 characters", () => {
  const longest = "x".repeat(65_536);
  assertEquals(outputLines(`${longest}\n`).lines.length, 1);
  assertEquals(outputLines(`${longest}x\n`), { lines: [], dropped: 1 });
});

Deno.test("outputLines() removes everything that moves a cursor", () => {
  fc.assert(fc.property(anyString(), (text) => {
    for (const line of outputLines(text).lines) {
      assert(!hasControls(line, "\t"), JSON.stringify(line));
    }
  }));
  assertEquals(outputLines("a\tb\u202ec\n").lines, ["a\tbc"]);
});

Deno.test("inBatches() starts a batch where a name would not fit, and drops none", () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `${"x".repeat(195)}${1_000 + n}`);
  const batches = inBatches(names);
  assertEquals(batches.flat(), names);
  assertEquals(batches.map((batch) => batch.length), [500, 500]);
  assertEquals(inBatches([]), []);
  const name = fc.string({ unit: fc.constantFrom(..."ab"), size: "+3", maxLength: 60_000 });
  fc.assert(
    fc.property(fc.array(name), (some) => {
      const made = inBatches(some);
      assertEquals(made.flat(), some);
      const sizes = made.map((batch) => batch.reduce((sum, { length }) => sum + length + 1, 0));
      assert(sizes.every((size) => size <= 100_000), sizes.join());
    }),
    { numRuns: 20 },
  );
});

Deno.test("compareVersionNumbers() compares the first number that differs, and a missing one as 0", () => {
  const rising = [[], [0, 1], [1, 9], [1, 9, 0, 1], [1, 10], [2, 0], [10]];
  for (const [at, one] of rising.entries()) {
    for (const [index, other] of rising.entries()) {
      assertEquals(Math.sign(compareVersionNumbers(one, other)), Math.sign(at - index));
    }
  }
  assertEquals(
    [compareVersionNumbers([1, 2], [1, 2, 0]), compareVersionNumbers([1, 2, 0], [1, 2])],
    [0, 0],
  );
});
