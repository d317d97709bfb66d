/** What dnf and its plugins say on stdout besides the answer: it is no package, and nothing is lost. */

const CHATTER = [
  /^\s*$/,
  /^Updating Subscription Management repositories\./,
  /^Unable to read consumer identity/,
  /^This system is (not )?registered /,
  /^Not root, Subscription Management repositories not updated/,
  /^(Loaded plugins|Last metadata expiration check): /,
  /^(Updating and loading repositories:|Repositories loaded\.)$/,
  // "Security: kernel-core-5.14.0-427.el9.x86_64 is an installed security update"
  /^Security: \S+ is (an installed security update|the currently running version)$/,
  /^No security updates needed, but \d+ updates?(?:\(s\))? available$/,
  // Progress: "updates   1.1 MB/s | 2.9 kB     00:00", " Fedora 41   100% |  36.6 KiB/s | …".
  /^[^\t]{1,200}\s[\d.]+ +[kMG]?i?B\/s \| /,
  /^[^\t]{1,200}\s(\d{1,3}|\?\?\?)% \| /,
];

/** Whether a line is known to be none of the answer. A longer line is not chatter. */
export function isDnfChatter(line: string): boolean {
  return line.length <= 400 && CHATTER.some((pattern) => pattern.test(line));
}
