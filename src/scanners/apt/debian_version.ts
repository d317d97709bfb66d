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

/** Compares from the left, by turns what is not digits and what is. */
function comparePart(a: string, b: string): number {
  if (a === b) return 0;
  let [left, right] = [0, 0];
  while (left < a.length || right < b.length) {
    while (isText(a, left) || isText(b, right)) {
      const order = weight(a, left++) - weight(b, right++);
      if (order !== 0) return order;
    }
    const [leftEnd, rightEnd] = [digitsEnd(a, left), digitsEnd(b, right)];
    const order = compareDigits(a.slice(left, leftEnd), b.slice(right, rightEnd));
    if (order !== 0) return order;
    [left, right] = [leftEnd, rightEnd];
  }
  return 0;
}

function isText(part: string, at: number): boolean {
  return at < part.length && !isDigit(part.charCodeAt(at));
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function digitsEnd(part: string, from: number): number {
  let end = from;
  while (isDigit(part.charCodeAt(end))) end++;
  return end;
}

/** `~` before the end and digits, these before letters, letters before everything else. */
function weight(part: string, at: number): number {
  if (!isText(part, at)) return 0;
  const code = part.charCodeAt(at);
  if (code === 126) return -1;
  const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return isLetter ? code : code + 256;
}

/** As text: a version may hold more digits than a number can. */
function compareDigits(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  if (left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}
