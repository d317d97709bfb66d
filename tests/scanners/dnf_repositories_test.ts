import { assertEquals } from "@std/assert";
import {
  ignoredRepositories,
  parseDnf4Repositories,
  parseDnf5Repositories,
} from "../../src/scanners/dnf_repositories.ts";
import { checkCuts, checkJunk } from "./dnf_parser_laws.ts";
import { dnf4Date } from "./dnf_host.ts";
import { readFixture } from "./fixture.ts";

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
  const none = { repositories: [], cacheDirectory: null };
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
