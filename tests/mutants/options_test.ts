import { assert, assertEquals } from "@std/assert";
import { type Options, readOptions } from "../../tools/mutants/options.ts";

function options(...args: string[]): Options {
  const read = readOptions(args);
  assert(read !== null && typeof read !== "string", String(read));
  return read;
}

Deno.test("readOptions() has defaults, and takes what is given", () => {
  assertEquals(options(), {
    seed: 1,
    count: 300,
    only: "src/",
    jobs: 2,
    goal: 90,
    jsonFile: null,
    isListing: false,
  });
  const given = options(
    "--seed",
    "7",
    "--count=9",
    "--only",
    "src/loop",
    "--jobs",
    "1",
    "--goal",
    "0",
  );
  assertEquals(given, { ...options(), seed: 7, count: 9, only: "src/loop", jobs: 1, goal: 0 });
  assertEquals(options("--json", "out.json", "--list").jsonFile, "out.json");
});

Deno.test("readOptions() leaves the seed of a rotating part to the commit", () => {
  const { seed, count } = options("--rotate");
  assertEquals(seed, null);
  assert(count < options().count);
  assertEquals(options("--rotate", "--count", "5").count, 5);
  assertEquals(readOptions(["--rotate", "--seed", "1"]), "--rotate takes its seed from the commit");
});

Deno.test("readOptions() refuses what it does not know, and numbers out of range", () => {
  assertEquals(readOptions(["--help"]), null);
  assertEquals(readOptions(["--all"]), 'no such argument "--all"');
  assertEquals(readOptions(["src"]), 'no such argument "src"');
  assertEquals(readOptions(["--goal", "101"]), '--goal is "101", not a whole number from 0 to 100');
  for (const wrong of ["0", "-1", "1.5", "x", ""]) {
    assertEquals(typeof readOptions([`--count=${wrong}`]), "string", wrong);
  }
});
