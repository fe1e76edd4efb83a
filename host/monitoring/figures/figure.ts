import type { Audience, Metric } from "../protocol";

/** One value that is published. */
export interface Figure {
  /** Name of the metric. */
  readonly name: string;
  readonly unit: Metric["unit"];
  readonly value: number;
  /** Value of the dimension `Colour`; null for a metric without. */
  readonly colour: Audience | null;
}

/** Makes a value of a metric; with an audience for one by colour. */
export function figure({ name, unit }: Metric, value: number, colour: Audience | null = null): Figure {
  return { name, unit, value, colour };
}

/** What was measured of one interval. */
export interface Interval {
  /** Its end, in milliseconds since 1970. */
  readonly at: number;
  readonly figures: readonly Figure[];
}
