/** Which generations of a site's webhook endpoint there are to be, and which one is in force. Pure. */

/** An endpoint of the stack's. */
export interface NamedEndpoint {
  readonly generation: number;
  /** Stripe's id of it, `we_...`. */
  readonly id: string;
}

/** What the config says of them. */
export interface Generations {
  /** The one in force. A higher number makes another endpoint, with a secret of its own. */
  readonly generation: number;
  /** A higher one that is made and gets no events yet, so that releases know its secret first; 0 for none. */
  readonly next: number;
  /** Lower ones that stay beside it; one that is taken out is deleted at Stripe. */
  readonly keep: readonly number[];
}

/**
 * The generation in force among those that are there. A generation is made once: a config of before a deletion, which names
 * one that is gone, leaves the newest one in force.
 */
export function inForce(generation: number, known: readonly { readonly generation: number }[]): number {
  const all = known.map((one) => one.generation);
  const newest = Math.max(...all, 0);
  return generation < newest && !all.includes(generation) ? newest : generation;
}

/** All generations that shall be there, the newest first: of the lower ones those that are. */
export function wantedGenerations(
  { generation, next, keep }: Generations,
  known: readonly NamedEndpoint[],
): readonly number[] {
  const current = inForce(generation, known);
  const kept = keep.filter((one) => known.some((endpoint) => endpoint.generation === one));
  const wanted = [current, ...(next > current ? [next] : []), ...kept];
  return [...new Set(wanted)].sort((one, other) => other - one);
}
