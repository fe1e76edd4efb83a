import { FAILURES, type Failure, type LoadReport, type LoadSegment } from "../../../sandbox/load/report";
import type { LoadOptions } from "../../../sandbox/load/options";
import { startLoad, type LoadRun } from "../../../sandbox/load/run";
import { waitFor } from "../../../sandbox/processes";

/** What users of both protocols send; by default what the load client sends by default: POSTs to `/api/orders`. */
export interface UsersOptions extends Pick<LoadOptions, "method" | "path" | "timeoutMs"> {
  /** Requests a second over HTTP/1.1; default 850, which with {@link UsersOptions.http2} is what the site is promised to bear. */
  readonly http1?: number;
  /** Requests a second over HTTP/2; default 150. */
  readonly http2?: number;
  /** Users of each protocol, who keep their cookies; default 100. */
  readonly users?: number;
}

/** Whether an answer comes is what is tried, not how soon it does on a busy machine, nor on one that stands still for seconds. */
export const TIMEOUT_MS = 60_000;

/** Longest wait for an answer to each user, in seconds. */
const ANSWERS_SECONDS = 120;

/** HTTP/1.1 connections that are none too many: each has a request every 125 ms, and so is never idle for long. */
const REQUESTS_ON_CONNECTION = 8;

/** Users of both protocols at a steady rate, on connections that they keep. Call {@link Users.stop} at the end. */
export class Users {
  private constructor(
    /** HTTP/1.1, one request at a time on each connection. */
    readonly http1: LoadRun,
    /** HTTP/2, many at a time on few connections. */
    readonly http2: LoadRun,
  ) {}

  /** Starts them; resolves once requests are being sent. */
  static async start(
    target: Pick<LoadOptions, "address" | "host" | "tls">,
    { http1: rate = 850, http2: rate2 = 150, users = 100, ...options }: UsersOptions = {},
  ): Promise<Users> {
    const common = { ...target, timeoutMs: TIMEOUT_MS, ...options, users };
    const connections = Math.min(users, Math.max(1, Math.round(rate / REQUESTS_ON_CONNECTION)));
    const http1 = await startLoad({ ...common, protocol: "http1", rate, connections });
    const sessions = Math.max(4, Math.ceil(users / 100));
    try {
      const http2 = await startLoad({ ...common, protocol: "http2", rate: rate2, connections: sessions });
      return new Users(http1, http2);
    } catch (error) {
      await http1.stop();
      throw error;
    }
  }

  private all<T>(ask: (run: LoadRun) => Promise<T>): Promise<T[]> {
    return Promise.all([this.http1, this.http2].map(ask));
  }

  /** Starts a new segment of each protocol. */
  async mark(label: string): Promise<void> {
    await this.all((run) => run.mark(label));
  }

  /** Waits until so many more requests of each protocol have ended. */
  async afterRequests(count: number): Promise<void> {
    await this.all((run) => run.afterRequests(count));
  }

  /** The counts since the last mark, HTTP/1.1 first. */
  snapshot(): Promise<LoadSegment[]> {
    return this.all((run) => run.snapshot());
  }

  /** Ends it; the reports, HTTP/1.1 first. Later calls give the same. */
  stop(): Promise<LoadReport[]> {
    return this.all((run) => run.stop());
  }
}

/**
 * Waits until each of so many users has an answer since the last mark: they take turns, and on a busy machine some wait for theirs.
 * @param requests Looks once after so many requests each.
 * @returns the counts since the mark
 */
export function answersOfAll(run: LoadRun, users: number, requests: number): Promise<LoadSegment> {
  return waitFor("an answer to each user", ANSWERS_SECONDS, async () => {
    await run.afterRequests(requests);
    const segment = await run.snapshot();
    const answered = Object.values(segment.users.byColour).reduce((sum, count) => sum + count, 0);
    return answered === users ? segment : undefined;
  });
}

/**
 * What users lost: the first few of each kind of failure, but for kinds that are meant to happen; none where nobody lost
 * anything.
 *
 * Where a suite reloads Nginx, `refused` is such a kind: a reload ends HTTP/2 sessions and says which requests it did not
 * process (REFUSED_STREAM, or a GOAWAY before them). By the protocol clients send those again by themselves, POSTs too;
 * the load client repeats nothing.
 */
export function lossesIn({ incidents }: LoadSegment, meant: readonly Failure[] = []): readonly string[] {
  const failures: readonly string[] = FAILURES.filter((failure) => !meant.includes(failure));
  return incidents
    .filter(({ kind }) => failures.includes(kind))
    .map(({ kind, detail }) => `${kind}: ${detail}`);
}

/** Names of the colours, or versions, that answered users of either protocol, in order. */
export function answeredBy(
  segments: readonly LoadSegment[],
  by: "byColour" | "byVersion",
): readonly string[] {
  return [...new Set(segments.flatMap(({ answers }) => Object.keys(answers[by])))].sort();
}
