/**
 * How long after the command do requests still go to the old colour? Our weight change against a written file, `nginx
 * -t` and a reload, on one host in one run, in turns, under load.
 */
import { monotonicNow } from "../sandbox/load/clock";
import type { LoadOptions } from "../sandbox/load/options";
import { type LoadSegment, unannouncedCloses } from "../sandbox/load/report";
import { type LoadRun, startLoad } from "../sandbox/load/run";
import type { Site } from "../sandbox/site";
import { renderPlainSite } from "./plain-site";
import { type BenchResult, progress, runBench } from "./result";
import { withBenchSite } from "./site";
import { SshConnection } from "./ssh";
import { median, percentile } from "./statistics";

const ROUNDS = 8;
const CHANGES_A_ROUND = 5;
const PLAIN_PORT = 8443;
const LONGEST_CHANGE_MS = 30_000;
const RATE = 1000;
const CONNECTIONS = 100;

/** A way to send all users to green (weight 100) or back to blue (weight 0). */
interface Way {
  readonly name: string;
  readonly port: number;
  change(weight: number): Promise<unknown>;
}

/** One change that was measured. */
interface Change {
  /** From sending the command until its result was there. */
  readonly commandMs: number;
  /** From sending the command until the last request to the old colour was sent; 0 where none was. */
  readonly lastOldMs: number;
  readonly sent: number;
  readonly failed: number;
  /** Connections that the server ended, announced (`Connection: close`, GOAWAY) or not. */
  readonly ended: number;
}

function ways(site: Site, ssh: SshConnection): readonly Way[] {
  const tls = {
    certificate: "/etc/ssl/vehicleservice/fullchain.pem",
    key: "/etc/ssl/vehicleservice/privkey.pem",
  };
  const file = "/etc/nginx/conf.d/plain.conf";
  return [
    {
      name: "`traffic` act",
      port: 443,
      change: (weight) =>
        ssh.run(
          "/usr/local/bin/vehicleservice-conductor act",
          JSON.stringify({ act: "traffic", stable: "blue", weight }),
        ),
    },
    {
      name: "file, `nginx -t`, reload",
      port: PLAIN_PORT,
      change: (weight) =>
        ssh.run(
          `cat > ${file} && nginx -t -q && nginx -s reload`,
          renderPlainSite({ port: PLAIN_PORT, domain: site.domain, ...tls, weight }),
        ),
    },
  ];
}

/**
 * Waits until every user's last answer came from the new colour: none of them goes back on its own.
 * @returns the counters since the change began
 */
async function everyoneOn(load: LoadRun, colour: string, sinceMs: number): Promise<LoadSegment> {
  for (;;) {
    await load.afterRequests(CONNECTIONS / 2);
    const segment = await load.snapshot();
    if (segment.users.byColour[colour] === CONNECTIONS) return segment;
    if (monotonicNow() - sinceMs > LONGEST_CHANGE_MS) {
      const found = JSON.stringify(segment.users.byColour);
      throw new Error(
        `${segment.label}: after ${LONGEST_CHANGE_MS / 1000} s users are on ${found}, not all on ${colour}`,
      );
    }
  }
}

function endedConnections(segment: LoadSegment): number {
  const goaways = Object.values(segment.connections.goaways).reduce((sum, count) => sum + count, 0);
  return unannouncedCloses(segment) + segment.connections.closedAnnounced + goaways;
}

async function measure(load: LoadRun, way: Way, weight: number): Promise<Change> {
  // Whatever the change before has stirred up has to be over.
  await load.afterRequests(RATE / 2);
  await load.mark(`${way.name} ${weight}`);
  const [before, after] = weight === 100 ? ["blue", "green"] : ["green", "blue"];
  const begunMs = monotonicNow();
  await way.change(weight);
  const commandMs = monotonicNow() - begunMs;
  const segment = await everyoneOn(load, after, begunMs);
  return {
    commandMs,
    lastOldMs: ((await load.lastSentTo(before, begunMs)) ?? begunMs) - begunMs,
    sent: segment.sent,
    failed: segment.failed,
    ended: endedConnections(segment),
  };
}

async function measureRound(way: Way, target: LoadOptions, round: number): Promise<Change[]> {
  const load = await startLoad({ ...target, port: way.port });
  try {
    const changes: Change[] = [];
    for (let number = 0; number < CHANGES_A_ROUND; number += 1) {
      const before = round * CHANGES_A_ROUND + number;
      changes.push(await measure(load, way, before % 2 === 0 ? 100 : 0));
    }
    return changes;
  } finally {
    await load.stop();
  }
}

async function measureAll(site: Site, protocol: LoadOptions["protocol"]): Promise<Map<Way, Change[]>> {
  const ssh = await SshConnection.connect(site.host);
  try {
    const measured = new Map<Way, Change[]>(ways(site, ssh).map((way) => [way, []]));
    const { address } = site.host;
    const tls = { ca: site.authority() };
    const target = { protocol, address, host: site.domain, tls, rate: RATE, connections: CONNECTIONS };
    for (const way of measured.keys()) await way.change(0);
    for (let round = 0; round < ROUNDS; round += 1) {
      progress(`round ${round + 1} of ${ROUNDS}`);
      for (const [way, changes] of measured) changes.push(...(await measureRound(way, target, round)));
    }
    return measured;
  } finally {
    ssh.close();
  }
}

function row(name: string, changes: readonly Change[]): string[] {
  const pair = (values: readonly number[]): string =>
    `${median(values).toFixed(0)} / ${percentile(values, 95).toFixed(0)}`;
  const sum = (pick: (change: Change) => number): number =>
    changes.reduce((total, change) => total + pick(change), 0);
  return [
    name,
    String(changes.length),
    pair(changes.map(({ commandMs }) => commandMs)),
    pair(changes.map(({ lastOldMs }) => lastOldMs)),
    `${sum(({ failed }) => failed)} of ${sum(({ sent }) => sent)}`,
    String(sum(({ ended }) => ended)),
  ];
}

async function main(): Promise<BenchResult> {
  const protocol = process.argv.includes("--http2") ? "http2" : "http1";
  const measured = await withBenchSite("bench-weight", (site) => measureAll(site, protocol));
  const [ours = [], reload = []] = [...measured.values()];
  const p95 = (changes: readonly Change[]): number =>
    percentile(
      changes.map(({ lastOldMs }) => lastOldMs),
      95,
    );
  return {
    name: `weight-change ${protocol}`,
    headings: [
      "way",
      "changes",
      "command ms, median / p95",
      "last request to the old colour ms, median / p95",
      "failed",
      "connections ended",
    ],
    rows: [...measured].map(([{ name }, changes]) => row(name, changes)),
    targets: [
      {
        what: "last request to the old colour, p95, ours / reload",
        ratio: p95(ours) / p95(reload),
        // Over HTTP/2 a reload is quick since it does not wait for requests on their way: it loses them.
        atMost: protocol === "http1" ? 0.25 : null,
      },
    ],
    measured: Object.fromEntries([...measured].map(([{ name }, changes]) => [name, changes])),
  };
}

void runBench(main);
