import fc from "fast-check";
import type { Alarm, AlarmLimits } from "../../../components/alarm-definition";
import { alarmsOf } from "../../../components/alarms";
import { monitoring } from "../../../config/schema/monitoring";
import { endNear, untilNext } from "../../../host/monitoring/schedule";
import { type AlarmState, decide, rangeOf } from "../../../sandbox/aws/alarms/decide";

/*
 * What alarms about silence say of a new stack, second by second: those that are made once the first whole set of values was there for a
 * period. CloudWatch counts the periods from before an alarm was there, and the publisher begins anywhere in one.
 */

const NOON = Date.parse("2026-05-05T12:00:00Z");

/** When the host publishes whole sets of values: at the ends of its intervals; the first of all, at once, is not whole. */
function publications(start: number, intervalSeconds: number, count: number): number[] {
  const length = intervalSeconds * 1000;
  const ends: number[] = [];
  for (let now = start; ends.length < count; ends.push(endNear(now, length))) now += untilNext(now, length);
  return ends;
}

/** State of an alarm after each second of its life. */
function statesOf(alarm: Alarm, from: number, to: number, values: readonly number[]): AlarmState[] {
  const periodMs = alarm.periodSeconds * 1000;
  const rule = {
    ...{ comparison: alarm.comparison, threshold: alarm.threshold, treatMissingData: alarm.missing },
    ...{ evaluationPeriods: alarm.periods, datapointsToAlarm: alarm.periods },
  };
  const count = rangeOf(rule);
  const states: AlarmState[] = [];
  for (let now = from; now <= to; now += 1000) {
    const end = Math.floor(now / periodMs) * periodMs;
    const points = Array.from({ length: count }, (_, index) => {
      const begin = end - (count - index) * periodMs;
      return values.filter((at) => at >= begin && at < begin + periodMs && at <= now).length || null;
    });
    states.push(decide(rule, points, states.at(-1) ?? "INSUFFICIENT_DATA").state);
  }
  return states;
}

function silenceOf(limits: AlarmLimits, intervalSeconds: number): Alarm[] {
  const site = {
    app: "garage",
    logs: "/garage/live",
    hasDatabase: true,
    webhookPath: "/hook",
    intervalSeconds,
  };
  return alarmsOf(limits, site).filter(({ missing }) => missing === "breaching");
}

const defaults = monitoring.parse({}).alarms;
const quick = { periodSeconds: 10, periods: 3 };

it.each([
  [60, defaults],
  [10, defaults],
  [2, { ...defaults, hostSilent: quick, figuresMissing: quick }],
  [90, { ...defaults, hostSilent: { periodSeconds: 180, periods: 3 } }],
] as const)(
  "a first `up` is told nothing of, at a value every %d s, wherever in a minute it begins",
  (every, limits) => {
    const alarms = silenceOf(limits, every);
    const longest = Math.max(...alarms.map(({ periodSeconds }) => periodSeconds));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 360_000 }), (offset) => {
        const values = publications(NOON + offset, every, 1 + Math.ceil(1800 / every));
        const made = values[0]! + longest * 1000;
        for (const alarm of alarms) {
          const states = statesOf(alarm, made, values.at(-1)!, values);
          expect([alarm.name, ...new Set(states)]).toEqual([alarm.name, "OK"]);
        }
      }),
      { numRuns: 12 },
    );
  },
);

it("made as soon as the host publishes they would page, and this test sees it", () => {
  const values = publications(NOON + 20_000, 60, 30);
  for (const alarm of silenceOf(defaults, 60))
    expect(statesOf(alarm, NOON + 21_000, values.at(-1)!, values)[0]).toBe("ALARM");
});

it("silence is told once it lasted as long as asked for, and three minutes later at the most", () => {
  const values = publications(NOON, 60, 30);
  const last = values.at(-1)!;
  for (const [name, minutes] of [
    ["host-silent", 3],
    ["host-figures-missing", 15],
  ] as const) {
    const alarm = silenceOf(defaults, 60).find((one) => one.name === name)!;
    const lasted = statesOf(alarm, last, last + 3600_000, values).indexOf("ALARM") / 60;
    expect(lasted).toBeGreaterThanOrEqual(minutes);
    expect(lasted).toBeLessThanOrEqual(minutes + 3);
  }
});
