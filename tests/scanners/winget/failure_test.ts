import { assert, assertEquals, assertThrows } from "@std/assert";
import { CommandError, type CommandErrorReason } from "../../../src/system/process.ts";
import type { ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  isTooOld,
  saysNothingFound,
  wingetFailure,
  wingetNotRun,
} from "../../../src/scanners/winget/failure.ts";

const CODES: readonly [code: number, reason: ScanErrorReason][] = [
  [-1978335230, "permanent"],
  [-1978335162, "permanent"],
  [-1978335166, "permanent"],
  [-1978335217, "permanent"],
  [-1978335221, "permanent"],
  [-1978335211, "permanent"],
  [-1978335163, "transient"],
  [-1978335157, "transient"],
  [0x8a150044, "transient"],
  [0x8a15003b, "transient"],
  [0x8a150039, "transient"],
  [-1978335123, "transient"],
  [-1978335138, "permanent"],
  [-1978335174, "not_available"],
  [-1978335231, "transient"],
  [-1978335229, "transient"],
  [0x8a150005, "transient"],
  [0x8a15006a, "transient"],
  [0x80072ee7, "transient"],
  [0x80072efd, "transient"],
  [0x80072ee2, "transient"],
  [0x801901f4, "transient"],
  // A policy forbids the package; App Installer is just being replaced; a full disk.
  [0x80073cff, "not_available"],
  [0x80073d01, "not_available"],
  [0x80073d00, "transient"],
  [0x80073d02, "transient"],
  [0x80073cf4, "transient"],
  [0x80070070, "transient"],
  // Not listed, so that it has to repeat.
  [0x80073cf6, "transient"],
  [0x80073d19, "transient"],
  [0x80073d1e, "transient"],
  [0x80070005, "permanent"],
  [-1073741515, "not_available"],
  [0x80072efe, "transient"],
  [0x80072eff, "transient"],
  [0xc0000005, "transient"],
  [0xc0000409, "transient"],
  [0xc0000142, "transient"],
  [0xc000013a, "transient"],
  [0x40010004, "transient"],
  [0x8a15003f, "permanent"],
  [0x8a150016, "permanent"],
  [0x8a15000a, "permanent"],
  [0x8a150012, "permanent"],
  [0x8a150038, "permanent"],
  [0x8a15003e, "permanent"],
  [0x8a150064, "transient"],
  [0x80073cf5, "transient"],
  [0x80073cf8, "transient"],
  [0x80073cf0, "permanent"],
  [0x80073d1f, "permanent"],
  [0x80073cef, "transient"],
  [0x80073d20, "transient"],
  [0x8a15ffff, "transient"],
  [1, "transient"],
];

/** Of these nothing is known but that winget failed. */
const UNKNOWN: readonly number[] = [0x80073cef, 0x80073d20, 0x8a15ffff, 1];

for (const [code, reason] of CODES) {
  Deno.test(`wingetFailure() takes ${code} for ${reason}, signed or not`, () => {
    for (const number of [code | 0, code >>> 0]) {
      const error = wingetFailure("list updates", number);
      assertEquals(error.reason, reason);
      const hex = (code >>> 0).toString(16).toUpperCase().padStart(8, "0");
      assert(error.message.startsWith("Cannot list updates: "), error.message);
      assert(error.message.includes(`(0x${hex})`), error.message);
      assertEquals(error.message.includes(": it failed ("), UNKNOWN.includes(code), error.message);
    }
  });
}

Deno.test("wingetFailure() says what to do where a person can do something", () => {
  assertEquals(
    wingetFailure("list updates", -1978335217).message,
    "Cannot list updates: the source's data is missing for this account (0x8A15000F). " +
      "Next: run `winget source update` as the same account",
  );
  for (
    const [code, advice] of [[0x8a15003f, "winget source list"], [0x8a150016, "App Installer"]]
  ) {
    const { message } = wingetFailure("list updates", Number(code));
    assert(message.includes(String(advice)), message);
  }
});

Deno.test("wingetFailure() advises to repair App Installer only where its package is broken", () => {
  const advice = (code: number) => wingetFailure("list updates", code).message.split("Next: ")[1];
  const broken = [
    ...[0x80073cf0, 0x80073cf2, 0x80073cf3, 0x80073cfc, 0x80073cfd, 0x80073cfe, 0x80073d03],
    ...[0x80073d04, 0x80073d07, 0x80073d09, 0x80073d10, 0x80073d13, 0x80073d1f],
  ];
  for (const code of broken) {
    assertEquals(advice(code), "repair App Installer for this account", code.toString(16));
    assertEquals(wingetFailure("x", code).reason, "permanent");
  }
  for (const code of [0x80073cf1, 0x80073cf9, 0x80073d0d, 0x80073d1e]) {
    assertEquals(advice(code), "if it stays so, repair App Installer for this account");
    assertEquals(wingetFailure("x", code).reason, "transient");
  }
  for (const code of [0x80073d00, 0x80073d02, 0x80073cf5, 0x80073cf8]) {
    assertEquals(advice(code), undefined);
  }
  for (const code of [0x80073cf4, 0x80070070]) {
    assertEquals(advice(code), "free space on the system drive");
  }
  for (const code of [0x80073cff, 0x80073d01]) {
    assertEquals(advice(code)?.includes("policies"), true);
  }
});

Deno.test("saysNothingFound() and isTooOld() know their codes, signed or not", () => {
  assertEquals([-1978335212, 0x8a150014, -1978335189].map(saysNothingFound), [true, true, true]);
  assertEquals([0, 1, -1978335230].map(saysNothingFound), [false, false, false]);
  assertEquals([-1978335230, 0x8a150002, -1978335231].map(isTooOld), [true, true, false]);
});

Deno.test("wingetNotRun() tells a winget that is not there from one that hangs", () => {
  const reasons: [CommandErrorReason, ScanErrorReason][] = [
    ["not_found", "not_available"],
    ["failed", "not_available"],
    ["denied", "permanent"],
    ["timeout", "transient"],
    ["aborted", "transient"],
  ];
  for (const [reason, expected] of reasons) {
    const error = new CommandError("Cannot run", { reason });
    assertEquals(wingetNotRun("list updates", error).reason, expected);
  }
  assertThrows(() => wingetNotRun("list updates", new TypeError("x")), TypeError);
});
