/** Order of Debian versions, as dpkg has it (deb-version(7)). */

/** Negative if `a` is older than `b`, positive if it is newer, 0 if dpkg takes them for the same. */
export function compareDebianVersions(a: string, b: string): number {
  // By far the most are compared with themselves: what is installed, with what could be.
  if (a === b) return 0;
  const one = split(a);
  const other = split(b);
  return compareDigits(one.epoch, other.epoch) || comparePart(one.upstream, other.upstream) ||
    comparePart(one.revision, other.revision);
}

/** `[epoch:]upstream[-revision]`; an epoch or a revision that is missing counts as 0. */
function split(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: version.slice(0, Math.max(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Compares by turns what is not digits and what is, from the left. */
function comparePart(a: string, b: string): number {
  const [one, other] = [pieces(a), pieces(b)];
  for (const index of Array(Math.max(one.length, other.length)).keys()) {
    const [left = "", right = ""] = [one[index], other[index]];
    const order = index % 2 === 0 ? compareText(left, right) : compareDigits(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

/** Not digits, digits, not digits, …; the first may be empty. */
function pieces(part: string): string[] {
  return part.split(/(\d+)/);
}

/** Letter by letter: `~` before the end, the end before letters, letters before everything else. */
function compareText(a: string, b: string): number {
  for (const index of Array(Math.max(a.length, b.length)).keys()) {
    const order = weight(a, index) - weight(b, index);
    if (order !== 0) return order;
  }
  return 0;
}

function weight(text: string, index: number): number {
  const letter = text[index];
  if (letter === undefined) return 0;
  if (letter === "~") return -1;
  const code = letter.charCodeAt(0);
  return /[A-Za-z]/.test(letter) ? code : code + 256;
}

/** As text: a version may hold more digits than a number can. */
function compareDigits(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
