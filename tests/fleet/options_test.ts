import { assert, assertEquals } from "@std/assert";
import { readOptions } from "../../tools/fleet/options.ts";

function read(...args: string[]) {
  const options = readOptions(args);
  assert(options !== null && typeof options !== "string", String(options));
  return options;
}

Deno.test("readOptions() has a quick look for its default", () => {
  const options = read();
  assertEquals([options.agents, options.seed, options.isWriting], [100_000, 1, false]);
  assertEquals(options.policies.length, 6);
  assertEquals(
    options.scenarios.map(({ outage, cut, isRapid }) => [outage.name, cut, isRapid]),
    [["28m", "staggered", false]],
  );
  assertEquals([options.capacity(false), options.capacity(true)], [1_000, 30_000]);
});

Deno.test("readOptions() takes what is chosen", () => {
  const options = read("--policy", "pennon", "--outage=6h", "--cut", "all", "--rapid", "on");
  assertEquals(options.policies.map(({ name }) => name), ["pennon"]);
  assertEquals(options.scenarios.map(({ cut }) => cut), ["staggered", "together"]);
  assert(options.scenarios.every(({ outage, isRapid }) => outage.name === "6h" && isRapid));
  const numbers = read("--agents", "300", "--seed", "0", "--capacity", "7");
  assertEquals([numbers.agents, numbers.seed, numbers.capacity(true)], [300, 0, 7]);
});

Deno.test("readOptions() runs everything when it is to be written", () => {
  assertEquals(read("--write").scenarios.length, 12);
  assertEquals(read("--write", "--outage", "all").scenarios.length, 12);
  assertEquals(
    readOptions(["--write", "--cut", "together"]),
    "--write is of everything: leave out --cut",
  );
});

Deno.test("readOptions() refuses what it does not know", () => {
  const rows: [args: string[], complaint: string][] = [
    [["--bogus"], 'no such argument "--bogus"'],
    [["28m"], 'no such argument "28m"'],
    [["--outage", "29m"], '--outage is "29m", not 20s, 28m, 6h or all'],
    [["--cut="], '--cut is "", not staggered, together or all'],
    [["--rapid", "yes"], '--rapid is "yes", not on, off or all'],
    [["--agents", "0"], '--agents is "0", not a whole number from 1 to 1000000'],
    [["--agents", "1000001"], '--agents is "1000001", not a whole number from 1 to 1000000'],
    [["--capacity", "1e3"], '--capacity is "1e3", not a whole number from 1 to 1000000'],
    [["--seed", "4294967296"], '--seed is "4294967296", not a whole number from 0 to 4294967295'],
  ];
  for (const [args, complaint] of rows) assertEquals(readOptions(args), complaint);
});

Deno.test("readOptions() helps who asks for it", () => {
  assertEquals(readOptions(["--help", "--bogus"]), null);
});
