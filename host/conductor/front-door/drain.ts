import type { Colour } from "../protocol";
import { forgiving, waitUntil } from "../system/wait";
import type { FrontDoor } from "./front-door";

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
  let open = null as number | null;
  let told = false;
  // One that is slow to tell may have something under way.
  const isDrained = forgiving(async () => {
    open = await frontDoor.inFlight(colour);
    if (open > 0 && !told) {
      told = true;
      progress(`${colour}: ${open} still open, waiting up to ${seconds} s`);
    }
    return open <= 0;
  });
  let drained = await waitUntil(seconds * 1000, 20, isDrained);
  // How many are closed is told: somebody has to have said it.
  while (!drained && open === null) drained = await isDrained();
  return drained ? `${colour}: drained` : `${colour}: closing ${open} still open after ${seconds} s`;
}
