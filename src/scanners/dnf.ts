/** Stub. */
import type { Scanner } from "./scanner.ts";
export function dnfScanner(): Scanner { throw new Error(); }
