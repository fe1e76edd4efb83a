/*
 * When an alarm goes off: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html (evaluation periods, data
 * points to alarm) and .../alarms-and-missing-data.html.
 */

/** State of an alarm. */
export type AlarmState = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** What decides about an alarm. */
export interface AlarmRule {
  readonly comparison: string;
  readonly threshold: number;
  readonly evaluationPeriods: number;
  /** M of N: how many of the evaluation periods have to breach. */
  readonly datapointsToAlarm: number;
  readonly treatMissingData: "breaching" | "notBreaching" | "ignore" | "missing";
}

/** What an evaluation came to. */
export interface Verdict {
  readonly state: AlarmState;
  readonly reason: string;
}

/** Periods that are looked at beyond the evaluation periods, so that a point that is late does not count as missing. */
const SPARE_PERIODS = 2;

/** How many periods back an evaluation looks. */
export function rangeOf(rule: Pick<AlarmRule, "evaluationPeriods">): number {
  return rule.evaluationPeriods + SPARE_PERIODS;
}

/**
 * Evaluates an alarm once.
 * @param points one value a period of the {@link rangeOf} last ones, oldest first; null where nothing was published
 */
export function decide(rule: AlarmRule, points: readonly (number | null)[], before: AlarmState): Verdict {
  const present = points.filter((point) => point !== null);
  const { evaluationPeriods: wanted, treatMissingData, datapointsToAlarm } = rule;
  // Enough real values: what is missing among them does not count.
  if (present.length >= wanted) return judged(rule, present.slice(-wanted), []);
  const missing = wanted - present.length;
  switch (treatMissingData) {
    case "breaching":
    case "notBreaching":
      return judged(
        rule,
        present,
        Array.from({ length: missing }, () => treatMissingData === "breaching"),
      );
    case "ignore":
      if (present.filter((point) => breaches(rule, point)).length >= datapointsToAlarm)
        return judged(rule, present, []);
      return { state: before, reason: `${String(missing)} datapoints were missing, and were ignored` };
    case "missing":
      if (present.length === 0)
        return { state: "INSUFFICIENT_DATA", reason: `${String(missing)} datapoints were unknown` };
      if (hasLastedLongEnough(rule, points))
        return {
          state: "ALARM",
          reason: `every datapoint that was received is breaching [${present.join(", ")}]`,
        };
      return judged(rule, present, []);
  }
}

/** What breached M periods ago, or before, and was never seen well since, has not got well for being silent. */
function hasLastedLongEnough(rule: AlarmRule, points: readonly (number | null)[]): boolean {
  const oldest = points.findIndex((point) => point !== null);
  const rest = points.slice(oldest);
  return (
    rest.length >= rule.datapointsToAlarm && rest.every((point) => point === null || breaches(rule, point))
  );
}

function judged(rule: AlarmRule, present: readonly number[], filled: readonly boolean[]): Verdict {
  const { comparison, threshold, datapointsToAlarm } = rule;
  const breaching = present.filter((point) => breaches(rule, point)).length + filled.filter(Boolean).length;
  const state = breaching >= datapointsToAlarm ? "ALARM" : "OK";
  const shown = present.length === 0 ? "no datapoints were received" : `datapoints [${present.join(", ")}]`;
  const missing = filled.length === 0 ? "" : ` and ${String(filled.length)} missing`;
  return {
    state,
    reason: `Threshold ${state === "ALARM" ? "Crossed" : "not crossed"}: ${shown}${missing}; ${String(breaching)} of ${String(datapointsToAlarm)} needed are breaching (${comparison} ${String(threshold)})`,
  };
}

function breaches({ comparison, threshold }: AlarmRule, value: number): boolean {
  switch (comparison) {
    case "GreaterThanOrEqualToThreshold":
      return value >= threshold;
    case "GreaterThanThreshold":
      return value > threshold;
    case "LessThanThreshold":
      return value < threshold;
    case "LessThanOrEqualToThreshold":
      return value <= threshold;
    default:
      throw new Error(`an alarm that compares by ${comparison} is not evaluated in the sandbox`);
  }
}
