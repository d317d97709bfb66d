import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { compareRpmParts } from "../../src/scanners/dnf/rpm.ts";
import { run } from "./apt_root.ts";

const PYTHON = "/usr/bin/python3";

/** Reads pairs of versions, one a line, and writes rpm's own verdict on each. */
const ASK = `import sys, rpm
for line in open(sys.argv[1]):
    a, b = line.rstrip("\\n").split(" ")
    print(rpm.labelCompare(("0", a, "1"), ("0", b, "1")))`;

const { code } = await run([PYTHON, "-c", "import rpm"]).catch(() => ({ code: 1 }));

Deno.test({
  name: "compareRpmParts() agrees with rpm on 20,000 pairs of versions",
  ignore: code !== 0, // There is no python3-rpm.
}, async () => {
  const version = fc.string({
    unit: fc.constantFrom(..."0019azAZ~^._+"),
    minLength: 1,
    maxLength: 9,
  });
  const like = fc.tuple(version, fc.string({ unit: fc.constantFrom(..."01a~^."), maxLength: 3 }))
    .map(([start, end]): [string, string] => [start, start + end]);
  const pairs = fc.sample(fc.oneof(fc.tuple(version, version), like), 20_000);
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, pairs.map((pair) => `${pair.join(" ")}\n`).join(""));
    const { stdout, stderr } = await run([PYTHON, "-c", ASK, file]);
    const verdicts = stdout.trim().split("\n").map(Number);
    assertEquals(verdicts.length, pairs.length, stderr);
    const ours = pairs.map(([a, b]) => Math.sign(compareRpmParts(a, b)));
    const wrong = pairs.filter((_, index) => ours[index] !== verdicts[index]);
    assertEquals(wrong, []);
  } finally {
    await Deno.remove(file);
  }
});
