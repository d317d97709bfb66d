/** A worker of `main.ts`: fuzzes the parsers that it is given, one after the other. */

/// <reference lib="deno.worker" />

import { type FuzzOptions, fuzzParser, type FuzzResult, longestLineMs } from "./fuzz_parser.ts";
import { fixturesOf } from "./fixtures.ts";
import { PARSERS } from "./parsers.ts";

/** What is told of one parser. */
export interface FuzzReport extends FuzzResult {
  readonly longestLineMs: number;
}

self.onmessage = ({ data }: MessageEvent<{ name: string } & FuzzOptions>) => {
  const { name, ...options } = data;
  const parser = PARSERS.find((one) => one.name === name)!;
  const texts = fixturesOf(parser);
  const result: FuzzReport = {
    ...fuzzParser(parser, texts, options),
    longestLineMs: longestLineMs(parser, texts),
  };
  self.postMessage(result);
};
