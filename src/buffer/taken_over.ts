/**
 * Remembers in a buffer what of another file is in it already: that file may not go, or not at once,
 * and is then taken over again.
 */

import type { Database, Row } from "../system/database.ts";
import { readCounts } from "./counters.ts";
import { asCount, GONE, type History, readHistory } from "./history.ts";

/** So many files are remembered, the newest; as a rule there is none, or one. */
const REMEMBERED = 100;

/** Number 0 is a buffer itself. */
const OWN_ID = "SELECT id FROM taken_over WHERE number = 0";

const FIND = `
  SELECT ${["appended", ...GONE].map((name) => asCount(name)).join(", ")} FROM taken_over
  WHERE id = ? AND number > 0`;

const REMOVE = "DELETE FROM taken_over WHERE id = ? AND number > 0";

const NOTE = `
  INSERT INTO taken_over (number, id, appended, ${GONE.join(", ")})
  SELECT max(number) + 1, ?, ?, ${GONE.map(() => "?").join(", ")} FROM taken_over`;

const FORGET = `
  DELETE FROM taken_over
  WHERE number BETWEEN 1 AND (SELECT max(number) FROM taken_over) - ${REMEMBERED}`;

/** What there is to be taken from a file. */
export interface Untaken {
  /** `false`: nothing was written since. */
  readonly isAny: boolean;
  /** Of the counters, what was not yet added. */
  readonly history: History;
}

/** Part of the transaction of `to` that takes it; from then on it counts as taken. */
export function takeOnce(from: Database, to: Database): Untaken {
  const history = readHistory(from);
  const id = from.all(OWN_ID)[0]?.["id"] ?? null;
  if (id === null) return { isAny: true, history };
  const { appended } = readCounts(from);
  const [before] = to.all(FIND, id);
  to.run(REMOVE, id);
  to.run(NOTE, id, appended, ...GONE.map((name) => history[name]));
  to.run(FORGET);
  if (before === undefined) return { isAny: true, history };
  const isAny = before["appended"] !== appended ||
    GONE.some((name) => before[name] !== history[name]);
  return { isAny, history: since(before, history) };
}

/** Damage may have made less of a counter; nothing is taken back for that. */
function since(before: Row, history: History): History {
  const counts = GONE.map((name) => [name, Math.max(0, history[name] - Number(before[name]))]);
  return { ...history, ...Object.fromEntries(counts) };
}
