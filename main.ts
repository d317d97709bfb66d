/** Pennon's entry: the real system in, the command line's exit code out. */

import { cli } from "./src/cli/cli.ts";
import { realSystem } from "./src/system/real.ts";

if (import.meta.main) Deno.exit(await cli(Deno.args, realSystem()));
