import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { JWT_PATTERN } from "@logtape/redaction";
import {
  HIDDEN,
  MOST_SECRETS,
  quoteWords,
  redact,
  Secrets,
  SHORTEST_SECRET,
} from "../src/redact.ts";
import { hasControls } from "../src/strip_controls.ts";
import { holdsSecret, SECRET_TEXTS } from "./fakes/secrets.ts";
import { anyString, anyText } from "./fakes/texts.ts";

for (const secret of SECRET_TEXTS) {
  Deno.test(`redact() leaves no secret in ${secret}`, () => {
    assert(holdsSecret(secret));
    for (const shown of [redact(secret), quoteWords(secret, 300), redact(`a ${secret} b`)]) {
      assert(!holdsSecret(shown), shown);
      assert(shown.includes("(hidden)"), shown);
    }
  });
}

Deno.test("redact() hides access tokens by the prefix of their service", () => {
  const tokens = [
    "ghp_0123456789abcdefABCDEF0123456789abcd",
    "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
    "glpat-abcdefGHIJ0123456789",
    "gldt-abcdefGHIJ0123456789",
    "xoxb-123456789012-abcdefABCDEF",
    "npm_0123456789abcdefABCDEF0123456789abcd",
    "pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAw",
    "AKIA0123456789ABCDEF",
  ];
  for (const token of tokens) {
    assertEquals(redact(`no access with ${token}.`), "no access with (hidden).");
  }
});

Deno.test("redact() does not change what is no secret", () => {
  const texts = [
    "http://deb.debian.org/debian bookworm InRelease",
    "http://127.0.0.1:9/private bookworm/main amd64 Packages",
    "https://[2001:db8::1]:8443/debian/dists/bookworm-security/main/binary-amd64/Packages.xz",
    "https://deb.test/pool/main/l/linux/linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb",
    "https://cdn.test/content/dist/rhel9/9/x86_64/baseos/os/repodata/repomd.xml",
    "https://mirror.test/centos-stream-9-AppStream-x86_64/",
    "https://packages.test/yumrepos/edge-stable",
    "file:///srv/repository/debian",
    "cdrom:[Debian GNU/Linux 12.0.0 _Bookworm_ - Official amd64 DVD]/ bookworm main",
    "maintainer: Anna Person <anna@person.test>",
    "GPG key 0x1234ABCD is not trusted",
    "tool-2:1.0-1.x86_64 requires lib@1",
    "exit 100: E: The token is missing",
    "Basic authentication failed",
    "sslclientkey=/etc/pki/entitlement/123-key.pem gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-9",
    "  * Fix it. -- Joe Person <joe@example.org>  Mon, 23 Nov 2026 12:30:00 +0000",
    "tool:i386 1:2.3-4 -> 1:2.3-5, lib:amd64 (= 2:1.0~rc1)",
    "token-tools: upgraded; credential-helpers:amd64 kept back",
    "https://deb.test/debian-security/dists/bookworm-backports/x86_64-redhat-linux-gnu/",
    "git@github.com:owner/repository image@sha256:abc",
    "npm_config_registry ghc_9.4.7-3 glibc-2.36-9+deb12u10 glibc-langpack-aa_DJ pypi-mirror-tools",
  ];
  for (const text of texts) assertEquals(redact(text), text);
});

Deno.test("redact() does not hide the host, nor the text about it", () => {
  assertEquals(
    redact("Cannot fetch https://deploy:S3cret@repo.test/debian/a?sig=1: 401"),
    "Cannot fetch https://(hidden)@repo.test/debian/a?(hidden): 401",
  );
});

Deno.test("redact() does not hide the text before a user without a scheme", () => {
  const rows = [
    ["http_proxy=deploy:S3cret@proxy.test:3128", "http_proxy=(hidden)@proxy.test:3128"],
    ['"deploy:S3cret@proxy.test"', '"(hidden)@proxy.test"'],
    ["(deploy:S3cret@proxy.test)", "((hidden)@proxy.test)"],
    ["deploy:S3cret@proxy.test", "(hidden)@proxy.test"],
    ["d:S3cret@proxy.test", "(hidden)@proxy.test"],
  ];
  for (const [text = "", shown = ""] of rows) assertEquals(redact(text), shown);
});

Deno.test("redact() hides a query and a fragment wherever they begin", () => {
  const rows = [
    ["https://?sig=1", "https://?(hidden)"],
    ["https://#sig=1", "https://#(hidden)"],
    ["https://a:b@?sig=1", "https://(hidden)@?(hidden)"],
    ["https://h?sig=1", "https://h?(hidden)"],
    ["https://h/?sig=1#x", "https://h/?(hidden)"],
  ];
  for (const [text = "", shown = ""] of rows) assertEquals(redact(text), shown);
});

Deno.test("redact() hides path segments that are tokens of any alphabet, in any surroundings", () => {
  const of = (alphabet: string, minLength: number) =>
    fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength: 60 });
  const token = fc.oneof(
    of("0123456789abcdef", 16).filter((text) => /\d/.test(text)),
    of("abcdefghijklmnopqrstuvwxyz234567", 24),
    of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 24),
    of("abcdefghijklmnopqrstuvwxyz", 24),
  );
  const around = fc.constantFrom(["", ""], ["a:", ""], ["(S(", "))"], ["$", "!"], ["", "%2Fb"]);
  fc.assert(fc.property(token, around, (token, [front, back]) => {
    const shown = redact(`https://repo.test/${front}${token}${back}/debian`);
    assert(!shown.includes(token) && shown.startsWith("https://repo.test/"), shown);
  }));
});

Deno.test("redact() hides values named as secrets, in any spelling of the name", () => {
  const words = fc.constantFrom("proxy", "client", "x", "AWS", "github");
  const kind = fc.constantFrom(
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "apikey",
    "credential",
  );
  const join = fc.constantFrom("_", "-", ".", "");
  const value = fc.constantFrom("hunter2abc", "x", "a b c");
  fc.assert(fc.property(words, kind, join, value, (word, kind, join, value) => {
    const name = join === ""
      ? word.toLowerCase() + kind[0]?.toUpperCase() + kind.slice(1)
      : word + join + kind;
    for (const form of [name, name.toUpperCase()]) {
      if (join === "" && form !== name) continue;
      assertEquals(redact(`${form}="${value}" z`), `${form}="(hidden)" z`);
      assertEquals(redact(`{"${form}":"${value}"}`), `{"${form}":"(hidden)"}`);
    }
  }));
});

Deno.test("redact() does not change the ordinary output of a package manager", () => {
  const word = fc.constantFrom(
    ...[
      "tool:i386",
      "1:2.3-4",
      "12:30:01",
      "Joe",
      "<joe@example.org>",
      "(>=",
      "2.0~rc1)",
      "E:",
      "W:",
    ],
    ...[
      "bookworm-backports/main",
      "http://deb.debian.org/debian",
      "bookworm",
      "InRelease",
      "libpam0g",
    ],
    ...[
      "https://mirror.test/x86_64-redhat-linux-gnu/",
      "401",
      "Unauthorized",
      "[IP:",
      "192.0.2.1",
      "443]",
    ],
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 12 }), (words) => {
    assertEquals(redact(words.join(" ")), words.join(" "));
  }));
});

Deno.test("redact() does not change a redacted text", () => {
  const pieces = fc.constantFrom(
    ...SECRET_TEXTS,
    "://",
    "@",
    ":",
    "?",
    "/",
    " ",
    "(hidden)",
    "\n",
    "a",
  );
  fc.assert(fc.property(fc.array(fc.oneof(pieces, anyText(20)), { maxLength: 6 }), (parts) => {
    const shown = redact(parts.join(""));
    assertEquals(redact(shown), shown);
  }));
});

Deno.test("redact() hides a user part with any characters", () => {
  const secret = fc.string({ unit: "binary-ascii", minLength: 4, maxLength: 40 })
    .map((text) => `Qz7${text.replaceAll(/\s/g, "_").replaceAll("://", "")}Qz8`);
  fc.assert(fc.property(secret, (secret) => {
    const shown = redact(`fetch https://user:${secret}@repo.test/a failed`);
    assertEquals(shown, "fetch https://(hidden)@repo.test/a failed");
  }));
});

Deno.test("redact() takes time in proportion to a text's length", () => {
  // Any of these would take minutes if a rule looked back or ahead for each character.
  for (
    const unit of [
      "a://",
      "a:",
      "@",
      "a:b@c ",
      "token=",
      "Bearer ",
      "eyJ",
      "x.",
      "%41",
      "aB3",
      "/a1",
      "password ",
      "a_",
      "=",
      "--a ",
      "//a:b ",
      ':"',
      "login x password ",
    ]
  ) {
    const text = `x://${unit.repeat(50_000 / unit.length)}`;
    assert(redact(text).length <= 4 * text.length);
    assert(redact(`${text.slice(4)}=:bc@h`).length <= 4 * text.length);
  }
});

Deno.test("redact() hides what the pattern of a JWT finds, in any surroundings", () => {
  const piece = fc.constantFrom("eyJ", ".", "a", "-", "_", " ", "é", "(", "ey", "J");
  fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
    const text = pieces.join("");
    assertEquals(redact(text), text.replace(JWT_PATTERN.pattern, HIDDEN));
  }));
});

Deno.test("quoteWords() cuts at its limit, marks the cut, and splits no character", () => {
  assertEquals(quoteWords("1234567890", 10), "1234567890");
  assertEquals(quoteWords("12345678901", 10), "12345(cut)");
  assertEquals(quoteWords("1234😀78901", 10), "1234(cut)");
  assertEquals(quoteWords("1\n2\u202e3", 3), "123");
  fc.assert(fc.property(anyText(100), fc.integer({ min: 5, max: 50 }), (text, limit) => {
    const quoted = quoteWords(text, limit);
    assert(quoted.length <= limit && !hasControls(quoted));
  }));
});

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
