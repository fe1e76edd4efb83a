/**
 * The publisher, a child of the conductor's: `node monitoring.js APP`. The settings come as the first line of standard input;
 * it ends when that does. What it tells of itself goes to standard output, for people to standard error.
 *
 * It runs as root, as the database's worker does: the front door's control, the database's settings, the journal and the host's
 * role (the metadata service answers root alone) are root's. It takes no orders from anybody but the conductor, and
 * listens nowhere.
 */
import { writeFileSync } from "node:fs";
import { hostname, setPriority } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { pathsOf } from "../conductor/paths";
import { Complaints } from "./complaints";
import { cloudWatchLogs } from "./logs/cloudwatch-logs";
import { logsOfHost, masker, secretsOfHost, type Secrets } from "./logs/host-logs";
import { Positions } from "./logs/positions";
import { Shipper } from "./logs/shipper";
import { Monitor } from "./monitor";
import type { MonitoringInput, MonitoringOutput, MonitoringSettings } from "./protocol";
import { Publisher } from "./publisher";
import { sourcesOfHost } from "./sources";
import { Spool } from "./spool";
import { MonitoringStore } from "./state";

/** Users' requests go before what is told of them, for processors and for memory. */
const NICENESS = 10;
const OOM_SCORE = "900";

async function main(app: string, settings: MonitoringSettings): Promise<void> {
  const paths = pathsOf(app);
  const store = new MonitoringStore(paths.monitoring);
  const write = (output: MonitoringOutput): void => void process.stdout.write(`${JSON.stringify(output)}\n`);
  const complaints = new Complaints((line) => console.error(line));
  const spool = await Spool.open(store.spool, complaints);
  let secrets: readonly Secrets[] = [];
  const shipper = new Shipper({
    settings,
    hostName: hostname(),
    sources: logsOfHost(app, paths),
    positions: await Positions.open(store.positions),
    api: cloudWatchLogs(settings),
    mask: masker(() => secrets),
    refreshMask: async () => {
      secrets = await secretsOfHost(paths);
    },
    complaints,
  });
  const monitor = new Monitor({
    intervalSeconds: settings.intervalSeconds,
    payments: settings.payments,
    sources: sourcesOfHost(app, paths, settings, complaints),
    spool,
    publisher: new Publisher(settings, spool, complaints),
    shipper,
    complaints,
    now: Date.now,
    tell: (status) => write({ status }),
  });
  write({ firstTry: await monitor.firstTry((waitingFor) => write({ waitingFor })) });
  await monitor.run(pause);
}

function stepBack(): void {
  setPriority(NICENESS);
  writeFileSync("/proc/self/oom_score_adj", OOM_SCORE);
}

stepBack();
let begun = false;
createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (begun) return;
    begun = true;
    const { settings } = JSON.parse(line) as MonitoringInput;
    main(process.argv[2] ?? "", settings).catch((error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      process.exit(1);
    });
  })
  .on("close", () => process.exit(0));
