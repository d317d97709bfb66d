import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type ArchiveEntry, gzip, makeTar } from "../../src/doctor/tar.ts";
import { anyString } from "../fakes/texts.ts";
import { readTar } from "./read_tar.ts";

const entry = fc.record({
  name: fc.stringMatching(/^[a-z./_-]{1,100}$/),
  text: anyString({ maxLength: 2_000 }).map((text) => text.toWellFormed()),
});

Deno.test("makeTar() makes what a reader of POSIX's format gives back", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 5 }), (entries: ArchiveEntry[]) => {
      const bytes = makeTar(entries, 1_790_000_000_123);
      assertEquals(bytes.length % 512, 0);
      assertEquals(readTar(bytes), entries.map((one) => ({ ...one, mode: 0o600 })));
      assert(bytes.subarray(-1_024).every((byte) => byte === 0));
    }),
  );
});

Deno.test("makeTar() pads a text to whole blocks, none where it fills them", () => {
  const sizes = [0, 1, 511, 512, 513].map((length) =>
    makeTar([{ name: "a", text: "x".repeat(length) }], 0).length
  );
  assertEquals(sizes, [1_536, 2_048, 2_048, 2_048, 2_560]);
});

Deno.test("makeTar() refuses names that no header holds", () => {
  const make = (name: string) => () => makeTar([{ name, text: "" }], 0);
  make("a".repeat(100))();
  for (const name of ["", "a b", "ä", "a\n", "a".repeat(101)]) {
    assertThrows(make(name), RangeError, "Cannot archive");
  }
});

Deno.test("gzip() makes what gunzip reads", async () => {
  const bytes = makeTar([{ name: "a", text: "x".repeat(100_000) }], 0);
  const packed = await gzip(bytes);
  assert(packed.length < 2_000);
  const stream = new Blob([new Uint8Array(packed)]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  assertEquals(new Uint8Array(await new Response(stream).arrayBuffer()), bytes);
});
