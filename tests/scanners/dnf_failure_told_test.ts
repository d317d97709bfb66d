import { assert, assertEquals } from "@std/assert";
import { dnfGaps, fetchFailures } from "../../src/scanners/dnf_failure.ts";
import { readFixture, succeeded } from "./fixture.ts";

const REFUSED = "Could not connect to server for http://(hidden)@127.0.0.1:9/";

Deno.test("fetchFailures() tells of each repository why, of dnf 4 by id, of dnf 5 by name", () => {
  const dnf4 = fetchFailures(readFixture("dnf", "stderr_unreached.txt"));
  assertEquals([...dnf4.keys()], ["meta", "new"]);
  assertEquals(
    dnf4.get("new"),
    "Status code: 401 for http://(hidden)@127.0.0.1:9/private/(hidden)/repomd.xml (IP: 127.0.0.1)",
  );
  assert(
    dnf4.get("meta")?.startsWith("Curl error (7): Couldn't connect to server for http://(hidden)"),
  );
  const dnf5 = fetchFailures(readFixture("dnf5", "real_stderr_unreached.txt"));
  assertEquals([...dnf5.keys()], ["Repo new", "Repo ml"]);
  for (const why of dnf5.values()) {
    assert(why.startsWith(`Curl error (7): ${REFUSED}`), why);
    assert(!why.includes("S3cret"), why);
  }
  assertEquals([...fetchFailures(readFixture("dnf5", "real_stderr_left_out.txt")).keys()], [
    "dead",
  ]);
  for (const name of ["offered", "refresh"]) {
    assertEquals(fetchFailures(readFixture("dnf5", `real_stderr_${name}.txt`)).size, 0, name);
  }
  const long = `Error: Failed to download metadata for repo 'x': ${"y".repeat(400)}\n`;
  assertEquals(fetchFailures(long).get("x"), `${"y".repeat(295)}(cut)`);
});

Deno.test("dnfGaps() tells what is missing besides repositories, whatever else is said", () => {
  assertEquals(dnfGaps(succeeded("")), []);
  const told = (tool: string, name: string) => dnfGaps(succeeded("", readFixture(tool, name)));
  assertEquals(told("dnf", "stderr_repository_down.txt"), [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
  ]);
  assertEquals(told("dnf5", "stderr_left_out.txt"), []);
  assertEquals(told("dnf5", "progress.txt"), []);
  assertEquals(dnfGaps(succeeded("This system is not registered with an entitlement.\n")), [
    "This system is not registered: the repositories of its subscription are missing",
  ]);
  const long = "x".repeat(301);
  assertEquals(dnfGaps(succeeded("", `Warning: failed loading '${long}', skipping.\n`)), [
    `A repository's file could not be read: "${"x".repeat(295)}(cut)"`,
  ]);
});

Deno.test("dnfGaps() tells of modules that do not fit", () => {
  assertEquals(dnfGaps(succeeded("", readFixture("dnf", "stderr_modular.txt"))), [
    "Modular dependency problem, packages of modules may be missing: nothing provides " +
    "module(base:1) needed by module tool:2:1:deadbeef.x86_64",
  ]);
});

/** Why one repository could not be fetched, as dnf told it. */
function why(...lines: string[]): string | undefined {
  const all = [...fetchFailures(lines.map((line) => `${line}\n`).join(""))];
  assertEquals(all.length <= 1, true);
  return all[0]?.[1];
}

Deno.test("fetchFailures() tells of several causes the first that says what happened", () => {
  const progress = " The updates   ???% |   0.0   B/s |  -1.0   B |  ?     ";
  const usable = ">>> Usable URL not found";
  const begun = "Errors during downloading metadata for repository 'x':";
  const failed = "Error: Failed to download metadata for repo 'x': all were tried";
  const rows: [string[], string | undefined][] = [
    [[progress, ">>> Status code: 503", usable], "Status code: 503"],
    [[progress, usable, ">>> Status code: 503"], "Status code: 503"],
    [[progress, usable], "Usable URL not found"],
    [[begun, "  - Status code: 503", "  - Status code: 404", failed], "Status code: 503"],
    [[begun, failed], "all were tried"],
    [[begun, "  - Usable URL not found", failed], "all were tried"],
    [["Error: Failed to download metadata for repo 'x': "], "dnf does not say why"],
    [["Warning: Loading repository 'x' has failed"], "has failed"],
    // What it was fetched from stands behind it once more.
    [
      [progress, ">>> Status code: 404 for http://a.example/ - http://a.example/"],
      "Status code: 404 for http://a.example/",
    ],
    [
      [progress, ">>> Status code: 404 - http://a.example/ (IP: ::1)"],
      "Status code: 404 - http://a.example/ (IP: ::1)",
    ],
  ];
  for (const [lines, expected] of rows) assertEquals(why(...lines), expected, lines.join("\n"));
});

Deno.test("fetchFailures() takes no line for a failure that only quotes one, or has no repository", () => {
  const lines = [
    "Errors during downloading metadata for repository 'x':",
    "Error: Failed to download metadata for repo 'x': y",
    " The updates   ???% |   0.0   B/s |  -1.0   B |  ?     ",
    ">>> Status code: 503",
    "  - Status code: 503",
  ];
  for (const line of lines.slice(3)) assertEquals(why(line), undefined, line);
  for (const quoted of lines.filter((_, index) => index !== 2)) {
    const told = why("note: " + quoted, ...lines.slice(3).filter((line) => line !== quoted));
    assertEquals(told, undefined, quoted);
  }
  const progress = lines[2] ?? "";
  for (const quoted of lines.slice(3)) assertEquals(why(progress, `note: ${quoted}`), undefined);
  // What is set in deeper is no progress of a repository's.
  assertEquals(why(`  ${progress}`, ">>> Status code: 503"), undefined);
});

Deno.test("fetchFailures() tells of no repository that a plugin makes of packages on this host", () => {
  const text = "Errors during downloading metadata for repository '_dnf_local':\n" +
    "  - Curl error (37): x\nError: Failed to download metadata for repo '_dnf_local': y\n";
  assertEquals(fetchFailures(text).size, 0);
});

Deno.test("fetchFailures() tells of 500 repositories", () => {
  const lines = (count: number, line: (id: string) => string) =>
    Array.from({ length: count }, (_, n) => line(`r${n}`)).join("");
  const facts = (id: string) => `Error: Failed to download metadata for repo '${id}': y\n`;
  const causes = (id: string) =>
    `Errors during downloading metadata for repository '${id}':\n  - Status code: 503\n`;
  for (const line of [facts, causes]) {
    assertEquals([500, 501].map((count) => fetchFailures(lines(count, line)).size), [500, 500]);
  }
});

Deno.test("dnfGaps() reads the first 4,000 characters of a line, and whole sentences alone", () => {
  const gaps = (line: string) => dnfGaps(succeeded("", `${line}\n`)).length;
  const [start, end] = ["Warning: failed loading '", "', skipping."];
  const long = (length: number) => start + "x".repeat(length - start.length - end.length) + end;
  assertEquals([gaps(long(4_000)), gaps(long(4_001))], [1, 0]);
  const sentences = [`${start}x${end}`, "Modular dependency problems:"];
  for (const sentence of [...sentences, "This system is not registered with an entitlement."]) {
    assertEquals([gaps(sentence), gaps(`note: ${sentence}`)], [1, 0], sentence);
  }
  assertEquals(gaps(`${start}x${end} And so on`), 0);
  // Each once.
  assertEquals(gaps(`${start}x${end}\n${start}x${end}`), 1);
});

Deno.test("dnfGaps() tells two reasons of modules that do not fit, and no line below them", () => {
  const told = (...lines: string[]) => {
    const text = ["Modular dependency problems:", ...lines, ""].join("\n");
    const [gap = ""] = dnfGaps(succeeded("", text));
    return gap.split("may be missing: ")[1];
  };
  const conflict = " Problem: conflicting requests";
  assertEquals(told("", conflict, "  - a", "  - b", "  - c"), "a; b");
  assertEquals(told("", " Problem 1: x", " Problem 12: y"), "x; y");
  // Where nothing else is told, that has to do.
  assertEquals(told("", conflict), "conflicting requests");
  assertEquals(told("", "  - a", "Other words", "  - b"), "a");
  assertEquals(told("Other words", "  - b"), "");
  assertEquals(told("", " and so on - or not", " no Problem: none", "  - a - b"), "a - b");
});
