/** The version of Pennon, from `deno.json`. */

import manifest from "../deno.json" with { type: "json" };

/** A semantic version: `1.0.0`. */
export const VERSION: string = manifest.version;
