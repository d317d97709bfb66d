/** The version of Pennon, from `deno.json`, and what the build compiled in besides. */

import manifest from "../deno.json" with { type: "json" };

/** A semantic version: `1.0.0`. */
export const VERSION: string = manifest.version;

/** What an executable says of its own making. */
export interface Build {
  /** The commit of the sources, in hex; `null` if they were not in a clone. */
  readonly commit: string | null;
  /** What goes into an executable differed from that commit. */
  readonly isDirty: boolean;
  /** The version of Deno inside: `2.6.8`. */
  readonly deno: string;
  /**
   * The base executable: `deno` is Deno's own download, `pypi` was cut out of another project's wheel
   * on PyPI, `named` was given to the build by name.
   */
  readonly base: "deno" | "pypi" | "named";
}

/** The bundler puts the value in the place of this name (tools/build/bundle.ts). */
declare const PENNON_BUILD: Build;

/** `null` if the program runs from source. */
export const BUILD: Build | null = typeof PENNON_BUILD === "undefined" ? null : PENNON_BUILD;
