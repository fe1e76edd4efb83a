import { startLoad, type LoadRun } from "../load/run";
import { unannouncedCloses, type LoadReport, type LoadSegment } from "../load/report";
import type { SiteAddress } from "./visitor";

/** Requests a second of each protocol: well within what the sample and the machine bear. */
const RATE = 400;

/** Users of each protocol, each with its cookies: enough for 5 percent of them to be counted. */
const USERS = 1000;

/** The demo's visitors: users with keep-alive connections over HTTP/1.1 and HTTP/2 who send POST requests at a steady rate. */
export class SteadyTraffic {
  private constructor(private readonly runs: readonly LoadRun[]) {}

  /** Starts the load; it goes on until {@link SteadyTraffic.stop}. Throws when the site cannot be reached. */
  static async start({ address, domain, authority }: SiteAddress): Promise<SteadyTraffic> {
    const common = { address, host: domain, tls: { ca: authority }, users: USERS };
    const http1 = await startLoad({ ...common, protocol: "http1", rate: RATE, connections: 100 });
    try {
      const http2 = await startLoad({ ...common, protocol: "http2", rate: RATE, connections: 10 });
      return new SteadyTraffic([http1, http2]);
    } catch (error) {
      await http1.stop();
      throw error;
    }
  }

  /** Begins a new count. */
  async mark(label: string): Promise<void> {
    await Promise.all(this.runs.map((run) => run.mark(label)));
  }

  /** Waits until every user has been seen once more, and returns the counts since the last mark. */
  async observe(): Promise<Observation> {
    await Promise.all(this.runs.map((run) => run.afterRequests(USERS)));
    return observationOf(await Promise.all(this.runs.map((run) => run.snapshot())));
  }

  /** The counts since the last mark, as they are now. */
  async glance(): Promise<Observation> {
    return observationOf(await Promise.all(this.runs.map((run) => run.snapshot())));
  }

  /** Ends the load. Returns the counts of all of it. */
  async stop(): Promise<{ readonly total: Observation; readonly reports: readonly LoadReport[] }> {
    const reports = await Promise.all(this.runs.map((run) => run.stop()));
    return { total: observationOf(reports.map((report) => report.total)), reports };
  }
}

/** What the load saw in a while. */
export interface Observation {
  readonly sent: number;
  /** Requests without a right answer. */
  readonly lost: number;
  /** Connections that the server closed without a word, and HTTP/2 sessions that it ended by GOAWAY. */
  readonly closed: number;
  /** Share of the right answers by version, in percent. */
  readonly shares: Readonly<Record<string, number>>;
}

/** Adds up segments of several loads. Exported for its test. */
export function observationOf(segments: readonly LoadSegment[]): Observation {
  const sum = (count: (segment: LoadSegment) => number): number =>
    segments.reduce((total, segment) => total + count(segment), 0);
  const answers: Record<string, number> = {};
  for (const segment of segments) {
    for (const [version, count] of Object.entries(segment.answers.byVersion)) {
      answers[version] = (answers[version] ?? 0) + count;
    }
  }
  const all = Object.values(answers).reduce((total, count) => total + count, 0);
  return {
    sent: sum(({ sent }) => sent),
    lost: sum(({ failed }) => failed),
    closed: sum((segment) => unannouncedCloses(segment) + goaways(segment)),
    shares: Object.fromEntries(
      Object.entries(answers).map(([version, count]) => [version, (100 * count) / all]),
    ),
  };
}

function goaways(segment: LoadSegment): number {
  return Object.values(segment.connections.goaways).reduce((total, count) => total + count, 0);
}
