import { assertEquals } from "@std/assert";
import { plain } from "../../src/cli/plain.ts";

Deno.test("plain() leaves nothing that steers a terminal", () => {
  assertEquals(plain("a\u001b[31mb\r\n\u009bc"), "a[31mbc");
});
