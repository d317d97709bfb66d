import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MOST_SECRETS, Secrets, SHORTEST_SECRET } from "../src/secrets.ts";
import { hasControls } from "../src/strip_controls.ts";
import { anyString } from "./fakes/texts.ts";

Deno.test("hide() replaces the texts that were added, unless they are too short to be secrets", () => {
  const short = "x".repeat(SHORTEST_SECRET - 1);
  const secrets = new Secrets([short, `${short}y`]);
  secrets.add("a-renewed-token");
  secrets.add("");
  assertEquals(secrets.hide(`${short} ${short}y: a-renewed-token`), `${short} (hidden): (hidden)`);
  assertEquals(new Secrets().hide("a text\n\tof lines"), "a text\n\tof lines");
});

Deno.test("hide() replaces the whole of a secret that contains another one", () => {
  const secrets = new Secrets(["abcdefgh", "abcdefgh-and-more", "before-abcdefgh"]);
  assertEquals(secrets.hide("abcdefgh-and-more before-abcdefgh"), "(hidden) (hidden)");
});

Deno.test("hide() replaces the rest of a secret where a text was cut", () => {
  const secrets = new Secrets(["0123456789-the-token"]);
  const rows: [text: string, shown: string][] = [
    ["HTTP 400: 0123456789-the", "HTTP 400: (hidden)"],
    ["HTTP 400: 0123456789-the(cut)", "HTTP 400: (hidden)(cut)"],
    ["HTTP 400: 01234567...", "HTTP 400: (hidden)..."],
    ["01234567-0123456789-t", "01234567-(hidden)"],
    ["HTTP 400: 0123456(cut)", "HTTP 400: 0123456(cut)"],
    ["HTTP 400: 01234567 and more", "HTTP 400: 01234567 and more"],
  ];
  for (const [text, shown] of rows) assertEquals(secrets.hide(text), shown);
});

Deno.test("add() drops the secret that was added longest ago, and no other", () => {
  const secrets = new Secrets();
  const token = (n: number) => `token-number-${n};`;
  for (let n = 0; n < MOST_SECRETS; n++) secrets.add(token(n));
  secrets.add(token(0));
  assertEquals(secrets.hide(`${token(0)}${token(1)}`), "(hidden)(hidden)");
  secrets.add(token(MOST_SECRETS));
  const shown = secrets.hide(`${token(0)}${token(1)}${token(2)}${token(MOST_SECRETS)}`);
  assertEquals(shown, `(hidden)${token(1)}(hidden)(hidden)`);
});

Deno.test("hide() lets no secret through, wherever it is cut and whatever surrounds it", () => {
  const token = fc.stringMatching(/^[!-~]{8,60}$/);
  const any = anyString({ maxLength: 30 });
  fc.assert(
    fc.property(fc.array(token, { minLength: 1, maxLength: 5 }), any, any, (tokens, a, b) => {
      const secrets = new Secrets(tokens);
      for (const secret of tokens) {
        const shown = secrets.hide(a + secret + b);
        assert(!shown.includes(secret) || "(hidden)".includes(secret), shown);
        assert(!hasControls(shown, "\n\t"));
        for (let length = SHORTEST_SECRET; length < secret.length; length++) {
          const start = secret.slice(0, length);
          const text = secrets.hide(`HTTP 400: ${start}(cut)`);
          assert(!text.endsWith(`${start}(cut)`), text);
        }
      }
    }),
  );
});
