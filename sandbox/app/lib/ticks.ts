import type { Identity } from "./identity";

/** Pause between two events of a stream, in milliseconds. */
export const TICK_MS = 100;

/** What {@link ticks} needs. */
export interface TickOptions {
  readonly identity: Identity;
  /** Events after which the stream ends by itself; Infinity for one that its reader has to leave. */
  readonly last: number;
  /** Ends the stream early, after the event that is under way: the process is about to end. */
  readonly closing: AbortSignal;
}

/** Server-sent events, numbered from 1, until the last one, until the reader leaves, or until the process ends. */
export function ticks({ identity, last, closing }: TickOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setInterval> | undefined;
  let stop = (): void => undefined;
  return new ReadableStream({
    start(controller) {
      let number = 0;
      const send = (text: string): void => controller.enqueue(encoder.encode(text));
      const end = (): void => {
        stop();
        controller.close();
      };
      stop = () => {
        clearInterval(timer);
        closing.removeEventListener("abort", end);
      };
      // Out at once, so that whoever reads knows that the stream has begun.
      send(": open\n\n");
      if (closing.aborted || last < 1) {
        end();
        return;
      }
      closing.addEventListener("abort", end);
      timer = setInterval(() => {
        number += 1;
        send(`id: ${number}\ndata: ${JSON.stringify({ ...identity, number })}\n\n`);
        if (number >= last) end();
      }, TICK_MS);
    },
    cancel() {
      stop();
    },
  });
}
