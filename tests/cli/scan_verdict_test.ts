import { assertEquals } from "@std/assert";
import {
  describeDoubt,
  describeNothingAsked,
  describeNotShown,
  failures,
  notShown,
  onlySecurity,
} from "../../src/cli/scan_verdict.ts";
import { SCANNER_NAMES } from "../../src/scanners/registry.ts";
import { apt, dnf, libssl, tool } from "./scan_reports.ts";

const unknown = { ...tool, package: "unknown", security: null };
const ignored = { ...libssl, package: "ignored", state: "ignored" as const };

Deno.test("onlySecurity() keeps security updates, and says how many it left out", () => {
  const shown = onlySecurity({ ...apt, updates: [libssl, tool, unknown, ignored] });
  assertEquals(shown.updates, [libssl, ignored]);
  assertEquals(notShown(shown), [tool, unknown]);
  const rest = "; of 1 of them the source does not say what they fix";
  assertEquals(
    describeNotShown([shown, onlySecurity(dnf)]),
    `Not shown: 2 updates without a known vulnerability${rest}`,
  );
  const one = onlySecurity({ ...apt, updates: [tool] });
  assertEquals(describeNotShown([one]), "Not shown: 1 update without a known vulnerability");
  assertEquals(describeNotShown([onlySecurity({ ...apt, updates: [libssl] }), apt]), null);
  assertEquals(notShown(apt), []);
});

Deno.test("failures() has a line for each condition that holds, and ignores ignored updates", () => {
  const report = (updates: readonly typeof tool[], isRequired: boolean | null = null) => ({
    ...apt,
    updates,
    reboot: isRequired === null ? null : { isRequired, reason: "a new kernel" },
  });
  const all = ["reboot", "any", "security"];
  assertEquals(failures(all, []), []);
  assertEquals(failures(all, [report([], false)]), []);
  assertEquals(failures(all, [report([ignored])]), []);
  assertEquals(failures(all, [report([tool, unknown])]), ["--fail-on any: 2 updates"]);
  assertEquals(failures(["security"], [report([tool, unknown])]), []);
  assertEquals(failures(all, [report([libssl], true), dnf]), [
    "--fail-on security: 1 security update",
    "--fail-on any: 1 update",
    "--fail-on reboot: a new kernel",
  ]);
  assertEquals(failures([], [report([libssl], true)]), []);
});

Deno.test("describeNothingAsked() tells an empty list from a host without a package manager", () => {
  assertEquals(describeNothingAsked(["apt"], [apt]), null);
  assertEquals(describeNothingAsked([], [apt]), null);
  const says = [[], ["dnf"], SCANNER_NAMES].map((enabled) => describeNothingAsked(enabled, []));
  assertEquals(says, [
    "Cannot scan: scanners.enabled is empty. Next: name scanners there, or use --only",
    "Cannot scan: none of scanners.enabled is on this host: dnf",
    "Cannot scan: no package manager that Pennon knows is on this host",
  ]);
});

Deno.test("describeDoubt() counts the updates of which --fail-on security cannot judge", () => {
  const report = { ...apt, updates: [tool, unknown, { ...unknown, state: "ignored" as const }] };
  assertEquals(
    describeDoubt(["any", "security"], [report]),
    "--fail-on security: not counted: 1 update whose source does not say",
  );
  assertEquals(describeDoubt(["any"], [report]), null);
  assertEquals(describeDoubt(["security"], [apt]), null);
});
