import { setTimeout as pause } from "node:timers/promises";

/**
 * Asks again and again until the condition holds.
 * @returns false where it did not hold within `deadlineMs`.
 */
export async function waitUntil(
  deadlineMs: number,
  intervalMs: number,
  condition: () => Promise<boolean>,
): Promise<boolean> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    if (await condition()) {
      return true;
    }
    if (performance.now() >= end) {
      return false;
    }
    await pause(intervalMs);
  }
}

/** How often in a row what is asked again and again may fail: one whose answer came too late may have been in good order. */
const MOST_FAILURES = 5;

/** A condition that may fail now and then: it does not hold then, and fails for good when it did so several times in a row. */
export function forgiving(condition: () => Promise<boolean>): () => Promise<boolean> {
  let failures = 0;
  return async () => {
    try {
      const holds = await condition();
      failures = 0;
      return holds;
    } catch (error) {
      if (++failures === MOST_FAILURES) throw error;
      return false;
    }
  };
}

/**
 * Waits for work, but not for ever.
 * @throws Error where it is not over within `limitMs`. It goes on all the same; how it ends is nobody's any more.
 */
export function inTime<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${String(limitMs / 1000)} s`)), limitMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
