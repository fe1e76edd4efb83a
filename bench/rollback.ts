/**
 * How fast is the way back? At 50 % under load the candidate is taken off its users: by an act, how long requests still
 * reach it; by an `up`, against one that changes nothing.
 */
import { monotonicNow } from "../sandbox/load/clock";
import { type LoadRun, startLoad } from "../sandbox/load/run";
import type { Site } from "../sandbox/site";
import { type BenchResult, progress, runBench } from "./result";
import { withBenchSite } from "./site";
import { SshConnection } from "./ssh";
import { median, percentile } from "./statistics";
import { timed } from "./timed";

const ACTS = 40;
const UPS = 15;
const RATE = 1000;
const CONNECTIONS = 100;
/** No request may reach the candidate later than this after the host got the act. */
const LATEST_MS = 100;

interface Measures {
  /** From sending the act to the last request that was sent to the candidate; 0 where none was. */
  readonly lastToCandidateMs: number[];
  readonly noChangeMs: number[];
  readonly rollbackMs: number[];
  /** Requests of the whole run, and those that failed. */
  sent: number;
  failed: number;
}

async function measureAct(ssh: SshConnection, load: LoadRun): Promise<number> {
  const act = (weight: number): Promise<string> =>
    ssh.run(
      "/usr/local/bin/vehicleservice-conductor act",
      JSON.stringify({ act: "traffic", stable: "blue", weight }),
    );
  await act(50);
  await load.afterRequests(RATE / 2);
  const begunMs = monotonicNow();
  await act(0);
  // Each user asks again.
  await load.afterRequests(2 * CONNECTIONS);
  return ((await load.lastSentTo("green", begunMs)) ?? begunMs) - begunMs;
}

async function measureUp(site: Site, measures: Measures): Promise<void> {
  await site.project.setConfig("canaryWeight", "50");
  await site.project.up();
  measures.noChangeMs.push(await timed(() => site.project.up(["--expect-no-changes"])));
  await site.project.setConfig("canaryWeight", "0");
  measures.rollbackMs.push(await timed(() => site.project.up()));
}

async function measureAll(site: Site): Promise<Measures> {
  const measures: Measures = { lastToCandidateMs: [], noChangeMs: [], rollbackMs: [], sent: 0, failed: 0 };
  const { address } = site.host;
  const load = await startLoad({
    ...{ protocol: "http1", address, host: site.domain, tls: { ca: site.authority() } },
    ...{ rate: RATE, connections: CONNECTIONS },
  });
  const ssh = await SshConnection.connect(site.host);
  try {
    progress(`${ACTS} acts`);
    for (let round = 0; round < ACTS; round += 1)
      measures.lastToCandidateMs.push(await measureAct(ssh, load));
  } finally {
    ssh.close();
    const { total } = await load.stop();
    Object.assign(measures, { sent: total.sent, failed: total.failed });
  }
  progress(`${UPS} times \`up\``);
  for (let round = 0; round < UPS; round += 1) await measureUp(site, measures);
  return measures;
}

async function main(): Promise<BenchResult> {
  const measures = await withBenchSite("bench-rollback", measureAll);
  const { lastToCandidateMs, noChangeMs, rollbackMs, sent, failed } = measures;
  const row = (name: string, values: readonly number[]): string[] => [
    name,
    String(values.length),
    median(values).toFixed(0),
    percentile(values, 95).toFixed(0),
    Math.max(...values).toFixed(0),
  ];
  return {
    name: "rollback",
    headings: ["what", "times", "median ms", "p95 ms", "longest ms"],
    rows: [
      row("from the act to the last request that the candidate got", lastToCandidateMs),
      row("`up` without a change", noChangeMs),
      row("`up` from 50 % to 0", rollbackMs),
    ],
    targets: [
      {
        what: `last request to the candidate after the act, longest / ${LATEST_MS} ms`,
        ratio: Math.max(...lastToCandidateMs) / LATEST_MS,
        atMost: 1,
      },
      {
        what: "rollback `up` / `up` without a change, medians",
        ratio: median(rollbackMs) / median(noChangeMs),
        atMost: 1.5,
      },
      { what: `requests failed of ${sent}`, ratio: failed, atMost: 0 },
    ],
    measured: measures,
  };
}

void runBench(main);
