/** A host whose apt answers with captured output, unless a test says otherwise. */

import { assertEquals } from "@std/assert";
import { inspectLists, joinReleases, type Releases } from "../../../src/scanners/apt/lists.ts";
import { type AptSource, parseSources, type Release } from "../../../src/scanners/apt/sources.ts";
import type { RunOptions, RunResult } from "../../../src/system/process.ts";
import { FakeFiles } from "../../fakes/files.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { readFixture, succeeded } from "../fixture.ts";

/** What a scan asks. */
export type Question =
  | "installed"
  | "sources"
  | "upgrade"
  | "policy"
  | "show"
  | "untrusted"
  | "update"
  | "releases"
  | "changelogs"
  | "changelog"
  | "copy";

/** The question that a command asks, whatever its settings. */
export function questionOf([program, ...words]: readonly string[]): Question {
  const isSetting = (word: string) => word === "-o" || word === "-c";
  const args = words.filter((word, index) =>
    !isSetting(word) && !isSetting(words[index - 1] ?? "")
  );
  if (program === "/usr/bin/dpkg-query") return "installed";
  if (program === "/usr/bin/gzip") return "changelogs";
  if (program === "/usr/bin/cp") return "copy";
  if (program === "/usr/bin/apt-cache") return args[0] === "show" ? "show" : "policy";
  assertEquals(program, "/usr/bin/apt-get");
  if (args[0] === "indextargets") return "untrusted";
  if (args.includes("changelog")) return "changelog";
  if (args.includes("--print-uris")) return args.at(-1) === "update" ? "sources" : "upgrade";
  assertEquals(args.at(-1), "update");
  return words.some((word) => word.endsWith("/releases.conf")) ? "releases" : "update";
}

/** Files in apt's directory of lists, by name: Release files with their text. */
export const MADE_LISTS: Readonly<Record<string, string>> = JSON.parse(
  readFixture("apt", "made_lists.json"),
);

/** The enabled sources of the made host. */
export const MADE_SOURCES: readonly AptSource[] =
  parseSources(readFixture("apt", "made_sources.txt")).sources;

/** The releases of the made host, or of those sources of it that a test wants. */
export async function madeReleases(
  isWanted: (source: AptSource) => boolean = () => true,
): Promise<Releases> {
  const files = new FakeFiles();
  for (const [name, text] of Object.entries(MADE_LISTS)) files.texts.set(`/lists/${name}`, text);
  const sources = MADE_SOURCES.filter(isWanted);
  return joinReleases(sources, await inspectLists({ files }, "/lists", sources));
}

/** What `apt-get update` prints of sources that answer. */
export function hits(sources: readonly AptSource[] = MADE_SOURCES): string {
  return sources.map(({ name }, index) => `Hit:${index + 1} ${name} InRelease\n`).join("");
}

export class AptHost extends FakeSystem {
  readonly asked: string[][] = [];
  readonly options: RunOptions[] = [];
  answers: Partial<Record<Question, (argv: readonly string[]) => RunResult>> = {};

  constructor() {
    super();
    for (const name of ["apt-get", "apt-cache", "dpkg-query"]) {
      this.files.texts.set(`/usr/bin/${name}`, "");
    }
    this.putLists("/var/lib/apt/lists", 0);
  }

  /** Puts lists of the made host into a directory of this age; the lists have dates of their own. */
  putLists(
    directory: string,
    ageMs: number,
    isWanted: (name: string) => boolean = () => true,
    isOver = true,
  ): void {
    for (const [name, text] of Object.entries(MADE_LISTS)) {
      const path = `${directory}/${name}`;
      if (isWanted(name) && (isOver || !this.files.texts.has(path))) {
        this.files.texts.set(path, text);
      }
    }
    this.files.modifiedMs.set(directory, this.clock.nowMs() - ageMs);
  }

  /** Removes the lists whose names contain the word. */
  dropLists(directory: string, word: string): void {
    for (const path of [...this.files.texts.keys()]) {
      if (path.startsWith(`${directory}/`) && path.includes(word)) this.files.texts.delete(path);
    }
  }

  override runCommand = (argv: readonly string[], options: RunOptions): Promise<RunResult> => {
    this.asked.push([...argv]);
    this.options.push(options);
    const question = questionOf(argv);
    const answer = this.answers[question];
    try {
      const result = answer ? answer(argv) : succeeded(captured(question));
      if (question === "update" && !answer) this.#fetch(argv);
      if (question === "releases") {
        this.putLists("/own/apt/releases", 0, (name) => name.endsWith("Release"), false);
      }
      return Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error);
    }
  };

  #fetch(argv: readonly string[]): void {
    const place = argv.find((word) => word.startsWith("Dir::State::lists="));
    if (place) this.putLists(place.slice("Dir::State::lists=".length).replace(/\/$/, ""), 0);
  }

  /** How often a question was asked. */
  count(question: Question): number {
    return this.asked.filter((argv) => questionOf(argv) === question).length;
  }
}

/** What the made host's programs print. */
export function captured(question: Question): string {
  switch (question) {
    case "update":
    case "releases":
      return hits();
    case "untrusted":
    case "changelogs":
    case "changelog":
    case "copy":
      return "";
    default:
      return readFixture("apt", `made_${question}.txt`);
  }
}

/** A line of `apt-get --print-uris update`. */
export const uriLine = (uri: string, file: string) => `'${uri}' ${file} 0 \n`;

/** Sources of many kinds, as `apt-get --print-uris update` prints them. */
export const MIXED_URIS = [
  uriLine(
    "http://me:s3cret@deb.example/debian/dists/s/InRelease",
    "deb.example_debian_dists_s_InRelease",
  ),
  uriLine("cdrom://[Debian 12 _x_ - amd64]/dists/s/InRelease", "Debian%2012_dists_s_InRelease"),
  uriLine("http://127.0.0.1:9/flat/./InRelease", "127.0.0.1:9_flat_._InRelease"),
  uriLine("http://src.example/y/dists/s/InRelease", "src.example_y_dists_s_InRelease"),
  uriLine(
    "file:/srv/deb/dists/stable/updates/InRelease",
    "_srv_deb_dists_stable_updates_InRelease",
  ),
  uriLine(
    "http://me:s3cret@deb.example/debian/dists/s/main/binary-amd64/Packages.xz",
    "deb.example_debian_dists_s_main_binary-amd64_Packages",
  ),
  uriLine("cdrom://[Debian 12 _x_ - amd64]/x.xz", "Debian%2012_dists_s_main_binary-amd64_Packages"),
  uriLine("http://127.0.0.1:9/flat/./Packages.xz", "127.0.0.1:9_flat_._Packages"),
  uriLine("http://src.example/y/x.xz", "src.example_y_dists_s_main_source_Sources"),
  uriLine("file:/srv/deb/x.xz", "_srv_deb_dists_stable_updates_main_binary-amd64_Packages"),
].join("");

/** Debian's stable release, with other fields where a test wants them. */
export function release(fields: Partial<Release>): Release {
  return {
    origin: "Debian",
    label: "Debian",
    suite: "stable",
    codename: "bookworm",
    version: "12",
    dateMs: null,
    validUntilMs: null,
    isNotAutomatic: false,
    ...fields,
  };
}
