/** What a program that could not be run to its end says of a scan. Pure. */

import type { CommandError } from "../system/process.ts";
import type { ScanErrorReason } from "./scanner.ts";

/** The reason of the scan's failure, where nothing more is known of the program. */
export function reasonNotRun({ reason }: CommandError): ScanErrorReason {
  switch (reason) {
    case "not_found":
      return "not_available";
    case "denied":
      return "permanent";
    case "timeout":
    case "aborted":
    case "failed":
      return "transient";
  }
}
