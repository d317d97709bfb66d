import { assertEquals } from "@std/assert";
import { reasonNotRun } from "../../src/scanners/scanner.ts";
import { CommandError, type CommandErrorReason } from "../../src/system/process.ts";

Deno.test("reasonNotRun() distinguishes missing, forbidden and transient failures", () => {
  const reasons: CommandErrorReason[] = ["not_found", "denied", "timeout", "aborted", "failed"];
  assertEquals(
    reasons.map((reason) => reasonNotRun(new CommandError("Cannot run it", { reason }))),
    ["not_available", "permanent", "transient", "transient", "transient"],
  );
});
