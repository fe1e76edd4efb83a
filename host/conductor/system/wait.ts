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
