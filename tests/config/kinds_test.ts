import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  argumentList,
  choice,
  choices,
  duration,
  integer,
  size,
  text,
  texts,
  url,
} from "../../src/config/kinds.ts";

const anything = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.object());

Deno.test("duration() reads lengths of time within its bounds", () => {
  const kind = duration("1s", "1d");
  const rows: [unknown, number | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["junk", undefined],
    [5, undefined],
    ["5", undefined],
    ["-5s", undefined],
    ["999ms", undefined],
    ["1s", 1_000],
    ["1000ms", 1_000],
    ["1.5 s", 1_500],
    ["5m", 300_000],
    ["24h", 86_400_000],
    ["1d", 86_400_000],
    ["86401s", undefined],
    ["5 min", undefined],
  ];
  for (const [written, ms] of rows) assertEquals(kind.read(written), ms, String(written));
});

Deno.test("size() reads sizes within its bounds", () => {
  const kind = size("1KiB", "1GiB");
  const rows: [unknown, number | undefined][] = [
    [undefined, undefined],
    ["1023B", undefined],
    ["1024B", 1_024],
    ["64 MiB", 67_108_864],
    ["1GiB", 1_073_741_824],
    ["2GiB", undefined],
    ["1KB", undefined],
    ["1.5MiB", undefined],
  ];
  for (const [written, bytes] of rows) assertEquals(kind.read(written), bytes, String(written));
});

Deno.test("integer() reads whole numbers, and texts of them for the environment", () => {
  const kind = integer(1, 100);
  const rows: [unknown, number | undefined][] = [
    [0, undefined],
    [1, 1],
    [100, 100],
    [101, undefined],
    [1.5, undefined],
    ["7", 7],
    [" 7 ", 7],
    ["0000000000000007", undefined],
    ["7x", undefined],
    ["", undefined],
    [NaN, undefined],
  ];
  for (const [written, number] of rows) assertEquals(kind.read(written), number, String(written));
});

Deno.test("choice() and choices() accept only the words they know", () => {
  assertEquals(choice("text", "json").read("json"), "json");
  assertEquals(choice("text", "json").read("xml"), undefined);
  assertEquals(choice("text").read("constructor"), undefined);
  assertEquals(choices("apt", "dnf").read(["apt"]), ["apt"]);
  assertEquals(choices("apt", "dnf").read("apt, dnf"), ["apt", "dnf"]);
  assertEquals(choices("apt", "dnf").read(["apt", "pip"]), undefined);
  assertEquals(choices("apt", "dnf").read([]), []);
});

Deno.test("url() accepts addresses of its protocols, without a trailing slash", () => {
  const kind = url("", ["http:", "https:"]);
  const rows: [unknown, string | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["server", undefined],
    ["ftp://server", undefined],
    ["https://", undefined],
    ["https://server?a=b", undefined],
    ["https://server/", "https://server"],
    ["https://server:8443/red/", "https://server:8443/red"],
    ["HTTP://Server", "http://server"],
  ];
  for (const [written, read] of rows) assertEquals(kind.read(written), read, String(written));
  assertEquals(kind.show("http://user:pass@proxy:3128"), "http://user:hidden@proxy:3128");
});

Deno.test("text() accepts no control characters", () => {
  assertEquals(text("").read("/etc/ca.pem"), "/etc/ca.pem");
  for (const written of ["", "a\nb", "a\u0000", 5]) assertEquals(text("").read(written), undefined);
});

Deno.test("show() writes a value in its largest fitting unit", () => {
  const durations = [[0, "0ms"], [1, "1ms"], [1_500, "1500ms"], [60_000, "1m"], [90_000, "90s"]];
  for (const [ms, shown] of [...durations, [86_400_000, "1d"], [172_800_000, "2d"]] as const) {
    assertEquals(duration("0s", "90d").show(Number(ms)), shown);
  }
  const sizes = [[1, "1B"], [1_023, "1023B"], [1_024, "1KiB"], [1_536, "1536B"]];
  for (const [bytes, shown] of [...sizes, [1_024 ** 3, "1GiB"], [3 * 1_024 ** 2, "3MiB"]]) {
    assertEquals(size("0B", "16GiB").show(Number(bytes)), shown);
  }
});

Deno.test("duration() and size() know each of their units, and accept surrounding blanks only", () => {
  const read = (written: string) => duration("0s", "90d").read(written);
  assertEquals(["1ms", "1s", "1m", "1h", "1d"].map(read), [
    1,
    1_000,
    60_000,
    3_600_000,
    86_400_000,
  ]);
  assertEquals([" 1s ", "1s 2s", "x1s", "1sx", "1.2345s"].map(read), [
    1_000,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  const bytes = (written: string) => size("0B", "16GiB").read(written);
  assertEquals(["1B", "1KiB", "1MiB", "1GiB"].map(bytes), [1, 1_024, 1_048_576, 1_073_741_824]);
  assertEquals([" 1B ", "x1B", "1Bx"].map(bytes), [1, undefined, undefined]);
});

Deno.test("choices() and texts() accept a list of up to a thousand texts", () => {
  const kind = texts("a list");
  assertEquals(kind.read(" a ,, b "), ["a", "b"]);
  assertEquals(kind.show(["a", "b"]), "a, b");
  assertEquals(kind.read(Array(1_000).fill("a"))?.length, 1_000);
  assertEquals(kind.read(Array(1_001).fill("a")), undefined);
  for (const junk of [5, null, {}, ["a", 5], [["a"]]]) {
    assertEquals(kind.read(junk), undefined, JSON.stringify(junk));
    assertEquals(choices("a").read(junk), undefined, JSON.stringify(junk));
  }
  assertEquals(choices("a", "b").show(["b", "a"]), "b, a");
});

Deno.test("text() accepts up to 4096 characters", () => {
  assertEquals(text("").read("x".repeat(4_096))?.length, 4_096);
  assertEquals(text("").read("x".repeat(4_097)), undefined);
  assertEquals(text("").read("\u007f"), undefined);
  assertEquals([text("").show(null), text("").show("a")], ["", "a"]);
});

Deno.test("url() accepts neither a query nor a fragment, and shows no password", () => {
  const kind = url("", ["https:"]);
  assertEquals(kind.read("https://server/#part"), undefined);
  assertEquals(kind.read("https://server///"), "https://server");
  assertEquals(kind.read(5), undefined);
  assertEquals([kind.show(null), kind.show("https://server/a/")], ["", "https://server/a"]);
  assertEquals(kind.show("https://user@server"), "https://user@server");
});

Deno.test("every kind reads what it shows, and never throws", () => {
  const kinds = [duration("0s", "90d"), size("0B", "16GiB"), integer(0, 1e9)];
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e9 }), anything, (number, junk) => {
    for (const kind of kinds) {
      assertEquals(kind.read(kind.show(number)), number);
      const read = kind.read(junk);
      assert(read === undefined || Number.isFinite(read));
    }
  }));
});

Deno.test("argumentList() takes up to twenty arguments as they are written", () => {
  const kind = argumentList();
  assertEquals(kind.read([" a b ", "--c=d"]), [" a b ", "--c=d"]);
  assertEquals(kind.read("--page,ops"), ["--page", "ops"]);
  assertEquals([kind.read(""), kind.read([])], [[], []]);
  assertEquals(kind.show(["--page", "ops"]), "--page, ops");
  assertEquals(kind.read(Array(20).fill("a"))?.length, 20);
  for (const wrong of [Array(21).fill("a"), ["a", ""], ["a\n"], [5], 5, null, {}, "a,,b"]) {
    assertEquals(kind.read(wrong), undefined, JSON.stringify(wrong));
  }
});
