import { COLOURS, type Colour } from "../../conductor/protocol";
import { AUDIENCES, METRICS, type Audience } from "../protocol";
import { increase } from "./counters";
import { addUp, percentile, type Histogram } from "./percentile";
import { figure, type Figure } from "./figure";

/** What the front door counted since it was started. */
export interface FrontDoorCounts {
  /** Ended requests by the class of their answer, such as `5xx`; `none`: those that the front door answered itself. */
  readonly requests: Readonly<Record<Colour | "none", Readonly<Record<string, number>>>>;
  readonly durations: Readonly<Record<Colour, Histogram>>;
  /** Different users in the last minutes; null where the front door does not count them yet. */
  readonly activeUsers: number | null;
}

const REQUESTS = /^front_door_requests_total\{colour="(blue|green|none)",class="(\w+)"\} (\S+)$/gm;
const BUCKETS = /^front_door_request_duration_seconds_bucket\{colour="(blue|green)",le="([^"]+)"\} (\S+)$/gm;
const USERS = /^front_door_active_users (\S+)$/m;

/** Reads what the front door tells as Prometheus text (`nginx/metrics.js`). */
export function parseFrontDoor(text: string): FrontDoorCounts {
  const requests: Record<Colour | "none", Record<string, number>> = { blue: {}, green: {}, none: {} };
  for (const [, colour, kind = "", count] of text.matchAll(REQUESTS)) {
    requests[colour as Colour | "none"][kind] = Number(count);
  }
  const users = USERS.exec(text)?.[1];
  const durations = { blue: histogramOf(text, "blue"), green: histogramOf(text, "green") };
  return { requests, durations, activeUsers: users === undefined ? null : Number(users) };
}

/** Prometheus' buckets hold all that is below their bound. */
function histogramOf(text: string, colour: Colour): Histogram {
  const bounds: number[] = [];
  const counts: number[] = [];
  let below = 0;
  for (const [, of, bound, count] of text.matchAll(BUCKETS)) {
    if (of !== colour) continue;
    if (bound !== "+Inf") bounds.push(Number(bound));
    counts.push(Number(count) - below);
    below = Number(count);
  }
  return { bounds, counts };
}

/** What was counted between two looks. The users are those of the second. */
export function countedSince(now: FrontDoorCounts, before: FrontDoorCounts): FrontDoorCounts {
  const requestsOf = (of: Colour | "none"): Record<string, number> =>
    Object.fromEntries(
      Object.entries(now.requests[of]).map(([kind, count]) => [
        kind,
        increase(count, before.requests[of][kind] ?? 0),
      ]),
    );
  const durationsOf = (colour: Colour): Histogram => {
    const { bounds, counts } = now.durations[colour];
    return {
      bounds,
      counts: counts.map((count, index) => increase(count, before.durations[colour].counts[index] ?? 0)),
    };
  };
  return {
    requests: { blue: requestsOf("blue"), green: requestsOf("green"), none: requestsOf("none") },
    durations: { blue: durationsOf("blue"), green: durationsOf("green") },
    activeUsers: now.activeUsers,
  };
}

/** What is published of the requests of an interval ({@link countedSince}). */
export function requestFigures(counted: FrontDoorCounts): Figure[] {
  return AUDIENCES.flatMap((audience) => {
    const answers = answersTo(counted, audience);
    const total = answers.reduce((sum, [, count]) => sum + count, 0);
    const failed = answers.reduce((sum, [kind, count]) => (kind === "5xx" ? sum + count : sum), 0);
    const latencies = [
      [METRICS.latencyP50, 0.5],
      [METRICS.latencyP95, 0.95],
      [METRICS.latencyP99, 0.99],
    ] as const;
    const histogram = durationsOf(counted, audience);
    return [
      figure(METRICS.requests, total, audience),
      figure(METRICS.errorRate, total === 0 ? 0 : (failed / total) * 100, audience),
      ...latencies.flatMap(([metric, share]) => {
        const seconds = percentile(histogram, share);
        return seconds === null ? [] : [figure(metric, seconds * 1000, audience)];
      }),
    ];
  });
}

/** All users got the front door's own answers, too: a closed site is one that answers 503. */
function answersTo({ requests }: FrontDoorCounts, audience: Audience): [string, number][] {
  const colours = audience === "all" ? ([...COLOURS, "none"] as const) : [audience];
  return colours.flatMap((colour) => Object.entries(requests[colour]));
}

function durationsOf({ durations }: FrontDoorCounts, audience: Audience): Histogram {
  return audience === "all" ? addUp(durations.blue, durations.green) : durations[audience];
}
