/** How many durations fell into which bucket. */
export interface Histogram {
  /** Upper bounds of the buckets, rising, in seconds; what is longer is in one bucket more. */
  readonly bounds: readonly number[];
  /** How many are in each bucket: one more than there are bounds. */
  readonly counts: readonly number[];
}

/** Adds histograms up that have the same bounds. */
export function addUp(one: Histogram, other: Histogram): Histogram {
  return { bounds: one.bounds, counts: one.counts.map((count, index) => count + (other.counts[index] ?? 0)) };
}

/**
 * Estimates a percentile: within a bucket durations are taken to be spread evenly, and those above the last bound to be
 * as long as it.
 * @param share 0 to 1.
 * @returns in seconds; null for an empty histogram
 */
export function percentile({ bounds, counts }: Histogram, share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const rank = share * total;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const lower = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      const upper = bounds[index] ?? lower;
      return lower + (upper - lower) * Math.max(0, (rank - below) / count);
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}
