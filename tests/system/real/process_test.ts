import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { CapturedOutput } from "../../../src/system/real/process.ts";

/** A stream that brings `bytes` in pieces of the given sizes, and the rest in one. */
function streamOf(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let from = 0;
  const pieces = [...sizes, Infinity].map((size) => bytes.slice(from, from += size));
  const source: UnderlyingByteSource = {
    type: "bytes",
    start(controller) {
      for (const piece of pieces) if (piece.length > 0) controller.enqueue(piece);
      controller.close();
      controller.byobRequest?.respond(0);
    },
  };
  return new ReadableStream(source);
}

/** Bytes that differ from their neighbours, so that one out of place is seen. */
function counted(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => 32 + index % 89);
}

Deno.test("CapturedOutput stores the first bytes in order, whatever pieces they come in", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(100_000),
      fc.array(fc.integer({ min: 1, max: 40_000 }), { maxLength: 12 }),
      fc.nat(120_000),
      async (length, sizes, maxBytes) => {
        const bytes = counted(length);
        const output = new CapturedOutput(streamOf(bytes, sizes), maxBytes);
        await output.ended;
        const kept = new TextDecoder().decode(bytes.subarray(0, maxBytes));
        assertEquals([output.text(), output.truncated], [kept, length > maxBytes]);
      },
    ),
    { numRuns: 200 },
  );
});
