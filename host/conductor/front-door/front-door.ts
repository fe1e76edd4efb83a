import { request } from "node:https";
import split from "../../nginx/split.js";
import { Failed, NotRecorded } from "../faults";
import { Lane } from "../system/lane";
import type { WriteDurably } from "../system/reserve";
import type { Paths } from "../paths";
import { COLOURS, otherColour, type Colour, type SiteSettings } from "../protocol";
import { encodeRoute, routeOf, shareOf, type Route, type Site } from "../site";
import { requestUnix } from "../system/unix-http";
import { absentAsNull, NginxRoute, type Control } from "./nginx-route";
import { nginxIsStarting } from "./nginx-unit";

const CONTROL_TIMEOUT_MS = 2000;
const PROBE_TIMEOUT_MS = 30_000;

/** The front door as the conductor sees it: it is told the route, and asked what it does. */
export interface FrontDoor {
  /**
   * Puts the truth's route in force: in the file that Nginx starts with and in the running Nginx, read back. A site
   * without traffic has no route, and nothing is touched.
   * Resolves to false where no Nginx runs that could be told; it reads the file when it starts.
   * @throws NotRecorded where the running Nginx has it, and the file cannot be written.
   */
  set(site: Site): Promise<boolean>;
  /** Why the file that Nginx starts with does not hold what was set last; null where it does. */
  readonly unrecorded: string | null;
  /** The route that is in force, as njs has it; null where no Nginx answers. */
  read(): Promise<string | null>;
  /**
   * Requests, streams and WebSockets that have not ended and may be with `colour`: those that went to it first, and those
   * that may have failed over to it. None where no Nginx runs.
   */
  inFlight(colour: Colour): Promise<number>;
  /** What the front door counted, as Prometheus text. */
  metrics(): Promise<string>;
  /**
   * Sends a request through the public door for each colour that has a share, as one of its users.
   * @throws Failed where another colour answers, or none.
   */
  prove(site: Site): Promise<void>;
}

/**
 * Sets a route for those whom a full disk must not stop: that it is not recorded is returned, not thrown.
 * @returns Why, where the running Nginx has it and the file that it starts with has not; else null.
 */
export async function enforceRoute(frontDoor: FrontDoor, site: Site): Promise<string | null> {
  try {
    await frontDoor.set(site);
    return null;
  } catch (error) {
    if (error instanceof NotRecorded) return error.message;
    throw error;
  }
}

/** The include that Nginx starts with, as text; null for a site without traffic, which has no route. Pure. */
export function routeFileText(site: Site): string | null {
  return site.traffic === null ? null : `default "${encodeRoute(routeOf(site))}";\n`;
}

/**
 * Speaks to the Nginx of this host.
 * @param isStarting tells whether a Nginx runs that does not listen yet
 * @param write writes the file that Nginx starts with: a reserve's, so that a full disk does not keep it from it
 */
export function nginxFrontDoor(paths: Paths, isStarting = nginxIsStarting, write?: WriteDurably): FrontDoor {
  const control: Control = (path, body) =>
    requestUnix({
      socket: paths.frontDoor,
      path,
      timeoutMs: CONTROL_TIMEOUT_MS,
      ...(body === undefined ? {} : { method: "PUT", body }),
    });
  const inNginx = new NginxRoute(control, paths.trafficFallback, isStarting, write);
  const set = async (site: Site): Promise<boolean> => {
    const file = routeFileText(site);
    // Where nobody has said who serves: what serves now, if anything, is not ours to change.
    return file === null || (await inNginx.set(encodeRoute(routeOf(site)), file));
  };
  // An act and the health watch may both have something to tell: one after the other, so that the last one holds.
  const lane = new Lane();
  return {
    set: (site) => lane.run(() => set(site)),
    get unrecorded() {
      return inNginx.unrecorded;
    },
    async read() {
      try {
        return await inNginx.read();
      } catch {
        return null;
      }
    },
    async inFlight(colour) {
      const answer = await control("/counters").catch(absentAsNull);
      if (answer === null) return 0;
      return openIn(poolsOf(colour), JSON.parse(answer.body) as Record<string, number>);
    },
    metrics: async () => (await control("/metrics")).body,
    async prove(site) {
      const { settings, probeKey } = site;
      if (settings === null) {
        throw new Failed("the site has no settings yet");
      }
      const route = routeOf(site);
      for (const colour of COLOURS.filter((c) => shareOf(route, c) > 0)) {
        await proveColour(settings, probeKey, route, colour);
      }
    },
  };
}

/** The upstreams in which a colour stands, alone or behind the other one. */
function poolsOf(colour: Colour): string[] {
  const other = otherColour(colour);
  return [`app_${colour}`, `app_${colour}_or_${other}`, `app_${other}_or_${colour}`];
}

/** What has not ended in these pools, by njs's counts (see `nginx/metrics.js`). */
function openIn(pools: readonly string[], counts: Readonly<Record<string, number>>): number {
  return Object.entries(counts).reduce((sum, [key, count]) => {
    const [kind = "", pool = ""] = key.split("|");
    return kind === "open" && pools.includes(pool) ? sum + count : sum;
  }, 0);
}

async function proveColour(
  settings: SiteSettings,
  probeKey: string,
  route: Route,
  colour: Colour,
): Promise<void> {
  const answer = await askAsUser(settings, probeKey, userOf(route, colour));
  const found = `status ${answer.status} from ${answer.colour === "" ? "no colour" : answer.colour}`;
  if (answer.colour !== colour || answer.status < 200 || answer.status > 299) {
    throw new Failed(
      `a user of ${colour} asked ${settings.health.path} through the front door and got ${found}; expected 2xx from ${colour}`,
    );
  }
}

/** Makes up the id of a user who belongs to `colour`. */
function userOf(route: Route, colour: Colour): string {
  const candidateBelow = Math.round((route.weight / 100) * split.BUCKETS);
  for (let i = 0; ; i++) {
    const id = i.toString(16).padStart(8, "0").padEnd(32, "0");
    const isCandidates = split.bucket(id, route.seed) < candidateBelow;
    if (isCandidates === (colour !== route.stable)) {
      return id;
    }
  }
}

interface ProbeAnswer {
  readonly status: number;
  readonly colour: string;
}

function askAsUser(settings: SiteSettings, probeKey: string, id: string): Promise<ProbeAnswer> {
  const domain = (settings.domains[0] ?? "localhost").replace(/^\*\./, "probe.");
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port: 443,
        servername: domain,
        // The connection does not leave this machine; whether the certificate is good is asked elsewhere.
        rejectUnauthorized: false,
        agent: false,
        path: settings.health.path,
        headers: { host: domain, cookie: `${settings.idCookie}=${id}`, "x-conductor-probe": probeKey },
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      },
      (incoming) => {
        incoming.resume();
        const colour = incoming.headers["x-conductor-colour"];
        resolve({ status: incoming.statusCode ?? 0, colour: typeof colour === "string" ? colour : "" });
      },
    );
    outgoing.on("error", (error) =>
      reject(new Failed(`the front door does not answer on port 443: ${error.message}`)),
    );
    outgoing.end();
  });
}
