import { EngineError } from "../../errors";
import type { ProviderContext } from "../provider";

/** Fails where the run was cancelled: nothing may begin any more. To be called right before something does. */
export function requireGoing({ signal }: Pick<ProviderContext, "signal">): void {
  if (signal.aborted) throw new EngineError("cancelled before it began");
}

/**
 * Has `stop` called, with the reason in words, when the run is cancelled or the time for the operation is over; at once
 * where the run was cancelled already.
 * @returns what ends that
 */
export function onLimit(
  { signal, timeoutSeconds }: Pick<ProviderContext, "signal" | "timeoutSeconds">,
  stop: (why: string) => void,
): () => void {
  const abort = (): void => {
    stop("cancelled");
  };
  const timer =
    timeoutSeconds === undefined
      ? undefined
      : setTimeout(() => {
          stop(`timed out after ${String(timeoutSeconds)} s`);
        }, timeoutSeconds * 1000);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  };
}
