import { assertEquals, assertRejects } from "@std/assert";
import * as v from "valibot";
import {
  readPrivateFile,
  retryPauseMs,
  unlessFileError,
  writePrivateFile,
} from "../../src/scanners/private_files.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeFiles } from "../fakes/files.ts";

Deno.test("retryPauseMs() doubles an hour with each failure, up to a day", () => {
  const hours = [1, 2, 3, 4, 5, 6, 2_000].map((failures) => retryPauseMs(failures) / 3_600_000);
  assertEquals(hours, [1, 2, 4, 8, 16, 24, 24]);
});

Deno.test("unlessFileError() replaces nothing but the result of a failed file operation", async () => {
  const failed = () => Promise.reject(new FileError("Cannot read it", { reason: "denied" }));
  assertEquals(await unlessFileError(() => Promise.resolve(1), 2), 1);
  assertEquals(await unlessFileError(failed, 2), 2);
  const broken = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => unlessFileError(broken, 2), TypeError, "oops");
});

Deno.test("readPrivateFile() returns what was written, and nothing of a missing or damaged file", async () => {
  const files = new FakeFiles();
  const options = { purpose: "test", schema: v.object({ count: v.number() }) };
  assertEquals(await readPrivateFile({ files }, "/own/x.json", options), undefined);
  await writePrivateFile({ files }, "/own/x.json", { purpose: "test", value: { count: 1 } });
  assertEquals(await readPrivateFile({ files }, "/own/x.json", options), { count: 1 });
  for (const damaged of ["", "{", "{}", '{"count":"1"}']) {
    files.texts.set("/own/x.json", damaged);
    assertEquals(await readPrivateFile({ files }, "/own/x.json", options), undefined, damaged);
  }
  files.fail("test", "full");
  await writePrivateFile({ files }, "/own/x.json", { purpose: "test", value: { count: 2 } });
  assertEquals(files.texts.get("/own/x.json"), '{"count":"1"}');
});
