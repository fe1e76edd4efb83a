import { fileDrift, markOf, type FileMark, type FoundFile } from "./kept-file";
import type { Instance } from "../processes/pm2";
import { DRIFT_PARTS, type Colour, type DriftPart, type DriftResult } from "../protocol";
import { encodeRoute, routeOf, type RunningRelease, type Site } from "../site";
import type { NginxFiles } from "../front-door/site-files";
import type { Store } from "../store";
import { waitUntil } from "../system/wait";

/** A part that the site consists of. */
export type SitePart = Exclude<DriftPart, "database">;

/** All of them. */
export const SITE_PARTS = DRIFT_PARTS.filter((part) => part !== "database");

/** Compares the host with the truth. */
export interface Inspector {
  /** Tells how a part of the host differs from what the truth says, or null where it does not. Touches nothing. */
  find(site: Site, part: SitePart): Promise<string | null>;
}

/** The host as it is: what an {@link Inspector} looks at. */
export interface HostView {
  /** Nginx's configuration as it shall be; null for a site that has no settings yet. */
  nginxFiles(site: Site): Promise<NginxFiles | null>;
  /** The route that Nginx starts with, as it shall be; null for a site without traffic. */
  routeFile(site: Site): FileMark | null;
  /** The environment that was sent last, as it shall be; null where there is none. */
  environmentFile(site: Site): FileMark | null;
  /** The ecosystem file of a release, as it shall be; null for a site that has no settings yet. */
  ecosystemFile(site: Site, colour: Colour, release: RunningRelease): FileMark | null;
  /** A file as it is, or null. */
  file(path: string): Promise<FoundFile | null>;
  /** Is there such a file or directory? */
  exists(path: string): Promise<boolean>;
  /** Hash of the configuration that Nginx serves by; null where none answers. */
  servedConfiguration(): Promise<string | null>;
  /** The route in force; null where no Nginx answers. */
  route(): Promise<string | null>;
  /** Does systemd run a colour, or try to? */
  runs(colour: Colour): Promise<boolean>;
  /** Does anybody listen on the private socket of an instance? Whether well is the health watch's business. */
  listens(colour: Colour, instance: number): Promise<boolean>;
  /** What PM2 knows of a colour's instances; null where no PM2 can be asked, for it is being started. */
  processes(colour: Colour): Promise<readonly Instance[] | null>;
  /** Absolute path of the script of a release. */
  script(release: RunningRelease): string;
}

/** The act that changes each part, by its name. */
const CHANGED_BY: Readonly<Record<SitePart, string>> = {
  frontDoor: "configure",
  environment: "environment",
  blue: "release blue",
  green: "release green",
};

/** How often a part that changes while it is inspected is looked at before it counts as one that is being changed. */
const LOOKS = 5;

/**
 * Inspects every part. Touches nothing, and waits for no act: a part that an act is changing just now is not judged.
 * @param isUnderWay Is an act of this name under way?
 */
export async function findDrift(
  store: Pick<Store, "site">,
  inspector: Inspector,
  isUnderWay: (act: string) => boolean,
): Promise<Omit<DriftResult, "database">> {
  const findIn = async (part: SitePart): Promise<string | null> => {
    const isChanging = (): boolean => isUnderWay(CHANGED_BY[part]);
    for (let look = 0; look < LOOKS && !isChanging(); look++) {
      const { site } = store;
      const found = await inspector.find(site, part);
      // What was found is true only of the truth that it was compared with: after a change, look again.
      if (found === null || (store.site === site && !isChanging())) {
        return found;
      }
    }
    return null;
  };
  const found = await Promise.all(SITE_PARTS.map(async (part) => [part, await findIn(part)] as const));
  return Object.fromEntries(found) as Omit<DriftResult, "database">;
}

/** The front door follows a change of the truth within moments; longer than this it differs, in milliseconds. */
const ROUTE_DEADLINE_MS = 10_000;

/** Inspects what `view` shows. */
export function inspectorOf(view: HostView): Inspector {
  return {
    find: (site, part) => {
      switch (part) {
        case "frontDoor":
          return findAtFrontDoor(view, site);
        case "environment":
          return findInFiles(view, [view.environmentFile(site)]);
        default:
          return findOnColour(view, site, part);
      }
    },
  };
}

async function findAtFrontDoor(view: HostView, site: Site): Promise<string | null> {
  const nginx = await view.nginxFiles(site);
  if (nginx === null) {
    return null;
  }
  const edited = await findInFiles(view, [
    ...[nginx.main, nginx.site, ...nginx.beside].map(markOf),
    view.routeFile(site),
  ]);
  if (edited !== null) {
    return edited;
  }
  const served = await view.servedConfiguration();
  if (served !== nginx.hash) {
    return served === null ? "Nginx does not run" : "Nginx serves by another configuration than its files";
  }
  return findInRoute(view, site);
}

async function findInFiles(view: HostView, marks: readonly (FileMark | null)[]): Promise<string | null> {
  const faults = marks.map(async (mark) => mark && fileDrift(mark, await view.file(mark.path)));
  const found = (await Promise.all(faults)).filter((fault) => fault !== null);
  return found.length === 0 ? null : found.join("; ");
}

async function findInRoute(view: HostView, site: Site): Promise<string | null> {
  if (site.traffic === null) {
    return null;
  }
  const route = encodeRoute(routeOf(site));
  const follows = await waitUntil(ROUTE_DEADLINE_MS, 20, async () => (await view.route()) === route);
  return follows ? null : "Nginx splits the traffic another way than the conductor told it to";
}

async function findOnColour(view: HostView, site: Site, colour: Colour): Promise<string | null> {
  const { release } = site.colours[colour];
  if (release === null) {
    return (await view.runs(colour)) ? `${colour} is retired, and runs` : null;
  }
  const version = release.intent.version;
  if (!(await view.exists(release.directory))) {
    return `the directory of ${version} is gone (${release.directory})`;
  }
  const script = view.script(release);
  if (!(await view.exists(script))) {
    return `the script of ${version} is gone (${script})`;
  }
  const edited = await findInFiles(view, [view.ecosystemFile(site, colour, release)]);
  if (edited !== null) {
    return edited;
  }
  return (await view.runs(colour)) ? findInInstances(view, colour, release) : `${colour} was stopped`;
}

async function findInInstances(
  view: HostView,
  colour: Colour,
  release: RunningRelease,
): Promise<string | null> {
  const numbers = Array.from({ length: release.instances }, (_, number) => number);
  const listening = await Promise.all(numbers.map((number) => view.listens(colour, number)));
  const absent = numbers.filter((number) => listening[number] === false);
  if (absent.length === 0) {
    return null;
  }
  // PM2 is slow to ask, so that it is asked only here. An instance that it starts, or that crashed, is sick and no
  // drift: an `up` that goes back from it must not wait for it to get well.
  const known = await view.processes(colour);
  const stopped = absent.filter((number) => {
    const instance = known?.find((each) => each.number === number);
    return known !== null && (instance === undefined || instance.status === "stopped");
  });
  return stopped.length === 0
    ? null
    : stopped.map((number) => `instance ${number} of ${colour} was stopped`).join("; ");
}
