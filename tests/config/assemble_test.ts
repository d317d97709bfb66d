import { assertEquals } from "@std/assert";
import { assemble } from "../../src/config/assemble.ts";

Deno.test("assemble() puts every setting in a place of its own", () => {
  const assembled = assemble(({ path }) => path);
  const places = Object.values(assembled).flatMap((part) => Object.values(part));
  assertEquals(new Set(places).size, places.length);
  assertEquals(assembled.http.timeoutMs as unknown, "http.timeout");
  assertEquals(assembled.scanners.minOpenMs as unknown, "scanners.min_open");
  assertEquals(assembled.breaker.minOpenMs as unknown, "breaker.min_open");
});
