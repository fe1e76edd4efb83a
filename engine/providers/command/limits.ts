import type { ProviderContext } from "../provider";

/**
 * Has `stop` called, with the reason in words, when the run is cancelled or the time for the operation is over.
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
  signal.addEventListener("abort", abort, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  };
}
