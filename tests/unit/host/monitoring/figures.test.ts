import fc from "fast-check";
import { countedSince, parseFrontDoor, requestFigures } from "../../../../host/monitoring/figures/front-door";
import type { Figure } from "../../../../host/monitoring/figures/figure";
import { addUp, percentile } from "../../../../host/monitoring/figures/percentile";
import { restartFigures, restartsIn } from "../../../../host/monitoring/figures/restarts";
import {
  fullness,
  parseCpu,
  parseDisks,
  parseMemory,
  parseNetwork,
  systemFigures,
  type SystemCounts,
} from "../../../../host/monitoring/figures/system";

const { default: metrics } = jest.requireActual<{
  default: { BOUNDS: number[]; text: (counts: Record<string, number>, users: number) => string };
}>("../../../../host/nginx/metrics.js");
const { BOUNDS } = metrics;

/** The bucket of a duration, as the front door has it. */
const bucketOf = (seconds: number): number => {
  const index = BOUNDS.findIndex((bound) => seconds <= bound);
  return index < 0 ? BOUNDS.length : index;
};
const durations = fc.array(fc.double({ min: 0.0001, max: 30, noNaN: true }), {
  minLength: 1,
  maxLength: 200,
});
const histogramOf = (all: readonly number[]): { bounds: number[]; counts: number[] } => {
  const counts = [...BOUNDS, Infinity].map(() => 0);
  for (const seconds of all) counts[bucketOf(seconds)]! += 1;
  return { bounds: BOUNDS, counts };
};

describe("a percentile", () => {
  it("is in the bucket of the duration that it is an estimate of", () => {
    fc.assert(
      fc.property(durations, fc.constantFrom(0.5, 0.95, 0.99, 1), (all, share) => {
        const exact = [...all].sort((a, b) => a - b)[Math.ceil(share * all.length) - 1]!;
        const bucket = bucketOf(exact);
        const estimate = percentile(histogramOf(all), share)!;
        // What is above the last bound is told as the last bound.
        expect(estimate).toBeGreaterThanOrEqual(BOUNDS[bucket - 1] ?? 0);
        expect(estimate).toBeLessThanOrEqual(BOUNDS[bucket] ?? BOUNDS.at(-1)!);
      }),
    );
  });

  it("never falls while its share rises, and does not lie outside of those of the parts", () => {
    fc.assert(
      fc.property(durations, durations, (one, other) => {
        const sum = addUp(histogramOf(one), histogramOf(other));
        const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(sum, share)!);
        expect(p50).toBeLessThanOrEqual(p95!);
        expect(p95).toBeLessThanOrEqual(p99!);
        const parts = [one, other].map((all) => percentile(histogramOf(all), 0.95)!);
        expect(p95).toBeGreaterThanOrEqual(Math.min(...parts) - 1e-9);
        expect(p95).toBeLessThanOrEqual(Math.max(...parts) + 1e-9);
      }),
    );
  });

  it("of nothing is none", () => {
    expect(percentile(histogramOf([]), 0.5)).toBeNull();
  });
});

describe("the front door's counts", () => {
  const text = (counts: Record<string, number>, users = 0): string => metrics.text(counts, users);
  const figuresOf = (counts: Record<string, number>, before: Record<string, number> = {}): Figure[] =>
    requestFigures(countedSince(parseFrontDoor(text(counts)), parseFrontDoor(text(before))));
  const valueOf = (figures: readonly Figure[], name: string, colour: string): number | undefined =>
    figures.find((one) => one.name === name && one.colour === colour)?.value;

  it("are read from the text that the front door writes", () => {
    const counts = parseFrontDoor(
      text(
        {
          "app_blue|2|0.004": 3,
          "app_blue_or_green|5|<=0.5": 1,
          "app_green|2|<=+Inf": 2,
          "door|d5|0.000": 4,
        },
        7,
      ),
    );
    expect(counts.requests).toEqual({
      blue: { "2xx": 3, "5xx": 1 },
      green: { "2xx": 2 },
      none: { "5xx": 4 },
    });
    expect(counts.durations.blue).toEqual({ bounds: BOUNDS, counts: [3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0] });
    expect(counts.activeUsers).toBe(7);
  });

  it("are those since the last look, and all of them after a restart of Nginx", () => {
    const figures = figuresOf(
      { "app_blue|2|0.004": 10, "app_green|2|0.004": 2 },
      { "app_blue|2|0.004": 4, "app_green|2|0.004": 5 },
    );
    expect(["blue", "green", "all"].map((colour) => valueOf(figures, "Requests", colour))).toEqual([6, 2, 8]);
  });

  it("of errors are in percent, the front door's own among those of all users", () => {
    const figures = figuresOf({ "app_blue|2|0.004": 97, "app_blue|5|0.004": 3, "door|d5|0.000": 100 });
    expect(valueOf(figures, "ErrorRate", "blue")).toBe(3);
    expect(valueOf(figures, "ErrorRate", "all")).toBe(51.5);
    expect(valueOf(figures, "ErrorRate", "green")).toBe(0);
  });

  it("have no latency without a request, and milliseconds with one", () => {
    const figures = figuresOf({ "app_blue|2|0.099": 100 });
    expect(valueOf(figures, "LatencyP50", "blue")).toBeCloseTo(75, 6);
    expect(valueOf(figures, "LatencyP99", "all")).toBeCloseTo(99.5, 6);
    expect(valueOf(figures, "LatencyP50", "green")).toBeUndefined();
  });

  it("of a front door that does not count users yet have none", () => {
    expect(parseFrontDoor(text({}).replace(/^front_door_active_users.*$/m, "")).activeUsers).toBeNull();
  });
});

describe("this host", () => {
  const stat = "cpu  100 5 50 800 20 3 2 20 90 0\ncpu0 100 5 50 800 20 3 2 20 90 0\nintr 1\n";

  it("is read from /proc", () => {
    // What guests ran is in the first field already.
    expect(parseCpu(stat)).toEqual({ busy: 180, total: 1000 });
    expect(parseMemory("MemTotal:        1000 kB\nMemFree:   10 kB\nMemAvailable:     250 kB\n")).toBe(75);
    const line = (name: string, read: number, written: number): string =>
      ` 259       0 ${name} 9 9 ${String(read)} 9 9 9 ${String(written)} 9 0 9 9`;
    const disks = [
      line("nvme0n1", 10, 20),
      line("nvme0n1p1", 10, 20),
      line("dm-0", 10, 20),
      line("sda", 1, 2),
    ];
    expect(parseDisks(`${disks.join("\n")}\n`, (name) => ["nvme0n1", "sda"].includes(name))).toEqual({
      read: 11 * 512,
      written: 22 * 512,
    });
    const dev =
      "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n" +
      "    lo:  77 1 0 0 0 0 0 0  77 1 0 0 0 0 0 0\n  eth0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n";
    expect(parseNetwork(dev)).toEqual({ received: 1000, sent: 2000 });
  });

  it("is as full as df says", () => {
    expect(fullness({ blocks: 100, bfree: 20, bavail: 15 })).toBeCloseTo((80 / 95) * 100);
    expect(fullness({ blocks: 0, bfree: 0, bavail: 0 })).toBe(0);
  });

  const counts = (change: Partial<SystemCounts> = {}): SystemCounts => ({
    boot: "one",
    cpu: { busy: 100, total: 1000 },
    disk: { read: 0, written: 0 },
    network: { received: 0, sent: 0 },
    ...change,
  });

  it("tells what was done since the last look, and nothing over a boot", () => {
    const now = counts({ cpu: { busy: 150, total: 1200 }, disk: { read: 5, written: 6 } });
    expect(systemFigures(now, counts()).map(({ name, value }) => [name, value])).toEqual([
      ["CpuUtilization", 25],
      ["DiskReadBytes", 5],
      ["DiskWriteBytes", 6],
      ["NetworkInBytes", 0],
      ["NetworkOutBytes", 0],
    ]);
    expect(systemFigures({ ...now, boot: "two" }, counts())).toEqual([]);
  });
});

describe("restarts", () => {
  it.each([
    ["more", { blue: 3 }, { blue: 1 }, 2],
    ["another PM2, which began anew", { blue: 1 }, { blue: 3 }, 1],
    ["a colour that was not there", { blue: 1, green: 2 }, { blue: 1 }, 2],
    ["a colour that is gone", {}, { blue: 3 }, 0],
  ])("%s", (_, now, before, value) => {
    expect(restartFigures(now, before).map((one) => one.value)).toEqual([value]);
  });

  it.each([
    [[{ pm2_env: { restart_time: 2 } }, { pm2_env: { restart_time: 1 } }], 3],
    [[], 0],
    [[{ pm2_env: { restart_time: "2" } }], null],
    [[null], null],
    ["no list", null],
  ])("are summed, and what is no list is none: %j", (list, sum) => {
    expect(restartsIn(list)).toBe(sum);
  });
});
