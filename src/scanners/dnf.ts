/** The DNF scanner, which this version of Pennon does not have yet: it says so. */

import type { System } from "../system/system.ts";
import { type Scanner, ScanError } from "./scanner.ts";

const PROGRAMS = ["/usr/bin/dnf", "/usr/bin/dnf5"];

/** A scanner that is there where DNF is, and never takes a silence for "no updates". */
export function dnfScanner(): Scanner {
  return {
    name: "dnf",
    async isAvailable({ files }: System) {
      const found = await Promise.all(
        PROGRAMS.map((path) => files.inspect("look for dnf", path).catch(() => undefined)),
      );
      return found.some((facts) => facts !== undefined);
    },
    scan() {
      const message = "Cannot scan with dnf: this version of Pennon does not read dnf yet";
      return Promise.reject(new ScanError(message, { reason: "not_available" }));
    },
  };
}
