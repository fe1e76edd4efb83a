import { Failed, Refused } from "../faults";
import { drain } from "../front-door/drain";
import { otherColour, type Colour, type SiteSettings } from "../protocol";
import type { ReleaseHost } from "./release";
import { routeOf, shareOf, withColour, type ColourState } from "../site";
import { waitUntil } from "../system/wait";

/**
 * Takes all users off a colour, and waits until what they had begun has ended.
 * @throws Refused, or Failed, where the other colour does not answer that takes them over. Its health is known from
 * some probes ago: it may have died since.
 */
export async function withdraw(
  host: ReleaseHost,
  colour: Colour,
  and: Partial<ColourState>,
  settings: SiteSettings,
  progress: (line: string) => void,
): Promise<void> {
  const { store, frontDoor } = host;
  const now = store.site.colours[colour];
  const heir = and.closesSite === true ? null : heirOf(host, colour);
  if (heir !== null && !(await answersSoon(host, heir, settings))) {
    throw new Refused(
      `${colour} serves users, and ${heir} does not answer; see \`status\`, then run \`up\` again`,
    );
  }
  await change(host, colour, { ...and, withdrawn: true, before: now.before ?? now });
  if (now.release === null) {
    return;
  }
  progress(await drain(frontDoor, colour, settings.drainSeconds, progress));
  const fault = heir === null ? null : await probe(host, heir, settings);
  if (fault !== null) {
    throw new Failed(`${String(heir)} took the users of ${colour} over, and does not answer now: ${fault}`);
  }
  // An abort, or a health check that failed, may have sent them back.
  if (heir !== null && heirOf(host, colour) !== null) {
    throw new Failed(
      `${colour} got its users back while it was drained; see \`status\`, then run \`up\` again`,
    );
  }
}

/** The colour that the users of `colour` go to; null where it has none. */
function heirOf({ store: { site } }: ReleaseHost, colour: Colour): Colour | null {
  return site.traffic === null || shareOf(routeOf(site), colour) === 0 ? null : otherColour(colour);
}

/** Waits for a colour to answer, for as long as a new release may take. */
async function answersSoon(host: ReleaseHost, colour: Colour, settings: SiteSettings): Promise<boolean> {
  const { deadlineSeconds, intervalMs } = settings.health;
  return waitUntil(
    deadlineSeconds * 1000,
    intervalMs,
    async () => (await probe(host, colour, settings)) === null,
  );
}

/** What is wrong with a colour at this moment; null for nothing. */
async function probe(host: ReleaseHost, colour: Colour, settings: SiteSettings): Promise<string | null> {
  const { release } = host.store.site.colours[colour];
  return release === null ? "it runs nothing" : host.prober.probe(colour, release, settings);
}

/** Changes a colour in the truth, then in the front door. */
export async function change(host: ReleaseHost, colour: Colour, update: Partial<ColourState>): Promise<void> {
  await host.frontDoor.set(await host.store.update((site) => withColour(site, colour, update)));
}
