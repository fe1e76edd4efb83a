/**
 * The clock that the load client and its callers share.
 *
 * `CLOCK_MONOTONIC` is one clock for every process of a machine and never steps, so that a moment taken in a test
 * can be compared with the moment at which the load process sent a request.
 */

const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Now, in milliseconds since an arbitrary moment that is the same for every process of this machine. */
export function monotonicNow(): number {
  return offset + performance.now();
}
