import { request } from "node:https";
import { HTTPS_PORT } from "../conductor/certificates/served";
import type { Paths } from "../conductor/paths";
import type { SiteSettings } from "../conductor/protocol";
import type { Site } from "../conductor/site";
import { readIfThere } from "../conductor/system/durable-file";
import { requestUnix } from "../conductor/system/unix-http";
import { DatabaseStore } from "../database/state";
import type { Complaints } from "./complaints";
import type { MonitoringSettings } from "./protocol";
import { lastBackup } from "./figures/backup";
import { certificateEnd } from "./figures/certificate";
import { databaseFigures } from "./figures/database";
import { parseFrontDoor } from "./figures/front-door";
import type { Sources } from "./figures/measure";
import { readRestarts } from "./figures/restarts";
import { readSystem, usageFigures } from "./figures/system";
import { webhookFigures } from "./figures/webhooks";

const CONTROL_TIMEOUT_MS = 2000;

/** As long as the front door waits at most for a connection, and then some. */
const HEALTH_TIMEOUT_MS = 10_000;

/** Reads the conductor's truth, which is replaced as a whole; null where there is none yet. */
export async function readSite(paths: Pick<Paths, "site">): Promise<Site | null> {
  const text = await readIfThere(paths.site);
  return text === null ? null : (JSON.parse(text) as Site);
}

/** Everything that is measured on this host. What the conductor owns is read where it keeps it: it need not be up. */
export function sourcesOfHost(
  app: string,
  paths: Paths,
  { business, webhookPath }: Pick<MonitoringSettings, "business" | "webhookPath">,
  complaints: Complaints,
): Sources {
  const store = new DatabaseStore(paths.database);
  return {
    site: () => readSite(paths),
    isUp,
    frontDoor: async () => {
      const answer = await requestUnix({
        socket: paths.frontDoor,
        path: "/metrics",
        timeoutMs: CONTROL_TIMEOUT_MS,
      });
      if (answer.status !== 200) throw new Error(`the front door answers ${String(answer.status)}`);
      return parseFrontDoor(answer.body);
    },
    system: readSystem,
    usage: () => usageFigures(["/", paths.releases, paths.logs, paths.records, "/var/log/nginx"]),
    restarts: () => readRestarts(paths),
    webhooks: async (before) =>
      webhookPath === undefined ? null : webhookFigures(paths.signedRequests, webhookPath, before),
    database: async (since) => {
      const settings = await store.settings();
      if (settings === null) return null;
      return databaseFigures({ settings, session: `${app} monitoring`, business, since }, complaints);
    },
    lastBackup: () => lastBackup(store, complaints),
    certificateEnd: async () => {
      const site = await readSite(paths);
      return site?.settings == null ? null : certificateEnd(domainOf(site.settings), HTTPS_PORT);
    },
  };
}

/** The domain that the site is looked at by: one certificate holds them all. */
function domainOf({ domains }: Pick<SiteSettings, "domains">): string {
  return domains[0] ?? "localhost";
}

/** Asks for the health path as the conductor's probes do, which count as nobody's request and are never refused. */
function isUp({ settings, probeKey }: Site): Promise<boolean> {
  if (settings === null) return Promise.resolve(false);
  const domain = domainOf(settings).replace(/^\*\./, "probe.");
  return new Promise((resolve) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port: HTTPS_PORT,
        servername: domain,
        // The connection does not leave this machine; whether the certificate is good is asked elsewhere.
        rejectUnauthorized: false,
        agent: false,
        path: settings.health.path,
        headers: { host: domain, "x-conductor-probe": probeKey },
        signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
      },
      (incoming) => {
        incoming.resume();
        const status = incoming.statusCode ?? 0;
        resolve(status >= 200 && status <= 299);
      },
    );
    outgoing.on("error", () => resolve(false));
    outgoing.end();
  });
}
