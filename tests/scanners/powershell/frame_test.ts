import { assert, assertEquals } from "@std/assert";
import { BEGIN, END, frameScript } from "../../../src/scanners/powershell/frame.ts";
import { parseEnvelope } from "../../../src/scanners/powershell/powershell.ts";

Deno.test("frameScript() holds the script, and is ASCII where that is", () => {
  const framed = frameScript("$answer=1");
  assert(framed.includes("\n$answer=1\n"));
  assert(/^[\n -~]*$/.test(framed));
});

Deno.test("frameScript() is no answer when it is echoed", () => {
  const framed = frameScript("");
  assert(!framed.includes(BEGIN) && !framed.includes(END));
});

Deno.test("frameScript() writes both marks in two pieces that make them whole", () => {
  const pieces = frameScript("").matchAll(/'([^']+)'\+'([^']+)'/g);
  assertEquals([...pieces].map(([, one, other]) => `${one}${other}`), [BEGIN, END, BEGIN, END]);
});

Deno.test("frameScript() has an answer ready for where none can be made", () => {
  const [, ready = ""] = /\n'([A-Za-z0-9+/=]+)'\n/.exec(frameScript("")) ?? [];
  assertEquals(parseEnvelope(`${BEGIN}${ready}${END}`), { constrained: true });
});
