/** What a metric is, whatever the format in which it leaves the host. */

/** A number that only grows (`counter`), or one that goes up and down (`gauge`). */
export type MetricType = "gauge" | "counter";

/** The units in use: seconds, bytes, or plain numbers. */
export type MetricUnit = "s" | "By" | "1";

/** What all samples of one name have in common. */
export interface MetricDefinition {
  /** As Prometheus writes names, with the unit at the end: `pennon_buffer_size_bytes`. */
  readonly name: string;
  readonly type: MetricType;
  readonly unit: MetricUnit;
  /** One sentence without a full stop. */
  readonly help: string;
}

/** One number, and what tells it from the others of its name. Label values may be any text. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric with its samples; no two of them have the same labels. */
export interface Metric extends MetricDefinition {
  readonly samples: readonly Sample[];
}
