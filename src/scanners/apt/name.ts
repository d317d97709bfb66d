/** The words that apt and dpkg use for packages, checked before anything is done with them. */

/**
 * A package as apt writes it: the name alone for the host's own architecture and for packages of no
 * architecture, `name:architecture` for any other. It is unique on a host and never begins with "-".
 */
export type AptName = string;

const NAME = /^[A-Za-z0-9][A-Za-z0-9+._-]{0,254}$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]{0,63}$/;
const VERSION = /^[A-Za-z0-9.+~:_-]{1,255}$/;

/** Whether `text` can be a package's name without an architecture. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isArchitecture(text: string): boolean {
  return ARCHITECTURE.test(text);
}

export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

export function isAptName(text: string): boolean {
  const { name, architecture } = splitAptName(text);
  return isName(name) && (architecture === null || isArchitecture(architecture));
}

/** The name without its architecture, and that architecture if it is told. */
export function splitAptName(aptName: AptName): { name: string; architecture: string | null } {
  const colon = aptName.indexOf(":");
  if (colon < 0) return { name: aptName, architecture: null };
  return { name: aptName.slice(0, colon), architecture: aptName.slice(colon + 1) };
}
