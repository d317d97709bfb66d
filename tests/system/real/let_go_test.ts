import { assertEquals, assertRejects } from "@std/assert";
import { onceLetGo } from "../../../src/system/real/let_go.ts";

Deno.test("onceLetGo() answers what its work does", async () => {
  assertEquals(await onceLetGo(() => Promise.resolve(7)), 7);
});

Deno.test("onceLetGo() tries again on Windows alone: elsewhere these numbers say other things", async () => {
  for (const number of [5, 32, 33]) {
    let tries = 0;
    const work = () => {
      tries++;
      if (tries === 2) return Promise.resolve();
      return Promise.reject(new Error(`Input/output error (os error ${number})`));
    };
    if (Deno.build.os === "windows") await onceLetGo(work);
    else await assertRejects(() => onceLetGo(work), Error, `(os error ${number})`);
    assertEquals(tries, Deno.build.os === "windows" ? 2 : 1);
  }
});
