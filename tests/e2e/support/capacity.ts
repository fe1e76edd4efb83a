import type { LoadOptions } from "../../../sandbox/load/options";
import { startLoad } from "../../../sandbox/load/run";
import { waitFor } from "../../../sandbox/processes";
import type { UsersOptions } from "./users";

/** How long it is measured, in milliseconds. */
const MEASURED_MS = 3000;

/** Connections that always have a request under way: enough to keep both processors busy. */
const BUSY_CONNECTIONS = 16;

/** Far more requests a second than any application here bears: who is answered asks again at once. */
const WITHOUT_PAUSE = 5000;

/** Never trivial, and never so much that it measures the client, in requests a second. */
const [LEAST, MOST] = [40, 400];

/** One in five comes over HTTP/2. */
const HTTP2_SHARE = 0.2;

/** Measures how many requests a second the site answers at most on this machine, as busy as that is at the moment. */
async function measureCapacity(target: Pick<LoadOptions, "address" | "host" | "tls">): Promise<number> {
  const run = await startLoad({
    ...{ ...target, protocol: "http1", timeoutMs: 60_000 },
    ...{ rate: WITHOUT_PAUSE, connections: BUSY_CONNECTIONS },
  });
  const measured = await waitFor("some seconds of answers", 120, async () => {
    const segment = await run.snapshot();
    return segment.endedAtMs - segment.startedAtMs >= MEASURED_MS && segment.ok > 0 ? segment : undefined;
  });
  await run.stop();
  return (1000 * measured.ok) / (measured.endedAtMs - measured.startedAtMs);
}

/** Rates of both protocols that together are half of what the site bears, as measured for a moment. */
export async function halfOfCapacity(
  target: Pick<LoadOptions, "address" | "host" | "tls">,
): Promise<Required<Pick<UsersOptions, "http1" | "http2">>> {
  const rate = Math.min(MOST, Math.max(LEAST, (await measureCapacity(target)) / 2));
  return { http1: Math.round(rate * (1 - HTTP2_SHARE)), http2: Math.round(rate * HTTP2_SHARE) };
}
