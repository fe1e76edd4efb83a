import { identityOf } from "./identity";

/** Longest delay that a request may ask for, in milliseconds. */
const LONGEST_DELAY_MS = 60_000;

/** Answers who this is and how many bytes of body arrived, after the delay that `?ms=` asks for. */
export async function echo(request: Request): Promise<Response> {
  const bytes = await lengthOf(request.body);
  const delay = Number(new URL(request.url).searchParams.get("ms") ?? 0);
  if (delay > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(delay, LONGEST_DELAY_MS)));
  const { method } = request;
  return Response.json(
    { ...identityOf(process.env), pid: process.pid, method, bytes },
    { headers: { "cache-control": "no-store" } },
  );
}

/** Counts without keeping: a large upload costs no memory. */
async function lengthOf(body: ReadableStream<Uint8Array> | null): Promise<number> {
  if (body === null) return 0;
  const reader = body.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes += value.byteLength;
  }
}
