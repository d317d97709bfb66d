/** The rows of packages that the server in the simulator has: reported, reset, approved, closed by absence. */

/** An update as it is reported, as far as a row is of it. */
interface ReportedItem {
  readonly package_type?: string;
  readonly package_name?: string;
  readonly metadata?: unknown;
}

/** A report of updates. */
export interface UpdateReport {
  readonly updates?: readonly ReportedItem[] | null;
  readonly ecosystem?: string;
  readonly scan_succeeded?: boolean;
}

type RowState = "pending" | "approved" | "installed" | "ignored";

interface PackageRow {
  readonly type: string;
  readonly name: string;
  state: RowState;
}

/** What `scan_succeeded` closes by absence. */
const CLOSED_BY_ABSENCE: ReadonlySet<string> = new Set(["apt", "dnf", "pacman"]);

/** The rows of one agent. */
export class SimPackages {
  readonly #rows = new Map<string, PackageRow>();
  /** How many approved rows a report has reset, and how many rows were closed. */
  readonly counts = { reset: 0, closed: 0 };
  /** Called for each row that is declared to be installed. */
  onClosed: (type: string, name: string) => void = () => {};

  rows(): readonly PackageRow[] {
    return [...this.#rows.values()];
  }

  /** A row that an earlier agent has reported, of a package that waits no more. */
  addLeftover(type: string, name: string): void {
    this.#rows.set(`${type}/${name}`, { type, name, state: "pending" });
  }

  /** An operator approves a row. */
  approve(index: number): void {
    const waiting = this.rows().filter(({ state }) => state === "pending");
    const row = waiting[index % waiting.length];
    if (row !== undefined) row.state = "approved";
  }

  /** Stores a report; of 0.2, it may say that what it does not name is installed. */
  report({ updates, ecosystem = "", scan_succeeded }: UpdateReport, canClose: boolean): void {
    const items = updates ?? [];
    for (const { package_type: type = "", package_name: name = "" } of items) {
      const key = `${type}/${name}`;
      const row = this.#rows.get(key);
      if (row?.state === "approved") this.counts.reset += 1;
      if (row?.state !== "ignored") this.#rows.set(key, { type, name, state: "pending" });
    }
    if (!canClose || scan_succeeded !== true || !CLOSED_BY_ABSENCE.has(ecosystem)) return;
    const names = new Set(items.map(({ package_name }) => package_name));
    for (const row of this.#rows.values()) {
      const isOpen = row.state === "pending" || row.state === "approved";
      if (row.type !== ecosystem || !isOpen || names.has(row.name)) continue;
      row.state = "installed";
      this.counts.closed += 1;
      this.onClosed(row.type, row.name);
    }
  }
}
