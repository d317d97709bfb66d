import { assertEquals, assertRejects } from "@std/assert";
import { retryWhileInUse } from "../../../src/system/real/files.ts";

Deno.test("retryWhileInUse() returns the result of its work", async () => {
  assertEquals(await retryWhileInUse(() => Promise.resolve(7)), 7);
});

Deno.test("retryWhileInUse() retries on Windows alone: elsewhere these numbers mean other errors", async () => {
  for (const number of [5, 32, 33]) {
    let tries = 0;
    const work = () => {
      tries++;
      if (tries === 2) return Promise.resolve();
      return Promise.reject(new Error(`Input/output error (os error ${number})`));
    };
    if (Deno.build.os === "windows") await retryWhileInUse(work);
    else await assertRejects(() => retryWhileInUse(work), Error, `(os error ${number})`);
    assertEquals(tries, Deno.build.os === "windows" ? 2 : 1);
  }
});
