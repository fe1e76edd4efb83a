import { Failed } from "../faults";
import type { FrontDoor } from "./front-door";
import { requireServable } from "../plan";
import { COLOURS, otherColour, type Colour, type TrafficIntent, type TrafficResult } from "../protocol";
import { encodeRoute, routeOf, shareOf, withTraffic, type Site } from "../site";
import type { Store } from "../store";

/**
 * Sets stable, weight and salt in one step: the truth first, then the front door, then proof by users' requests.
 * Where the proof fails, the share that was before is put back; but less of the candidate stays less, for the way back
 * is always open.
 * @throws Refused where a colour would get users that it cannot serve.
 */
export async function setTraffic(
  store: Store,
  frontDoor: FrontDoor,
  intent: TrafficIntent,
  progress: (line: string) => void,
): Promise<TrafficResult> {
  let before = store.site;
  const saved = await store.update((site) => {
    // Asked of what is changed: an abort, or the health watch, may have come in between.
    requireServable(site, intent);
    before = site;
    return withTraffic(site, intent);
  });
  if (saved !== before || (await frontDoor.read()) !== encodeRoute(routeOf(saved))) {
    // As the truth is by now: somebody may have aborted meanwhile.
    if (!(await frontDoor.set(store.site))) {
      throw new Failed(
        "Nginx does not run; the share is recorded and holds from its start (`systemctl start nginx`)",
      );
    }
    progress(`traffic: ${describeShares(saved)}`);
    await proveOrPutBack(store, frontDoor, before, saved);
  }
  return resultOf(store.site);
}

async function proveOrPutBack(store: Store, frontDoor: FrontDoor, before: Site, saved: Site): Promise<void> {
  try {
    await frontDoor.prove(saved);
  } catch (error) {
    if (before.traffic !== null && givesCandidateMore(before, saved)) {
      const { traffic, colours } = before;
      await frontDoor.set(await store.update((site) => ({ ...site, traffic, colours })));
      throw new Failed(`${(error as Error).message}; the share that was before is back`);
    }
    throw error;
  }
}

/** Does the candidate get users that it did not have? A swap of stable and candidate counts as that, too. */
function givesCandidateMore(before: Site, saved: Site): boolean {
  const [from, to] = [routeOf(before), routeOf(saved)];
  return to.stable !== from.stable || to.weight > from.weight;
}

function describeShares(site: Site): string {
  const route = routeOf(site);
  return COLOURS.map((colour) => `${shareOf(route, colour)} % ${colour}`).join(", ");
}

function resultOf(site: Site): TrafficResult {
  const route = routeOf(site);
  const stable = site.traffic?.stable ?? "blue";
  const serving: Partial<Record<Colour, string>> = {};
  for (const colour of [stable, otherColour(stable)]) {
    const version = site.colours[colour].release?.intent.version;
    if (version !== undefined && shareOf(route, colour) > 0) {
      serving[colour] = version;
    }
  }
  return { stable, weight: site.traffic?.weight ?? 0, effectiveWeight: route.weight, serving };
}
