/** A worker of `main.ts`: fuzzes the parsers that it is given, one after the other. */

/// <reference lib="deno.worker" />

import { fuzzParser, type FuzzResult, longestLineMs } from "./fuzz_parser.ts";
import { fixturesOf } from "./fixtures.ts";
import { PARSERS } from "./parsers.ts";

/** What is told of one parser. */
export interface FuzzReport extends FuzzResult {
  readonly longestLineMs: number;
}

self.onmessage = (
  { data }: MessageEvent<{ name: string; cases: number; seed: number | undefined }>,
) => {
  const { name, cases, seed } = data;
  const parser = PARSERS.find((one) => one.name === name)!;
  const options = { cases, ...(seed !== undefined && { seed }) };
  const texts = fixturesOf(parser);
  const result: FuzzReport = {
    ...fuzzParser(parser, texts, options),
    longestLineMs: longestLineMs(parser, texts),
  };
  self.postMessage(result);
};
