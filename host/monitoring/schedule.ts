/**
 * How long to wait for the end of the next interval, in milliseconds. Intervals end at whole multiples of their length, so that
 * each of CloudWatch's periods gets one; a clock that is put right makes one interval shorter or longer, and none negative.
 * @param now Milliseconds since 1970.
 */
export function untilNext(now: number, intervalMs: number): number {
  const rest = intervalMs - (now % intervalMs);
  // A timer may fire a moment early: what it was for is over.
  return rest < intervalMs / 4 ? rest + intervalMs : rest;
}

/** The end of the interval that is nearest to `now`. */
export function endNear(now: number, intervalMs: number): number {
  return Math.round(now / intervalMs) * intervalMs;
}
