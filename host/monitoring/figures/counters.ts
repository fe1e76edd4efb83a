/**
 * By how much a counter went up. One that is lower than before began anew: whoever counts was started again, and all that it
 * counted since is new.
 */
export function increase(now: number, before: number): number {
  return now >= before ? now - before : now;
}
