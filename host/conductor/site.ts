import split from "../nginx/split.js";
import {
  COLOURS,
  otherColour,
  type Abort,
  type CertificateStatus,
  type Colour,
  type ColourStatus,
  type ReleaseIntent,
  type SiteSettings,
  type SiteStatus,
  type TrafficIntent,
} from "./protocol";

/** A release on disk: complete, built, never changed again. */
export interface InstalledRelease {
  readonly intent: ReleaseIntent;
  /** Commit that it was built from. */
  readonly commit: string;
  readonly directory: string;
}

/** Do two intents ask for the same release? A pin that is added to what was built from that commit changes it, too. */
export function isSameIntent(a: ReleaseIntent, b: ReleaseIntent): boolean {
  const content = (intent: ReleaseIntent): string =>
    JSON.stringify([
      [intent.version, intent.tag, intent.repository, intent.commit, intent.script, intent.environment],
      [intent.install, intent.build, intent.prune, intent.args, intent.buildVariables],
    ]);
  return content(a) === content(b);
}

/** Are two intents releases of the same source, and differ in the environment, or in how it is built and started? */
function differsInSettings(a: ReleaseIntent, b: ReleaseIntent): boolean {
  const { version, tag, repository, commit } = a;
  return !isSameIntent(a, b) && isSameIntent({ ...b, version, tag, repository, commit }, b);
}

/** A release as a colour runs it. */
export interface RunningRelease extends InstalledRelease {
  /** PM2 instances that it was started with; a changed setting holds from the colour's next release on. */
  readonly instances: number;
}

/** One colour in the truth. */
export interface ColourState {
  /** What PM2 runs for this colour; null for a retired colour. */
  readonly release: RunningRelease | null;
  /** Every instance passed N times in a row, and has not failed M times in a row since. */
  readonly healthy: boolean;
  /**
   * Changed since users' traffic was set: gets no share and backs nobody up until the next `traffic` act, whatever the
   * weight says.
   */
  readonly withdrawn: boolean;
  /** Was stable before and is unchanged since: the way back, which may take users by failover. */
  readonly wasStable: boolean;
  /**
   * Environment that was asked for while the colour served users: it keeps the one it has, for it would have to be
   * restarted, and gets this one by its next release. The one that it has, where it is only to be built or started another way. Null
   * where nothing is pending.
   */
  readonly pendingEnvironment: string | null;
  /** While a change of this colour is under way: what to go back to if it fails. */
  readonly before: ColourState | null;
  /** Keeps the whole site closed to users: this colour is changed in place, and nobody could take them over. */
  readonly closesSite: boolean;
}

/** The truth about what is live. Everything else on the host is derived from it. */
export interface Site {
  /** Counts up with every change. */
  readonly generation: number;
  readonly settings: SiteSettings | null;
  /** Secret of the conductor's probes through the front door. */
  readonly probeKey: string;
  /** The share that was asked for; null until the first `traffic` act. */
  readonly traffic: (TrafficIntent & { readonly salt: string }) | null;
  /** A candidate that stays off the users' traffic until `ack`. */
  readonly aborted: Abort | null;
  /** Hash of the environment that was sent last: the next releases run with it. Null before the first one. */
  readonly environment: string | null;
  /** Closed to users until the next `maintenance` act. */
  readonly maintenance: boolean;
  /** SHA-256 of that environment's file, in hex. */
  readonly environmentDigest: string | null;
  readonly colours: Readonly<Record<Colour, ColourState>>;
}

/** A colour that runs nothing. */
export const RETIRED: ColourState = {
  release: null,
  healthy: false,
  withdrawn: true,
  wasStable: false,
  pendingEnvironment: null,
  closesSite: false,
  before: null,
};

/** The truth of a host on which nothing was ever released. */
export function emptySite(probeKey: string): Site {
  return {
    generation: 0,
    settings: null,
    probeKey,
    traffic: null,
    aborted: null,
    environment: null,
    maintenance: false,
    environmentDigest: null,
    colours: { blue: RETIRED, green: RETIRED },
  };
}

/** Returns the site with one colour changed. */
export function withColour(site: Site, colour: Colour, change: Partial<ColourState>): Site {
  return { ...site, colours: { ...site.colours, [colour]: { ...site.colours[colour], ...change } } };
}

/** The share of the users, in percent, that a colour has now. */
export function shareNow(site: Site, colour: Colour): number {
  return site.traffic === null ? 0 : shareOf(routeOf(site), colour);
}

/**
 * Is a release of this colour nothing but another environment, or another way to build and start the same source, while it serves
 * users? Then the colour keeps its own: a changed secret, or `application.args`, reaches users by the same version on the other colour,
 * never by a restart of what serves. The config has one value for both colours, so that an `up` which had to bring it to both could never be taken.
 */
export function keepsSettings(site: Site, colour: Colour, wanted: ReleaseIntent): boolean {
  const { release } = site.colours[colour];
  return release !== null && differsInSettings(release.intent, wanted) && shareNow(site, colour) > 0;
}

/** May this colour get users' requests, by share or by failover? */
export function isAdmitted(site: Site, colour: Colour): boolean {
  const { release, healthy, withdrawn, wasStable } = site.colours[colour];
  if (site.traffic === null || release === null || !healthy || withdrawn || site.aborted?.colour === colour) {
    return false;
  }
  return site.traffic.stable === colour || site.traffic.weight > 0 || wasStable;
}

/** Are users to be kept out, as far as the conductor is asked? A file on the host can keep them out as well. */
export function isClosed(site: Site): boolean {
  return site.maintenance || COLOURS.some((colour) => site.colours[colour].closesSite);
}

/** What the front door shall do now. */
export interface Route {
  readonly stable: Colour;
  /** Share of the other colour, in percent. */
  readonly weight: number;
  /** Seed of the split. */
  readonly seed: number;
  /** May a request that this colour could not answer be tried on the other one? */
  readonly failsOver: Readonly<Record<Colour, boolean>>;
  /** Are users kept out? */
  readonly closed: boolean;
}

/**
 * Derives the front door's route from the truth. A colour that is not admitted has no share while the other one is;
 * where neither is admitted the stable colour keeps everything, for a sick answer is better than none.
 */
export function routeOf(site: Site): Route {
  const stable = site.traffic?.stable ?? "blue";
  const candidate = otherColour(stable);
  const admitted = { [stable]: isAdmitted(site, stable), [candidate]: isAdmitted(site, candidate) };
  const both = admitted[stable] === true && admitted[candidate] === true;
  const asked = site.traffic?.weight ?? 0;
  const weight = both ? asked : admitted[candidate] === true ? 100 : 0;
  return {
    stable,
    weight,
    seed: split.seed(site.traffic?.salt ?? ""),
    failsOver: { blue: both, green: both },
    closed: isClosed(site),
  };
}

/** The share, in percent, that a colour has under a route. */
export function shareOf(route: Route, colour: Colour): number {
  return route.stable === colour ? 100 - route.weight : route.weight;
}

/** Writes a route as the string that njs reads (see `nginx/front-door.js`). */
export function encodeRoute(route: Route): string {
  const buckets = Math.round((route.weight / 100) * split.BUCKETS);
  const { blue, green } = route.failsOver;
  return [route.stable, buckets, route.seed, ...[blue, green, route.closed].map(Number)].join(" ");
}

/** Tells what is live. */
export function statusOf(
  site: Site,
  underWay: string | null,
  certificate: CertificateStatus | null = null,
): SiteStatus {
  const colourStatus = (colour: Colour): ColourStatus => {
    const { release, healthy } = site.colours[colour];
    return {
      version: release?.intent.version ?? null,
      commit: release?.commit ?? null,
      directory: release?.directory ?? null,
      environment: release?.intent.environment ?? null,
      pendingEnvironment: site.colours[colour].pendingEnvironment,
      healthy,
      admitted: isAdmitted(site, colour),
    };
  };
  return {
    generation: site.generation,
    traffic: site.traffic ?? { stable: "blue", weight: 0, salt: "" },
    effectiveWeight: routeOf(site).weight,
    aborted: site.aborted,
    maintenance: site.maintenance,
    closed: isClosed(site),
    colours: { blue: colourStatus("blue"), green: colourStatus("green") },
    certificate,
    underWay,
  };
}

/** Returns the site after an `abort`: the candidate of this moment is kept off. An abort in force stays as it is. */
export function withAbort(site: Site, reason: string, at: string): Site {
  const colour = otherColour(site.traffic?.stable ?? "blue");
  return { ...site, aborted: site.aborted ?? { colour, reason, at } };
}

/**
 * Returns the site after an `ack`. The colour stays without users until the next `traffic` act gives it some: to look at
 * an abort is not yet to send users back.
 */
export function withAck(site: Site): Site {
  const { aborted, traffic } = site;
  if (aborted === null) {
    return site;
  }
  const isCandidate = traffic !== null && traffic.stable !== aborted.colour;
  return { ...site, aborted: null, traffic: isCandidate ? { ...traffic, weight: 0 } : traffic };
}

/**
 * Returns the site after a `traffic` act: the asked share, no colour withdrawn any more, the colour that was stable
 * remembered as the way back, and the candidate's release as salt, so that each release has other users go first.
 */
export function withTraffic(site: Site, intent: TrafficIntent): Site {
  const before = site.traffic?.stable;
  const salt = site.colours[otherColour(intent.stable)].release?.intent.version ?? "";
  const colours = Object.fromEntries(
    COLOURS.map((colour) => {
      const state = site.colours[colour];
      // A colour that was changed on the way here is not what was stable, though it has the same name.
      const isWayBack = state.wasStable || (colour === before && !state.withdrawn);
      const wasStable = state.release !== null && (isWayBack || colour === intent.stable);
      return [colour, { ...state, withdrawn: state.release === null, wasStable }];
    }),
  ) as Record<Colour, ColourState>;
  return { ...site, traffic: { stable: intent.stable, weight: intent.weight, salt }, colours };
}
