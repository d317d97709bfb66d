/** Versions of RPM packages, and their order as rpm has it (rpm-version(7)). */

/** Epoch, version and release. */
export interface Evr {
  readonly epoch: string;
  readonly version: string;
  readonly release: string;
}

/** Negative if `a` is older than `b`, positive if it is newer, 0 if rpm takes them for the same. */
export function compareEvr(a: Evr, b: Evr): number {
  return compareRpmParts(a.epoch, b.epoch) || compareRpmParts(a.version, b.version) ||
    compareRpmParts(a.release, b.release);
}

/** `[epoch:]version-release`; an epoch of 0 is not written. */
export function formatEvr({ epoch, version, release }: Evr): string {
  return `${epoch === "0" ? "" : `${epoch}:`}${version}-${release}`;
}

/** What counts: `~`, `^`, digits, letters. All else only keeps them apart. */
const PIECE = /~|\^|\d+|[A-Za-z]+/g;

/** Compares two epochs, versions or releases. */
export function compareRpmParts(a: string, b: string): number {
  if (a === b) return 0; // As two lists of the same packages mostly have it.
  const [one, other] = [a.match(PIECE) ?? [], b.match(PIECE) ?? []];
  for (let index = 0; one[index] !== undefined || other[index] !== undefined; index++) {
    const order = comparePieces(one[index], other[index]);
    if (order !== 0) return order;
  }
  return 0;
}

/** An empty piece is the end. */
function comparePieces(a = "", b = ""): number {
  const order = rank(a) - rank(b);
  if (order !== 0) return order;
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  if (/\d/.test(a) && left.length !== right.length) return left.length - right.length;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** `~` before the end, the end before `^`, that before letters, letters before digits. */
const RANKS = [/~/, /^$/, /\^/, /[A-Za-z]/, /\d/];

function rank(piece: string): number {
  return RANKS.findIndex((kind) => kind.test(piece));
}
