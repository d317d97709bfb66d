import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  describeFault,
  type FaultContext,
  winupdateFailure,
} from "../../../src/scanners/winupdate/failure.ts";
import { hasControls } from "../../../src/strip_controls.ts";
import { anyString } from "../../fakes/texts.ts";

const HERE: FaultContext = { server: "", noInternet: false, disabled: [] };

function failure(hresult: string, where: Partial<FaultContext> = {}, message = "") {
  return winupdateFailure({ hresult, message }, { ...HERE, ...where });
}

/** winupdate.md, 3.5, row by row. */
const REASONS: readonly [codes: string, reason: ScanErrorReason][] = [
  ["80240438 8024402C 80072EE2 80072EFD 80072EFE 80072EE7 8024401C", "transient"],
  ["80072F8F", "permanent"],
  ["8024401F 80244021 80244022 80244023", "transient"],
  ["80244017 80244018 8024401B 80244019", "permanent"],
  ["80244007 80244010 8024A10A 8024A000 8024A004 8024A005 8024001E", "transient"],
  ["80240009", "locked"],
  ["8024000B 8024001F 8007045B 800706BA 800706BE", "transient"],
  ["80240032 80070005", "permanent"],
  ["80240001 80070422 8024002E 80040154", "not_available"],
  ["C80003FA", "permanent"],
  // Data that the server has not sent, or that is not loaded yet, and unknown entries are no damage.
  ["80248007 8024800A 80248011 80248013 80248014 80248015 80248020 80248021", "transient"],
  ["8024801E 8024801F 80248022 80248023 80248024 80248025 80248029", "transient"],
  ["80070070", "transient"],
  ["8024801D", "permanent"],
  // Policies; a missing service.
  ["8024500C 8024500D 8024002F 80070424", "not_available"],
  ["80240021 80072F78 8007000E 8007041D 80080005 C80003F3", "transient"],
  ["80244011 80072F05 80072F06 80072F0D", "permanent"],
  ["80248000 80248001 8024800C 8024800F 8024801C", "transient"],
  // Its own updates, shutdowns, memory; access; other codes for policies; a damaged database.
  ["8024001B 8024A007 8024A10A 80244002", "transient"],
  ["80240044", "permanent"],
  ["80240025", "not_available"],
  ["C80003FD C80003FE C80003FF", "permanent"],
  ["80248002 80248003 80248004 80248005 80248006 80248008 80248009 8024801B", "permanent"],
];

Deno.test("winupdateFailure() maps unknown codes to transient, also next to its ranges", () => {
  const unknown = [
    "80131500",
    "8024FFFF",
    "80072F77",
    "80244036",
    "8024802A",
    "8024A009",
    "C80003F4",
  ];
  for (const code of [...unknown, "80072EE0", "80072F01", "C80003F9", "00000001"]) {
    assertEquals(failure(`0x${code}`).reason, "transient", code);
  }
});

Deno.test("winupdateFailure() describes codes within its ranges only", () => {
  const ranges: readonly [
    inside: string,
    beside: string,
    words: string,
    reason: ScanErrorReason,
  ][] = [
    ["80072EE1 80072EE3 80072F00", "80072EE0 80072F01", "the network failed", "transient"],
    ["80072F76 80072F7F", "80072F75 80072F80", "answered no valid HTTP", "transient"],
    ["80244000 80244035", "80243FFF 80244036", "did not answer properly", "transient"],
    ["80248007 80248029", "80247FFF 8024802A", "its database lacks an entry", "transient"],
    ["8024A001 8024A008", "80249FFF 8024A009", "Automatic Updates refuses", "transient"],
  ];
  for (const [inside, beside, words, reason] of ranges) {
    for (const code of inside.split(" ")) {
      const error = failure(`0x${code}`);
      assertEquals([error.reason, error.message.includes(words)], [reason, true], code);
    }
    for (const code of beside.split(" ")) {
      assert(failure(`0x${code}`).message.includes("an unknown error"), code);
    }
  }
});

Deno.test("winupdateFailure() advises to rename the store only if the database is damaged", () => {
  const advised = ["C80003FA", "C80003FD", "80248003", "8024801B"];
  const others = [
    "C80003F3",
    "C80003F4",
    "80248000",
    "80248001",
    "80248007",
    "80248014",
    "8024801D",
    "8024801E",
    "8024801F",
    "80248FFF",
  ];
  for (const code of advised) {
    assert(failure(`0x${code}`).message.includes("SoftwareDistribution"), code);
  }
  for (const code of others) {
    assert(!failure(`0x${code}`).message.includes("SoftwareDistribution"), code);
  }
});

for (const [codes, reason] of REASONS) {
  Deno.test(`winupdateFailure() maps ${codes} to ${reason}`, () => {
    for (const code of codes.split(" ")) {
      const error = failure(`0x${code}`);
      assertEquals(error.reason, reason, code);
      assert(error.message.startsWith("Cannot search for updates: "), error.message);
      assert(error.message.includes(`(0x${code})`), error.message);
      assert(!error.message.includes("@") && !error.message.includes("unknown"), error.message);
    }
  });
}

Deno.test("winupdateFailure() names the WSUS server with any characters in its name", () => {
  assertEquals(
    failure("0x80072efd", { server: "http://w$&:8530" }).message,
    'Cannot search for updates: the connection to the WSUS server "http://w$&:8530" failed or ' +
      "broke off (0x80072EFD). Next: check the host's network, name resolution and proxy",
  );
});

Deno.test("winupdateFailure() recognizes a policy that blocks Microsoft's servers", () => {
  const error = failure("0x80240438", { noInternet: true });
  assertEquals(error.reason, "permanent");
  assert(error.message.includes("DoNotConnectToWindowsUpdateInternetLocations"), error.message);
  const behind = failure("0x80240438", { noInternet: true, server: "http://wsus" });
  assertEquals(behind.reason, "transient");
});

Deno.test("winupdateFailure() names disabled services once", () => {
  assertEquals(
    failure("0x80070422", { disabled: ["wuauserv"] }).message,
    "Cannot search for updates: its service is disabled (0x80070422). " +
      'Next: run "sc.exe config wuauserv start= demand" as an administrator',
  );
  const both = failure("0x80070422", { disabled: ["wuauserv", "BITS"] }).message;
  assert(
    both.includes("; the service wuauserv is disabled; the service BITS is disabled."),
    both,
  );
  assert(!failure("0x80070422").message.includes("the service "), "nothing is known of any");
  const denied = failure("0x80070005", { disabled: ["wuauserv", "BITS"] }).message;
  assert(
    denied.includes("; the service wuauserv is disabled; the service BITS is disabled."),
    denied,
  );
});

Deno.test("describeFault() quotes the system's message for an unknown code, within limits", () => {
  const described = describeFault({ hresult: "0x80131500", message: "\x1b[1mNein\n " }, HERE);
  assertEquals(described, "[1mNein (0x80131500)");
  const mail = describeFault({ hresult: "0x80131500", message: "write to a@b" }, HERE);
  assertEquals(mail, "write to a@b (0x80131500)");
  assertEquals(describeFault({ hresult: "0x1", message: " " }, HERE), "an unknown error (0x1)");
  const words = (length: number) =>
    describeFault({ hresult: "0x80131500", message: "x".repeat(length) }, HERE);
  assertEquals(words(200), `${"x".repeat(200)} (0x80131500)`);
  assertEquals(words(201), `${"x".repeat(195)}(cut) (0x80131500)`);
  fc.assert(fc.property(anyString(), (message) => {
    const text = describeFault({ hresult: "0x80131500", message: message.repeat(50) }, HERE);
    assert(text.length < 230 && text.isWellFormed());
    assert(!hasControls(text));
  }));
});
