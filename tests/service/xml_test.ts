import { assertEquals } from "@std/assert";
import { escapeXml } from "../../src/service/xml.ts";

Deno.test("escapeXml() leaves no character that ends a text, and escapes an entity once more", () => {
  assertEquals(escapeXml("a & b < c > d"), "a &amp; b &lt; c &gt; d");
  assertEquals(escapeXml("&amp;"), "&amp;amp;");
  assertEquals(escapeXml("C:\\plain"), "C:\\plain");
});
