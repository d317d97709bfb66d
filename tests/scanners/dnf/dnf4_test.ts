import { assertEquals } from "@std/assert";
import {
  dnf4Dialect,
  parseDnf4Advisories,
  parseDnf4AdvisoryDetails,
  parseDnf4Repositories,
  parseIgnoredRepositories,
} from "../../../src/scanners/dnf/dnf4.ts";
import { checkJunk, checkLineParser } from "./parser_laws.ts";
import { readFixture } from "../fixture.ts";
import { dnf4Date } from "./host.ts";

Deno.test("dnf4Dialect accepts only the exit codes that come with an answer", () => {
  const { advisories, details, updates, repositories, reboot } = dnf4Dialect;
  for (const question of [advisories, details, repositories]) assertEquals(question?.codes, [0]);
  // 100 is "there are updates", and 1 is "a restart is required".
  assertEquals(updates.codes, [0, 100]);
  assertEquals(reboot.codes, [0, 1]);
});

Deno.test("parseDnf4Advisories() accepts any id, and severities in any case", () => {
  const rows: [string, string | undefined][] = [
    ["", undefined],
    ["junk", undefined],
    ["RHSA-2026:1 Important/Sec. a-1-1.noarch", "RHSA-2026:1 true important"],
    ["  ALAS2023-2026-123 critical/Sec. a-1:1-1.noarch", "ALAS2023-2026-123 true critical"],
    ["X LOW/Sec. a-1-1.noarch   ", "X true low"],
    ["X Unknown/Sec. a-1-1.noarch", "X true null"],
    // An id may contain spaces; a type contains none.
    ["X custom severity/Sec. a-1-1.noarch", "X custom true null"],
    ["My Corp 2026 1 Low/Sec. a-1-1.noarch", "My Corp 2026 1 true low"],
    ["This system has release set to 9.4 and it receives updates.", undefined],
    ["bugfix a-1-1.noarch", undefined],
    ["FEDORA-2026-1bbec06c4d bugfix a-1-1.noarch", "FEDORA-2026-1bbec06c4d false null"],
    ["X Fehlerkorrektur a-1-1.noarch", undefined],
    ["X Kritisch/Sicherheit a-1-1.noarch", undefined],
    ["X bugfix a", undefined],
  ];
  for (const [line, expected] of rows) {
    const { packages, unparsed } = parseDnf4Advisories(`${line}\n`);
    const rows = packages.map(({ id, isSecurity, severity }) => `${id} ${isSecurity} ${severity}`);
    assertEquals(rows[0], expected, line);
    // A sentence is not a row.
    const isRow = /Sec|bugfix|noarch/.test(line);
    assertEquals(unparsed, !isRow || expected ? 0 : 1, line);
  }
});

Deno.test("parseDnf4Advisories() refuses rows in another language", () => {
  const { packages, unparsed } = parseDnf4Advisories(readFixture("dnf", "advisories_german.txt"));
  assertEquals([packages, unparsed], [[], 3]);
});

Deno.test("parseDnf4AdvisoryDetails() separates listed from mentioned CVEs", () => {
  const found = parseDnf4AdvisoryDetails(readFixture("dnf", "cves.txt"));
  assertEquals(
    found.map(({ id, severity, listed, mentioned }) =>
      `${id} ${severity}: ${listed}; ${mentioned}`
    ),
    [
      "ALBA-2026:A003 null: ; ",
      // Its description contains a line that looks like the start of an advisory.
      "ALSA-2026:1004 null: ; CVE-2026-0005",
      "FEDORA-2026-1bbec06c4d null: ; CVE-2020-9999",
      "RHSA-2026:1001 important: CVE-2026-0001,CVE-2026-0002; ",
      // The reference 2999 also has the type of a CVE.
      "RHSA-2026:1003 moderate: CVE-2026-0004; ",
      "RLSA-2026:1002 critical: CVE-2026-0003; ",
    ],
  );
  assertEquals(parseDnf4AdvisoryDetails(""), []);
  assertEquals(parseDnf4AdvisoryDetails("junk\n       CVEs: CVE-2026-0001\n"), []);
});

Deno.test("parseDnf4AdvisoryDetails() finds CVEs in titles and bugs", () => {
  const rule = "=".repeat(79);
  const text = `${rule}\n  fixes CVE-2026-0007\n${rule}\n  Update ID: A-1\n` +
    "       Type: security\n       Bugs: 1 - CVE-2026-0008 a: b\n           : 2 - CVE-2026-0009\n" +
    "   Severity: very low\n";
  assertEquals(parseDnf4AdvisoryDetails(text), [
    {
      id: "A-1",
      severity: null,
      ownWord: "very low",
      listed: [],
      mentioned: ["CVE-2026-0007", "CVE-2026-0008", "CVE-2026-0009"],
    },
  ]);
});

Deno.test("parseDnf4AdvisoryDetails() requires a label before the colon of a field", () => {
  const text = "  Update ID: A-1\nDescription: fixes\n12345678901: as in a log\n" +
    "#          : CVE-2026-0008\n           : CVE-2026-0007\n       CVEs: CVE-2026-0001 \n";
  assertEquals(parseDnf4AdvisoryDetails(text).map(({ listed, mentioned }) => [listed, mentioned]), [
    [["CVE-2026-0001"], ["CVE-2026-0007"]],
  ]);
});

Deno.test("parsers of dnf 4's advisories obey the laws of parsers", () => {
  const rows = (text: string) => parseDnf4Advisories(text).packages;
  checkLineParser(readFixture("dnf", "advisories.txt"), rows);
  checkJunk(readFixture("dnf", "cves.txt"), parseDnf4AdvisoryDetails);
});

Deno.test("parseDnf4AdvisoryDetails() refuses ids with half a surrogate pair and other invalid ids", () => {
  const rule = "=".repeat(79);
  const block = (id: string) => `${rule}\n  T\n${rule}\n  Update ID:${id}\n   Severity: Low\n`;
  const ids = (id: string) => parseDnf4AdvisoryDetails(block(id)).map((found) => found.id);
  assertEquals(ids(" RHSA-2026:1001"), ["RHSA-2026:1001"]);
  assertEquals(ids("  My  Corp 1 "), ["My Corp 1"]);
  assertEquals(ids("\u{10000} RHSA-2026:1001"), []);
  assertEquals(ids(" \u00e9"), []);
});

Deno.test("parseDnf4AdvisoryDetails() keeps the details of advisories apart", () => {
  const rule = "=".repeat(79);
  const text = `${rule}\n  fixes CVE-2026-0001\n${rule}\n  Update ID: A-1\n` +
    "       Bugs: CVE-2026-0002\n  Update ID: A-2\n   Severity: Low\n" +
    `${rule}\n  Important: x\n${rule}\n       CVEs: CVE-2026-0003\n   Severity: Critical\n`;
  const none = { ownWord: null, listed: [] };
  assertEquals(parseDnf4AdvisoryDetails(text), [
    // A bug whose title is only a CVE is not a CVE that the advisory lists.
    { id: "A-1", severity: null, ...none, mentioned: ["CVE-2026-0001", "CVE-2026-0002"] },
    { id: "A-2", severity: "low", ...none, mentioned: [] },
  ]);
});

Deno.test("parseDnf4AdvisoryDetails() ends an advisory only at a rule of dnf's length", () => {
  for (
    const line of ["=".repeat(78), "=".repeat(80), `${"=".repeat(79)} x`, `x ${"=".repeat(79)}`]
  ) {
    const text = `  Update ID: A-1\n${line}\n       CVEs: CVE-2026-0001\n`;
    assertEquals(parseDnf4AdvisoryDetails(text)[0]?.listed, ["CVE-2026-0001"], line);
  }
});

const STDERR = readFixture("dnf", "stderr_repositories.txt");

Deno.test("parseDnf4Repositories() parses the output of a real dnf 4.14 with a plugin's sentences", () => {
  const parsed = parseDnf4Repositories(readFixture("dnf", "repositories.txt"), STDERR);
  assertEquals(parsed?.cacheDirectory, "/var/cache/dnf");
  const [long, fresh, ...rest] = parsed?.repositories ?? [];
  assertEquals(long, {
    id: "long",
    name: "Repo long name with blanks",
    url: "http://127.0.0.1:9/aaaa/x, http://127.0.0.1:9/bbbb/y",
    hasLists: false,
    fetchedMs: null,
    expiryMs: 172_800_000,
  });
  assertEquals(fresh, {
    id: "other",
    name: "Repo other",
    url: "file:///srv/rpms-other",
    hasLists: true,
    fetchedMs: Date.UTC(2026, 10, 29, 19, 10, 2),
    expiryMs: Infinity,
  });
  // A mirror list and a metalink precede the mirror that dnf chose from them.
  assertEquals(rest.map(({ id, url, expiryMs }) => `${id} ${url} ${expiryMs}`), [
    "metalink https://mirrors.example/metalink?repo=x&arch=x86_64 0",
    "mirrors https://mirrors.example/list?x=1 172800000",
  ]);
});

Deno.test("parseDnf4Repositories() requires an answer, which may have no repository", () => {
  for (const text of ["", "junk\n", "Total packages: 7\n"]) {
    assertEquals(parseDnf4Repositories(text, ""), undefined, text);
  }
  const none = { repositories: [], cacheDirectory: null, plugins: [] };
  assertEquals(parseDnf4Repositories("", "No repositories available\n"), none);
});

Deno.test("parseDnf4Repositories() parses dates in both formats of the C locale", () => {
  const instant = Date.UTC(2026, 0, 5, 19, 8, 2);
  const parse = (last: string) => {
    const text = `Repo-id : a\nRepo-expire : 21,600 second(s) (last: ${last})\n`;
    return parseDnf4Repositories(text, "")?.repositories[0];
  };
  assertEquals(dnf4Date(instant), "Mon Jan  5 19:08:02 2026");
  for (const text of [dnf4Date(instant), "Mon 05 Jan 2026 07:08:02 PM UTC"]) {
    assertEquals([parse(text)?.fetchedMs, parse(text)?.expiryMs], [instant, 21_600_000], text);
  }
  assertEquals(parse("Mon 05 Jan 2026 12:00:00 AM UTC")?.fetchedMs, Date.UTC(2026, 0, 5));
  // Lists of unknown age exist.
  const odd = parse("Mo 5. Januar");
  assertEquals([odd?.hasLists, odd?.fetchedMs], [true, null]);
  assertEquals(parse("unknown")?.hasLists, false);
});

Deno.test("parseIgnoredRepositories() skips the local repository and invalid ids", () => {
  const ignored = parseIgnoredRepositories(
    "Ignoring repositories: a, _dnf_local, two words, b-1\n",
  );
  assertEquals([...ignored], ["a", "b-1"]);
});

Deno.test("parseDnf4Repositories() obeys the laws of parsers", () => {
  const text = readFixture("dnf", "repositories.txt");
  checkJunk(text, (changed) => parseDnf4Repositories(changed, STDERR));
  checkJunk(STDERR, (changed) => parseDnf4Repositories(text, changed));
});

/** Parses dnf 4's output about one repository with these lines. */
function readOne(...lines: string[]) {
  const text = ["Repo-id : a", "Repo-baseurl : https://a.example/", ...lines, ""].join("\n");
  return parseDnf4Repositories(text, "")?.repositories[0];
}

Deno.test("parseDnf4Repositories() parses the expiry of package lists", () => {
  const hours48 = 48 * 3_600_000;
  const rows: [string, number][] = [
    ["Never (last: unknown)", Infinity],
    ["Instant (last: unknown)", 0],
    ["60 second(s) (last: unknown)", 60_000],
    ["172,800 second(s) (last: unknown)", hours48],
    ["3 weeks (last: unknown)", hours48],
    ["about 60 second(s) (last: unknown)", hours48],
    ["Nevermore (last: unknown)", hours48],
  ];
  for (const [expiry, expiryMs] of rows) {
    const one = readOne(`Repo-expire : ${expiry}`);
    assertEquals([one?.expiryMs, one?.hasLists, one?.fetchedMs], [expiryMs, false, null], expiry);
  }
  assertEquals([readOne()?.expiryMs, readOne()?.hasLists], [hours48, true]);
});

Deno.test("parseDnf4Repositories() refuses incomplete dates", () => {
  const whole = "Mon Jan  5 19:08:02 2026";
  const parse = (last: string) => readOne(`Repo-expire : Never (last: ${last})`);
  assertEquals(parse(whole)?.fetchedMs, Date.UTC(2026, 0, 5, 19, 8, 2));
  for (const part of ["Jan", "5 ", "19:08:02", "2026"]) {
    const one = parse(whole.replace(part, ""));
    assertEquals([one?.fetchedMs, one?.hasLists], [null, true], part);
  }
});

Deno.test("parseDnf4Repositories() trusts stderr about ignored repositories", () => {
  const text = `Repo-id : a\nRepo-status : enabled\nRepo-expire : Never (last: ${dnf4Date(0)})\n`;
  const read = (stderr: string) => parseDnf4Repositories(text, stderr)?.repositories[0]?.hasLists;
  assertEquals(read(""), true);
  assertEquals(read("Ignoring repositories: a\n"), false);
  assertEquals(read("Not Ignoring repositories: a\n"), true);
});

Deno.test("parseDnf4Repositories() ignores sentences and values of more than 4,000 characters", () => {
  assertEquals(readOne("no Repo-id : b")?.id, "a");
  // An empty field is ignored.
  assertEquals(readOne("Repo-metalink :  ")?.url, "https://a.example/");
  const urlOf = (length: number) => readOne(`Repo-metalink : ${"x".repeat(length)}`)?.url?.length;
  assertEquals([urlOf(4_000), urlOf(4_001)], [4_000, "https://a.example/".length]);
  const { cacheDirectory } =
    parseDnf4Repositories("cachedir: /x \nRepo-id : a\ncachedir: /y\n", "") ??
      {};
  assertEquals(cacheDirectory, "/x");
  assertEquals(parseDnf4Repositories("cachedir: /x\n", "")?.repositories, []);
  assertEquals(parseDnf4Repositories("", "See: No repositories available\n"), undefined);
});

Deno.test("parseDnf4Repositories() reads at most 1,000 repositories", () => {
  const blocks = (count: number) =>
    Array.from({ length: count }, (_, n) => `Repo-id : r${n}\n`).join("");
  for (const count of [1_000, 1_001]) {
    assertEquals(parseDnf4Repositories(blocks(count), "")?.repositories.length, 1_000);
  }
});
