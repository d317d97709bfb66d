/** The notes of one release, cut from the changelog. Pure. */

import { BuildError } from "../build/build_error.ts";

/**
 * The section of `version`, without its heading. A pre-release (`1.1.0-rc.1`) has that of the release
 * that it leads to.
 *
 * @throws {BuildError} if the changelog has no such section, or an empty one
 */
export function releaseNotes(changelog: string, version: string): string {
  const wanted = version.replace(/-.*$/, "");
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => /^[^\s,]+/.exec(text)?.[0] === wanted);
  const body = section?.replace(/^.*\n/, "").trim() ?? "";
  if (body === "") {
    throw new BuildError(`Cannot write release notes: CHANGELOG.md has nothing on ${wanted}`);
  }
  return `# Pennon ${version}\n\n${body}\n`;
}
