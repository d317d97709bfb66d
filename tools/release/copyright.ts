/** The copyright file of the .deb, in Debian's machine-readable format. Pure. */

/**
 * `license` is the project's LICENSE. The licences of what else is in the executable are in a file of
 * their own, because Debian wants no licence that it has itself (Apache-2.0) in this one. The format is
 * https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/.
 */
export function copyrightFile(
  { homepage, license }: { homepage: string; license: string },
): string {
  const holder = /^Copyright \(c\) (.+)$/m.exec(license)?.[1] ?? "The Pennon authors";
  const terms = license.slice(license.indexOf("Permission is"));
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Pennon
Source: ${homepage}
Comment: The executable contains the Deno runtime and packages from npm. Their
 licences are in /usr/share/doc/pennon/third-party-licences.txt.gz.

Files: *
Copyright: ${holder}
License: Expat

License: Expat
${indent(terms)}
`;
}

/** As a continuation: one space before each line, and a full stop for an empty one. */
function indent(text: string): string {
  return text.trim().split("\n").map((line) => line.trim() === "" ? " ." : ` ${line.trimEnd()}`)
    .join("\n");
}
