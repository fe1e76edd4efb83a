import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { Complaints } from "../../../../host/monitoring/complaints";
import type { Interval } from "../../../../host/monitoring/figures/figure";
import type { Baseline } from "../../../../host/monitoring/figures/measure";
import type { MonitoringSettings } from "../../../../host/monitoring/protocol";
import { Publisher, type PutValues, valuesOf } from "../../../../host/monitoring/publisher";
import { endNear, untilNext } from "../../../../host/monitoring/schedule";
import { Spool } from "../../../../host/monitoring/spool";
import { removeDirectories, temporaryDirectory } from "../support/fixtures";

afterAll(removeDirectories);

const NOW = Date.parse("2026-05-05T05:05:00Z");
const told: string[] = [];
const complaints = (): Complaints => new Complaints((line) => told.push(line));
beforeEach(() => void told.splice(0));

const interval = (n: number, figures = 1): Interval => ({
  at: NOW + n * 60_000,
  figures: Array.from({ length: figures }, () => ({
    name: "N",
    unit: "Count" as const,
    value: n,
    colour: null,
  })),
});
const baseline = (n: number): Baseline => ({
  at: NOW + n * 60_000,
  frontDoor: null,
  system: null,
  restarts: null,
  databaseClock: String(n),
});
const settings: MonitoringSettings = {
  ...{ namespace: "Garage", stack: "test", intervalSeconds: 60, region: "eu-central-1" },
  ...{ endpoint: null, authority: null, credentials: null, business: {}, logGroups: {} },
};
const refusal = (name: string): Error =>
  Object.assign(new Error("what was sent"), { name, $metadata: { httpStatusCode: 400 } });

async function spoolWith(count: number, at = temporaryDirectory(), figures = 1): Promise<Spool> {
  const spool = await Spool.open(at, complaints());
  for (let n = 1; n <= count; n++) await spool.add(interval(n, figures), baseline(n));
  return spool;
}

const publisher = (spool: Spool, put: PutValues): Publisher =>
  new Publisher(settings, spool, complaints(), put, () => new Date(NOW));

describe("values", () => {
  it.each([
    [60, undefined],
    [300, undefined],
    [59, 1],
    [2, 1],
  ])("every %d seconds are kept apart by %p", (intervalSeconds, resolution) => {
    const values = valuesOf(interval(1), { stack: "test", intervalSeconds });
    expect(values.map(({ StorageResolution }) => StorageResolution)).toEqual([resolution]);
  });
});

describe("intervals that wait", () => {
  it("are there for the next process, with where the next one begins", async () => {
    const at = temporaryDirectory();
    await spoolWith(3, at);
    const next = await Spool.open(at, complaints());
    expect(next.pending).toBe(3);
    expect(next.baseline).toEqual(baseline(3));
    expect((await next.oldest(1000, NOW)).map((one) => one.interval)).toEqual(
      [1, 2, 3].map((n) => interval(n)),
    );
  });

  it("leave behind where the next one begins when they go", async () => {
    const at = temporaryDirectory();
    const spool = await spoolWith(2, at);
    await spool.sent((await spool.oldest(1000, NOW)).map(({ number }) => number));
    expect(readdirSync(at)).toEqual(["baseline"]);
    const next = await Spool.open(at, complaints());
    expect([next.pending, next.baseline]).toEqual([0, baseline(2)]);
    await next.add(interval(3), baseline(3));
    // A number is never given twice, or an older file could be taken for the newest.
    expect(readdirSync(at).sort()).toEqual(["000000000003.json", "baseline"]);
  });

  it("are not too many: the oldest go, and are counted", async () => {
    const at = temporaryDirectory();
    const spool = await Spool.open(at, complaints(), 2);
    for (let n = 1; n <= 4; n++) await spool.add(interval(n), baseline(n));
    expect((await spool.oldest(1000, NOW)).map((one) => one.interval.at)).toEqual(
      [3, 4].map((n) => interval(n).at),
    );
    expect([spool.pending, spool.dropped, readdirSync(at).length]).toEqual([2, 2, 2]);
  });

  it("are given up where they are too old for the API, or no intervals", async () => {
    const at = temporaryDirectory();
    const spool = await spoolWith(2, at);
    writeFileSync(join(at, "000000000001.json"), "{");
    expect(await spool.oldest(1000, NOW + 14 * 24 * 3600 * 1000)).toEqual([]);
    expect(spool.dropped).toBe(2);
  });

  it("are kept in memory where the disk takes nothing", async () => {
    const at = join(temporaryDirectory(), "spool");
    const spool = await spoolWith(1, at);
    rmSync(at, { recursive: true });
    await spool.add(interval(2), baseline(2));
    expect(told).toEqual([expect.stringMatching(/^keeping intervals: ENOENT/)]);
    expect((await spool.oldest(1000, NOW)).map((one) => one.interval.at)).toEqual([interval(2).at]);
    for (let n = 3; n <= 100; n++) await spool.add(interval(n), baseline(n));
    expect(spool.pending).toBe(60);
    mkdirSync(at);
    await spool.add(interval(101), baseline(101));
    expect(readdirSync(at)).toHaveLength(1);
  });
});

describe("publishing", () => {
  it("puts no more values at once than the API takes, the oldest first, and each once", async () => {
    const spool = await spoolWith(5, temporaryDirectory(), 400);
    const put: number[][] = [];
    expect(
      await publisher(spool, (_, values) => {
        put.push(values.map(({ Timestamp }) => Timestamp!.getTime()));
        return Promise.resolve();
      }).publish(),
    ).toBeNull();
    expect(put.map((times) => times.length)).toEqual([800, 800, 400]);
    expect(put.flat()).toEqual([...put.flat()].sort((a, b) => a - b));
    expect(spool.pending).toBe(0);
  });

  it("stops where the API does not answer, and says it once", async () => {
    const spool = await spoolWith(3);
    const down = publisher(spool, () =>
      Promise.reject(Object.assign(new Error("no"), { code: "ECONNREFUSED" })),
    );
    expect((await down.publish())?.reason).toMatch(
      /namespace Garage: ECONNREFUSED: no\. Check the region eu-central-1/,
    );
    await down.publish();
    expect([told.length, spool.pending, down.lastPublished]).toEqual([1, 3, null]);
  });

  it("gives up only what the API refuses for what it is", async () => {
    const spool = await spoolWith(3);
    const taken: number[] = [];
    const picky = publisher(spool, (_, values) => {
      if (values.some(({ Value }) => Value === 2))
        return Promise.reject(refusal("InvalidParameterValueException"));
      taken.push(...values.map(({ Value = NaN }) => Value));
      return Promise.resolve();
    });
    expect(await picky.publish()).toBeNull();
    expect([taken, spool.dropped, spool.pending]).toEqual([[1, 3], 1, 0]);
  });
});

describe("intervals", () => {
  it("end at whole multiples of their length, however the clock was put right", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 41 }),
        fc.constantFrom(1000, 2000, 60_000),
        (now, length) => {
          const rest = untilNext(now, length);
          expect(rest).toBeGreaterThanOrEqual(length / 4);
          expect(rest).toBeLessThan(length * 1.25);
          expect((now + rest) % length).toBe(0);
          // A timer is late or early by a little.
          expect(endNear(now + rest + 7, length)).toBe(now + rest);
          expect(endNear(now + rest - 7, length)).toBe(now + rest);
        },
      ),
    );
  });
});
