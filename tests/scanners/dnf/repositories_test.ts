import { assertEquals } from "@std/assert";
import {
  ignoredRepositories,
  parseDnf4Repositories,
  parseDnf5Repositories,
} from "../../../src/scanners/dnf/repositories.ts";
import { checkCuts, checkJunk } from "./parser_laws.ts";
import { dnf4Date } from "./host.ts";
import { readFixture } from "../fixture.ts";

const STDERR = readFixture("dnf", "stderr_repositories.txt");

Deno.test("parseDnf4Repositories() reads what a real dnf 4.14 said, past a plugin's sentences", () => {
  const told = parseDnf4Repositories(readFixture("dnf", "repositories.txt"), STDERR);
  assertEquals(told?.cacheDirectory, "/var/cache/dnf");
  const [long, fresh, ...rest] = told?.repositories ?? [];
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
  // A mirror list and a metalink count more than the mirror that was taken of them.
  assertEquals(rest.map(({ id, url, expiryMs }) => `${id} ${url} ${expiryMs}`), [
    "metalink https://mirrors.example/metalink?repo=x&arch=x86_64 0",
    "mirrors https://mirrors.example/list?x=1 172800000",
  ]);
});

Deno.test("parseDnf4Repositories() needs an answer, and believes one of no repository", () => {
  for (const text of ["", "junk\n", "Total packages: 7\n"]) {
    assertEquals(parseDnf4Repositories(text, ""), undefined, text);
  }
  const none = { repositories: [], cacheDirectory: null, plugins: [] };
  assertEquals(parseDnf4Repositories("", "No repositories available\n"), none);
});

Deno.test("parseDnf4Repositories() reads instants in both forms that C's locale had", () => {
  const instant = Date.UTC(2026, 0, 5, 19, 8, 2);
  const told = (last: string) => {
    const text = `Repo-id : a\nRepo-expire : 21,600 second(s) (last: ${last})\n`;
    return parseDnf4Repositories(text, "")?.repositories[0];
  };
  assertEquals(dnf4Date(instant), "Mon Jan  5 19:08:02 2026");
  for (const text of [dnf4Date(instant), "Mon 05 Jan 2026 07:08:02 PM UTC"]) {
    assertEquals([told(text)?.fetchedMs, told(text)?.expiryMs], [instant, 21_600_000], text);
  }
  assertEquals(told("Mon 05 Jan 2026 12:00:00 AM UTC")?.fetchedMs, Date.UTC(2026, 0, 5));
  // Lists of an unknown age are lists all the same.
  const odd = told("Mo 5. Januar");
  assertEquals([odd?.hasLists, odd?.fetchedMs], [true, null]);
  assertEquals(told("unknown")?.hasLists, false);
});

Deno.test("ignoredRepositories() leaves out a plugin's own, and what is no id", () => {
  const told = ignoredRepositories("Ignoring repositories: a, _dnf_local, two words, b-1\n");
  assertEquals([...told], ["a", "b-1"]);
});

const ONE = {
  id: "a",
  name: "The first",
  is_enabled: true,
  timestamp: 1_795_979_417,
  metadata_expire: 172_800,
  base_url: ["http://one.example/", "http://two.example/"],
  metalink: "",
  mirrorlist: "",
};

Deno.test("parseDnf5Repositories() reads what a real dnf 5.4.6 said", () => {
  const told = parseDnf5Repositories(readFixture("dnf5", "real_repo_info.json"));
  assertEquals(told?.repositories.map(({ name: _, ...one }) => one), [
    {
      id: "meta",
      url: "http://deploy:S3cret@127.0.0.1:9/meta?x=1",
      hasLists: false,
      fetchedMs: null,
      expiryMs: 172_800_000,
    },
    {
      id: "updates",
      url: "file:///srv/rpms-updates",
      hasLists: true,
      fetchedMs: 1_795_979_417_000,
      expiryMs: 172_800_000,
    },
  ]);
});

Deno.test("parseDnf5Repositories() needs a list that it understands as a whole", () => {
  const read = (...items: unknown[]) => parseDnf5Repositories(JSON.stringify(items));
  assertEquals(read(ONE)?.repositories[0], {
    id: "a",
    name: "The first",
    url: "http://one.example/, http://two.example/",
    hasLists: true,
    fetchedMs: 1_795_979_417_000,
    expiryMs: 172_800_000,
  });
  assertEquals(read({ ...ONE, metadata_expire: -1 })?.repositories[0]?.expiryMs, Infinity);
  assertEquals(read({ ...ONE, is_enabled: false })?.repositories, []);
  assertEquals(read({ ...ONE, id: "_dnf_local" })?.repositories, []);
  assertEquals(parseDnf5Repositories("")?.repositories, []);
  for (const wrong of [{}, null, { ...ONE, timestamp: "now" }, { ...ONE, id: "a b" }]) {
    assertEquals(read(ONE, wrong), undefined);
  }
  for (const text of ["junk", "{}", "1"]) assertEquals(parseDnf5Repositories(text), undefined);
});

Deno.test("parsers of repositories keep to the laws", () => {
  const text = readFixture("dnf", "repositories.txt");
  checkJunk(text, (changed) => parseDnf4Repositories(changed, STDERR));
  checkJunk(STDERR, (changed) => parseDnf4Repositories(text, changed));
  const json = readFixture("dnf5", "real_repo_info.json").trimEnd();
  checkJunk(json, parseDnf5Repositories);
  checkCuts(json.slice(0, -1), (cut) => cut.trim() && parseDnf5Repositories(cut) ? [cut] : []);
});

/** What dnf 4 says of one repository, with these lines besides. */
function readOne(...lines: string[]) {
  const text = ["Repo-id : a", "Repo-baseurl : https://a.example/", ...lines, ""].join("\n");
  return parseDnf4Repositories(text, "")?.repositories[0];
}

Deno.test("parseDnf4Repositories() reads how long dnf is content with a list", () => {
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
  for (const [told, expiryMs] of rows) {
    const one = readOne(`Repo-expire : ${told}`);
    assertEquals([one?.expiryMs, one?.hasLists, one?.fetchedMs], [expiryMs, false, null], told);
  }
  assertEquals([readOne()?.expiryMs, readOne()?.hasLists], [hours48, true]);
});

Deno.test("parseDnf4Repositories() knows no instant of which a part is missing", () => {
  const whole = "Mon Jan  5 19:08:02 2026";
  const told = (last: string) => readOne(`Repo-expire : Never (last: ${last})`);
  assertEquals(told(whole)?.fetchedMs, Date.UTC(2026, 0, 5, 19, 8, 2));
  for (const part of ["Jan", "5 ", "19:08:02", "2026"]) {
    const one = told(whole.replace(part, ""));
    assertEquals([one?.fetchedMs, one?.hasLists], [null, true], part);
  }
});

Deno.test("parseDnf4Repositories() believes dnf that it left a repository out, whatever else it says", () => {
  const text = `Repo-id : a\nRepo-status : enabled\nRepo-expire : Never (last: ${dnf4Date(0)})\n`;
  const read = (stderr: string) => parseDnf4Repositories(text, stderr)?.repositories[0]?.hasLists;
  assertEquals(read(""), true);
  assertEquals(read("Ignoring repositories: a\n"), false);
  assertEquals(read("Not Ignoring repositories: a\n"), true);
});

Deno.test("parseDnf4Repositories() takes no sentence, and no value of more than 4,000 characters, for a field", () => {
  assertEquals(readOne("no Repo-id : b")?.id, "a");
  // An empty field says nothing.
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

Deno.test("parseDnf4Repositories() and parseDnf5Repositories() read 1,000 repositories", () => {
  const ids = (count: number) => Array.from({ length: count }, (_, n) => `r${n}`);
  const blocks = (count: number) => ids(count).map((id) => `Repo-id : ${id}\n`).join("");
  const list = (count: number) => JSON.stringify(ids(count).map((id) => ({ ...ONE, id })));
  for (const count of [1_000, 1_001]) {
    assertEquals(parseDnf4Repositories(blocks(count), "")?.repositories.length, 1_000);
    assertEquals(parseDnf5Repositories(list(count))?.repositories.length, 1_000);
  }
});

Deno.test("parseDnf5Repositories() reads what may be missing, and numbers by their meaning", () => {
  const read = (changes: object) => {
    const told = parseDnf5Repositories(JSON.stringify([{ ...ONE, ...changes }]));
    return told?.repositories[0];
  };
  assertEquals(read({ is_enabled: undefined })?.id, "a");
  assertEquals(read({ name: "" })?.name, "a");
  assertEquals(read({ base_url: [] })?.url, null);
  assertEquals(read({ metalink: "m", mirrorlist: "l" })?.url, "m");
  assertEquals(read({ mirrorlist: "l" })?.url, "l");
  for (
    const [expire, expiryMs] of [[undefined, 172_800_000], [0, 0], [1, 1_000], [
      -1,
      Infinity,
    ]] as const
  ) {
    assertEquals(read({ metadata_expire: expire })?.expiryMs, expiryMs);
  }
  const dates = [[-1, false, null], [0, true, null], [1, true, 1_000]] as const;
  for (const [timestamp, hasLists, fetchedMs] of dates) {
    const one = read({ timestamp });
    assertEquals([one?.hasLists, one?.fetchedMs], [hasLists, fetchedMs], `${timestamp}`);
  }
  assertEquals(read({ timestamp: 1.5 }), undefined);
  assertEquals(parseDnf5Repositories(" \n")?.repositories, []);
});
