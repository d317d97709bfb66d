/** A host with a few sources, and the archives that its apt fetches their lists from. */

import { assertEquals } from "@std/assert";
import { chooseLists } from "../../../src/scanners/apt/list_choice.ts";
import type { ScanOptions } from "../../../src/scanners/scanner.ts";
import type { RunOptions, RunResult } from "../../../src/system/process.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { type Question, questionOf } from "./host.ts";
import { succeeded } from "../fixture.ts";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const HOSTS = "/var/lib/apt/lists";

/** What an archive offers at the moment. */
export interface Offer {
  readonly publishedMs: number;
  readonly validUntilMs?: number;
  /** @default true */
  readonly hasRelease?: boolean;
  /** @default true */
  readonly isSigned?: boolean;
}

const SUM = "a".repeat(64);

export class ArchiveHost extends FakeSystem {
  readonly asked: string[][] = [];
  /** By the source's name: `alpha`. */
  readonly offers = new Map<string, Offer>();
  /** Why a source refuses; the others answer. */
  readonly refusals = new Map<string, string>();
  /** Sources that offer nothing but source code. */
  readonly sourceOnly = new Set<string>();
  answers: Partial<Record<Question, (argv: readonly string[]) => RunResult>> = {};
  /** Writes in progress: a choice that ends with some has not saved its record. */
  unfinished = 0;
  writes = 0;

  constructor(...names: readonly string[]) {
    super();
    for (const name of names) this.publish(name);
    const write = this.files.writeText.bind(this.files);
    this.files.writeText = async (...args) => {
      this.unfinished += 1;
      this.writes += 1;
      await new Promise((resolve) => setTimeout(resolve));
      await write(...args);
      this.unfinished -= 1;
    };
  }

  /** An archive publishes new lists at this age. */
  publish(name: string, ageMs = 0, more: Partial<Offer> = {}): void {
    this.offers.set(name, { ...more, publishedMs: this.clock.nowMs() - ageMs });
  }

  /** The host itself fetches what is offered now; its directory gets this age. */
  fetchAsHost(ageMs = 0): void {
    this.#fetch(HOSTS, true);
    this.files.modifiedMs.set(HOSTS, this.clock.nowMs() - ageMs);
  }

  /** Removes files of a source from a directory. */
  drop(name: string, directory = HOSTS, what = ""): void {
    for (const path of [...this.files.texts.keys()]) {
      if (path.startsWith(`${directory}/${name}.example_`) && path.includes(what)) {
        this.files.texts.delete(path);
      }
    }
  }

  count(question: Question): number {
    return this.asked.filter((argv) => questionOf(argv) === question).length;
  }

  /** Chooses lists, and returns what is reported of each source and which commands ran. */
  async choose(options: ScanOptions = {}) {
    this.asked.length = 0;
    this.writes = 0;
    const { sources, settings = [], ...chosen } = await chooseLists(
      this,
      { cacheDirectory: "/own", ...options },
      {},
    );
    assertEquals(this.unfinished, 0, "everything is written before the choice returns");
    const reported = sources.map(({ name, result, metadataAgeS, why }) =>
      [name.split(/[/.]+/)[1], result, metadataAgeS, why ?? ""] as const
    );
    return {
      ...chosen,
      reported,
      sources,
      results: reported.map(([name, result]) => `${name} ${result}`),
      ages: reported.map(([name, , age]) => `${name} ${age}`),
      lists: settings.includes("Dir::State::lists=/own/apt/lists/") ? "own" : "host's",
      fetches: this.count("update"),
      proofs: this.count("releases"),
    };
  }

  override runCommand = async (
    argv: readonly string[],
    _options: RunOptions,
  ): Promise<RunResult> => {
    this.asked.push([...argv]);
    const question = questionOf(argv);
    const answer = this.answers[question];
    if (answer) return await Promise.resolve(argv).then(answer);
    if (question === "sources") return succeeded(this.#printSources());
    if (question === "copy") return this.#copy(argv);
    const place = argv.find((word) => word.startsWith("Dir::State::lists="));
    const directory = place?.replace("Dir::State::lists=", "").replace(/\/$/, "") ?? HOSTS;
    this.#fetch(directory, question === "update");
    const failed = this.refusals.size > 0;
    return { ...succeeded(this.#printOutcomes()), code: failed ? 100 : 0 };
  };

  #printSources(): string {
    return [...this.offers.keys()].map((name) => {
      const address = `http://${name}.example/dists/s`;
      const prefix = `${name}.example_dists_s_`;
      const packages = `'${address}/main/binary-amd64/Packages.xz' ` +
        `${prefix}main_binary-amd64_Packages 0 \n`;
      return `'${address}/InRelease' ${prefix}InRelease 0 \n` +
        (this.sourceOnly.has(name) ? "" : packages);
    }).join("");
  }

  #printOutcomes(): string {
    return [...this.offers.keys()].filter((name) => !this.sourceOnly.has(name))
      .map((name, index) => {
        const why = this.refusals.get(name);
        const rest = `${index + 1} http://${name}.example s InRelease\n`;
        return why === undefined ? `Get:${rest}` : `Err:${rest}  ${why}\n`;
      }).join("");
  }

  /** A source that answers replaces its lists; one that refuses leaves them. */
  #fetch(directory: string, withPackages: boolean): void {
    for (const [name, offer] of this.offers) {
      if (this.refusals.has(name)) continue;
      this.drop(name, directory);
      const { publishedMs, validUntilMs, hasRelease = true, isSigned = true } = offer;
      const prefix = `${directory}/${name}.example_dists_s_`;
      const date = (field: string, ms: number) => `${field}: ${new Date(ms).toUTCString()}\n`;
      const text = date("Date", publishedMs) +
        (validUntilMs === undefined ? "" : date("Valid-Until", validUntilMs)) +
        `SHA256:\n ${SUM} 12 main/binary-amd64/Packages\n`;
      const file = `${prefix}${isSigned ? "InRelease" : "Release"}`;
      const put = (path: string, text: string) => {
        this.files.texts.set(path, text);
        this.files.modifiedMs.set(path, publishedMs);
      };
      if (hasRelease) put(file, text);
      if (withPackages && !this.sourceOnly.has(name)) {
        put(`${prefix}main_binary-amd64_Packages`, "");
      }
    }
    this.files.modifiedMs.set(directory, this.clock.nowMs());
  }

  #copy(argv: readonly string[]): RunResult {
    const directory = argv.at(-1) ?? "";
    for (const path of argv.filter((word) => word.startsWith(HOSTS))) {
      this.files.texts.set(
        directory + path.slice(HOSTS.length + 1),
        this.files.texts.get(path) ?? "",
      );
    }
    return succeeded("");
  }
}
