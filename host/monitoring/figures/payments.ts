import { METRICS, type MonitoringSettings } from "../protocol";
import { figure, type Figure } from "./figure";

/** Which business metrics tell of payments that failed, and of those that went through. */
export type PaymentMetrics = NonNullable<MonitoringSettings["payments"]>;

/**
 * Counts on the payments that failed since the last interval in which one went through: where each of them fails, that is told however
 * few there are.
 * @param database What was found in the database.
 * @param before The count at the interval's beginning.
 * @returns null where one of the two is not known: nobody can tell then, and the count stays
 */
export function failedInARow(
  database: readonly Figure[],
  { failed, processed }: PaymentMetrics,
  before: number,
): Figure | null {
  const valueOf = (metric: string) => database.find(({ name }) => name === metric)?.value;
  const [failures, successes] = [valueOf(failed), valueOf(processed)];
  if (failures === undefined || successes === undefined) return null;
  return figure(METRICS.paymentsFailedInARow, successes > 0 ? 0 : before + failures);
}
