/**
 * The conductor: owns what is live on this host. Started by systemd as `node conductor.js APP`, with the socket that
 * acts come in by as file descriptor 3.
 */
import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { nginxCertificateDoor } from "./certificates/door";
import { CertificateKeeper } from "./certificates/keeper";
import { programsForCertificates } from "./certificates/order";
import { CertificateStore } from "./certificates/store";
import { CertificateWatch } from "./certificates/watch";
import { Conductor } from "./conductor";
import { DatabaseStore } from "../database/state";
import { DatabaseJobs } from "./database/database-jobs";
import { workerProcess } from "./database/worker-process";
import { inspectorOf } from "./drift/drift";
import { systemdScope, wallsOf } from "./releases/enclosure";
import { environmentsOnDisk } from "./releases/environments";
import { nginxFrontDoor } from "./front-door/front-door";
import { nginxIsStarting } from "./front-door/nginx-unit";
import { HealthWatch } from "./processes/health-watch";
import { thisHost } from "./drift/host-view";
import { MonitoringStore } from "../monitoring/state";
import { MonitoringKeeper } from "./monitoring/monitoring-keeper";
import { publisherProcess } from "./monitoring/publisher-process";
import { pathsOf } from "./paths";
import { pm2OfColours } from "./processes/pm2";
import { releasesOnDisk } from "./releases/prepare";
import { launcherProber } from "./processes/prober";
import { systemdProcesses } from "./processes/processes";
import { createConductorServer, createRefusingServer } from "./server";
import { httpSmokeTests } from "./releases/smoke";
import { openStore } from "./store";
import { Reserve } from "./system/reserve";

/** systemd's socket activation passes the first socket as this file descriptor. */
const ACTIVATED_SOCKET = 3;

/**
 * Writes that a full disk takes still, until somebody has made room: of the truth with its journal, which hold an operator's pages
 * and snippets, and of the route, which is one line.
 */
const TRUTH_RESERVE = { files: 8, bytes: 256 * 1024 };
const ROUTE_RESERVE = { files: 8, bytes: 4096 };

/** It keeps little, and a host may be small: megabytes of what lives long, and of what does not. */
const PUBLISHER_LIMITS = ["--max-old-space-size=96", "--max-semi-space-size=2", "--optimize-for-size"];

async function main(app: string): Promise<void> {
  // Goes to the journal, which adds the time.
  const log = (line: string): void => console.log(line);
  const paths = pathsOf(app);
  const reserves = [
    new Reserve(dirname(paths.site), TRUTH_RESERVE),
    new Reserve(dirname(paths.trafficFallback), ROUTE_RESERVE),
  ] as const;
  const [truthReserve, routeReserve] = reserves;
  const store = await openStore(paths.site, paths.journal, truthReserve.write).catch((error: unknown) => {
    // Every act is answered with the fault and the way out; a conductor that ended here would leave callers waiting.
    const fault = error instanceof Error ? error.message : String(error);
    log(fault);
    createRefusingServer(fault).listen({ fd: ACTIVATED_SOCKET });
    return null;
  });
  if (store === null) {
    return;
  }
  const frontDoor = nginxFrontDoor(paths, nginxIsStarting, routeReserve.write);
  const id = (flag: string): number => Number(execFileSync("id", [flag, paths.user], { encoding: "utf8" }));
  const account = { uid: id("-u"), gid: id("-g") };
  const environments = environmentsOnDisk(paths, account);
  const prober = launcherProber(paths, environments);
  const enclosure = systemdScope(`${app}-build`, account, wallsOf(paths));
  const pm2 = pm2OfColours(paths, systemdScope(`${app}-pm2`, account));
  const processes = systemdProcesses(app, paths, pm2);
  const smokeTests = httpSmokeTests(paths, environments);
  const releases = releasesOnDisk(app, { paths, account, enclosure, environments });
  const inspector = inspectorOf(thisHost(app, paths, account, frontDoor, pm2));
  const certificates = new CertificateKeeper(
    {
      store: new CertificateStore(paths.certificates),
      source: programsForCertificates(paths.acme),
      door: nginxCertificateDoor,
      now: () => new Date(),
    },
    paths,
  );
  const host = { store, frontDoor, processes, prober, releases, environments, smokeTests, inspector };
  const worker = workerProcess([process.execPath, paths.databaseWorker, app]);
  const database = new DatabaseJobs(worker, new DatabaseStore(paths.database), paths.databaseMark);
  const publisher = publisherProcess([process.execPath, ...PUBLISHER_LIMITS, paths.monitoringProgram, app]);
  const monitoring = new MonitoringKeeper(publisher, new MonitoringStore(paths.monitoring), log);
  const conductor = new Conductor(host, paths, certificates, database, monitoring);

  const recovered = conductor.recover(log);
  const server = createConductorServer(conductor, log);
  server.listen({ fd: ACTIVATED_SOCKET });
  log(`conducting ${app}, generation ${store.site.generation}`);
  for (const missing of await Promise.all(reserves.map((reserve) => reserve.fill()))) {
    if (missing !== null) log(`no reserve for a full disk: ${missing}`);
  }
  // At once: what is finished first may be built for an hour, and users are served meanwhile.
  await Promise.all([
    recovered,
    new HealthWatch(store, frontDoor, prober, log).run(pause),
    new CertificateWatch(certificates, store, log).run(pause),
  ]);
}

main(process.argv[2] ?? "").catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
