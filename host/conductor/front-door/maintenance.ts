import { access } from "node:fs/promises";
import { Failed } from "../faults";
import type { FrontDoor } from "./front-door";
import type { MaintenanceAct, MaintenanceResult } from "../protocol";
import { encodeRoute, isClosed, routeOf, type Site } from "../site";
import type { Store } from "../store";

/**
 * Closes the site to users, or opens it: the truth first, then the front door. Nothing is reloaded, and what is under way
 * goes on to its end.
 * @param file While it exists the site stays closed; progress tells so.
 * @throws Failed where no Nginx runs that could be told.
 */
export async function setMaintenance(
  store: Store,
  frontDoor: FrontDoor,
  file: string,
  { on }: MaintenanceAct,
  progress: (line: string) => void,
): Promise<MaintenanceResult> {
  const before = store.site;
  const saved = await store.update((site) => ({ ...site, maintenance: on }));
  if (saved !== before || (await frontDoor.read()) !== encodeRoute(routeOf(saved))) {
    // As the truth is by now: somebody may have aborted meanwhile.
    if (!(await frontDoor.set(store.site))) {
      throw new Failed(
        `Nginx does not run; maintenance ${on ? "on" : "off"} is recorded and holds from its start ` +
          "(`systemctl start nginx`)",
      );
    }
    progress(describe(saved));
  }
  if (!isClosed(saved) && (await exists(file))) {
    progress(`and yet it is closed, by the file ${file}; remove that to open it`);
  }
  return { maintenance: on };
}

function describe(site: Site): string {
  if (site.traffic === null) {
    return "nobody serves yet; this holds from the first traffic on";
  }
  return isClosed(site)
    ? "the site is closed to users"
    : "the site is open, as far as the conductor is asked";
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return false;
    }
    throw error;
  }
}
