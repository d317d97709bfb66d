/** Fills in `packaging/install.sh`: the version, the address and the key that it trusts. Pure. */

import { BuildError } from "../build/build_error.ts";

export interface InstallScriptValues {
  readonly version: string;
  /** The directory that has one directory per version. */
  readonly url: string;
  /** 40 hexadecimal digits. */
  readonly fingerprint: string;
  /** The public key in ASCII armour. */
  readonly key: string;
}

/** What may stand between single quotes of a shell, and nothing that ends them. */
const HARMLESS = /^[\w\s:/.=+@~-]*$/;

/**
 * The script of a release.
 *
 * @throws {BuildError} if a value would end its quotes, or the template lacks its place
 */
export function installScript(template: string, values: InstallScriptValues): string {
  const places = {
    "@VERSION@": values.version,
    "@URL@": values.url,
    "@FINGERPRINT@": values.fingerprint,
    "@KEY@": values.key.trim(),
  };
  let text = template;
  for (const [place, value] of Object.entries(places)) {
    if (!HARMLESS.test(value)) {
      throw new BuildError(`Cannot write install.sh: "${value}" in quotes`);
    }
    if (text.split(`'${place}'`).length !== 2) {
      throw new BuildError(`Cannot write install.sh: the template has no one '${place}'`);
    }
    text = text.replace(`'${place}'`, () => `'${value}'`);
  }
  return text;
}
