import type { Colour } from "../protocol";
import { waitUntil } from "../system/wait";
import type { FrontDoor } from "./front-door";

/** How often in a row a front door may fail to tell what is under way. */
const MOST_FAILURES = 5;

/**
 * Waits until nothing is open with a colour any more, or for `seconds`. Tells, when it is over, how it ended; fails where the front door
 * cannot tell.
 */
export async function drain(
  frontDoor: FrontDoor,
  colour: Colour,
  seconds: number,
  progress: (line: string) => void,
): Promise<string> {
  let open = 0;
  let told = false;
  let failures = 0;
  const drained = await waitUntil(seconds * 1000, 20, async () => {
    try {
      open = await frontDoor.inFlight(colour);
      failures = 0;
    } catch (error) {
      // One that is slow to tell may have something under way.
      if (++failures === MOST_FAILURES) throw error;
      return false;
    }
    if (open > 0 && !told) {
      told = true;
      progress(`${colour}: ${open} still open, waiting up to ${seconds} s`);
    }
    return open <= 0;
  });
  return drained ? `${colour}: drained` : `${colour}: closing ${open} still open after ${seconds} s`;
}
