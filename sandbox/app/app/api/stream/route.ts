import { identityOf } from "../../../lib/identity";
import { TICK_MS, ticks } from "../../../lib/ticks";
import { closing } from "../../../server/closing";

export const dynamic = "force-dynamic";

/** A stream for `?seconds=`, or until its reader leaves. */
export function GET(request: Request): Response {
  const seconds = new URL(request.url).searchParams.get("seconds");
  const last = seconds === null ? Infinity : Math.floor((Number(seconds) * 1000) / TICK_MS);
  return new Response(ticks({ identity: identityOf(process.env), last, closing: closing() }), {
    // A front door that buffers would hold the events back.
    headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
  });
}
