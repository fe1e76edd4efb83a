import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Alarm, AlarmLimits } from "../../../components/alarm-definition";
import { alarmsOf } from "../../../components/alarms";
import { monitoring } from "../../../config/schema/monitoring";
import { AUDIENCES, METRICS } from "../../../host/monitoring/protocol";
import { repositoryRoot } from "../../../sandbox/repository";

/* The guide's alarms, each with its own value: whom it tells, of what, from when on. */

const LIMITS: AlarmLimits = monitoring.parse({}).alarms;
const SITE = {
  app: "garage",
  logs: "/garage/live",
  hasDatabase: true,
  webhookPath: "/hook",
  intervalSeconds: 60,
};
const alarms = alarmsOf(LIMITS, SITE);

function named(name: string): Alarm {
  const found = alarms.find((alarm) => alarm.name === name);
  if (found === undefined) throw new Error(`there is no alarm ${name}`);
  return found;
}

const above = "GreaterThanThreshold";
const below = "LessThanThreshold";

// name, severity, metric, statistic, comparison, threshold, seconds x periods, a period without a value
it.each([
  ["application-down", "page", "ApplicationUp", "Maximum", below, 1, [60, 2], "ignore"],
  ["database-unreachable", "page", "DatabaseReachable", "Maximum", below, 1, [60, 2], "ignore"],
  ["error-rate", "page", "ErrorRate", "Average", above, 5, [60, 3], "ignore"],
  ["response-time", "page", "LatencyP95", "Average", above, 5000, [60, 3], "notBreaching"],
  ["payment-failures", "page", "PaymentsFailed", "Sum", above, 5, [300, 1], "ignore"],
  ["payments-all-failed", "page", "PaymentsFailedInARow", "Minimum", above, 5, [300, 2], "ignore"],
  ["webhook-refused", "page", "WebhooksRefusedInARow", "Minimum", above, 5, [60, 2], "ignore"],
  ["certificate-expiring", "page", "CertificateDaysToExpiry", "Maximum", below, 3, [300, 1], "ignore"],
  ["host-silent", "page", "HostPublishes", "SampleCount", below, 1, [60, 3], "breaching"],
  ["error-rate-warning", "warn", "ErrorRate", "Average", above, 1, [60, 5], "ignore"],
  ["response-time-warning", "warn", "LatencyP95", "Average", above, 2000, [60, 5], "notBreaching"],
  ["cpu", "warn", "CpuUtilization", "Average", above, 80, [300, 3], "ignore"],
  ["memory", "warn", "MemoryUtilization", "Average", above, 85, [300, 2], "ignore"],
  ["disk", "warn", "DiskUtilization", "Maximum", above, 90, [300, 1], "ignore"],
  ["backup-overdue", "warn", "BackupAgeHours", "Minimum", above, 26, [300, 1], "ignore"],
  [
    "certificate-expiring-warning",
    "warn",
    "CertificateDaysToExpiry",
    "Maximum",
    below,
    14,
    [300, 1],
    "ignore",
  ],
  ["host-figures-missing", "warn", "CpuUtilization", "SampleCount", below, 1, [60, 15], "breaching"],
  ["request-figures-missing", "warn", "Requests", "SampleCount", below, 1, [60, 15], "breaching"],
  [
    "webhook-figures-missing",
    "warn",
    "WebhooksRefusedInARow",
    "SampleCount",
    below,
    1,
    [60, 15],
    "breaching",
  ],
  ["database-figures-missing", "warn", "DatabaseReachable", "SampleCount", below, 1, [60, 15], "breaching"],
  ["payment-figures-missing", "warn", "PaymentsFailedInARow", "SampleCount", below, 1, [60, 15], "breaching"],
])(
  "%s tells %s: %s by %s, %s %d",
  (name, severity, metric, statistic, comparison, threshold, [periodSeconds, periods], missing) => {
    const { description, audience, ...rest } = named(name);
    const window = { periodSeconds, periods };
    expect(rest).toEqual({ name, severity, metric, statistic, comparison, threshold, ...window, missing });
    expect(audience).toBe(["ErrorRate", "LatencyP95", "Requests"].includes(metric) ? "all" : null);
    expect(description).toMatch(/^.{20,} What to do: .{40,}$/);
  },
);

it("has no other alarm, and none twice", () => {
  expect(alarms.map(({ name }) => name)).toHaveLength(21);
  expect(new Set(alarms.map(({ name }) => name)).size).toBe(21);
});

it("watches what the host publishes, with the dimensions that it has there", () => {
  const published = new Map<string, boolean>(
    Object.values(METRICS).map(({ name, byColour }) => [name, byColour]),
  );
  for (const { name, metric, audience } of alarms) {
    if (metric === "PaymentsFailed") continue;
    expect([name, published.get(metric)]).toEqual([name, audience !== null]);
    if (audience !== null) expect(AUDIENCES).toContain(audience);
  }
});

it("says what to do in words that CloudWatch takes, of programs that there are", () => {
  for (const { name, description } of alarms) {
    expect([name, description.length <= 1024]).toEqual([name, true]);
    expect(description).not.toMatch(/vehicleservice|undefined/);
    for (const [, command = ""] of description.matchAll(/bin\/ops (\w+)/g)) {
      const file = join(repositoryRoot(), "operations", "commands", `${command}.ts`);
      expect(readFileSync(file, "utf8")).toContain("export");
    }
  }
  expect(named("error-rate").description).toContain('`bin/ops abort --reason "why"`');
  expect(named("application-down").description).toContain("/garage/live/application");
});

it("takes every limit from the config", () => {
  const window = { periodSeconds: 120, periods: 7 };
  const changed = Object.fromEntries(
    Object.entries(LIMITS).map(([name, limit]: [string, object]) => {
      const value = {
        ...{ percent: 42, milliseconds: 4242, count: 4, hours: 424, days: 24 },
        ...{ metric: "Failures", processed: "Sales" },
      };
      const own = Object.entries(value).filter(([key]) => key in limit);
      return [name, { ...Object.fromEntries(own), ...window }];
    }),
  ) as unknown as AlarmLimits;
  const found = alarmsOf(changed, SITE);
  const inMinutes = { periodSeconds: 60, periods: 14 };
  for (const alarm of found) expect(alarm).toMatchObject(alarm.missing === "breaching" ? inMinutes : window);
  expect(found.map(({ threshold }) => threshold)).toEqual([
    1, 1, 42, 4242, 4, 4, 4, 24, 1, 42, 4242, 42, 42, 42, 424, 24, 1, 1, 1, 1, 1,
  ]);
  expect(found.filter(({ metric }) => metric === "Failures").map(({ name }) => name)).toEqual([
    "payment-failures",
  ]);
});

// interval, seconds x periods as asked for, and as silence is looked for
it.each([
  [60, [300, 3], [60, 15]],
  [10, [60, 3], [60, 3]],
  [2, [10, 3], [10, 3]],
  [90, [360, 2], [120, 6]],
  [240, [600, 2], [300, 4]],
  [100, [180, 1], [180, 1]],
  [3600, [3600, 2], [3600, 2]],
  [60, [86_400, 1], [60, 1440]],
])(
  "at a value every %d s, silence of %p is that of %p: as long, and each period gets one",
  (every, asked, looked) => {
    const [periodSeconds, periods] = asked as [number, number];
    const limits = { ...LIMITS, hostSilent: { periodSeconds, periods } };
    const silent = alarmsOf(limits, { ...SITE, intervalSeconds: every }).find(
      ({ name }) => name === "host-silent",
    )!;
    expect([silent.periodSeconds, silent.periods]).toEqual(looked);
    expect(silent.periodSeconds * silent.periods).toBe(periodSeconds * periods);
    expect(silent.periodSeconds).toBeGreaterThanOrEqual(every);
  },
);

it("lets a daily backup be as late as its timer may make it, on the longest day, and half an hour longer", () => {
  const timer = readFileSync(join(repositoryRoot(), "host", "systemd", "backup.timer"), "utf8");
  expect(timer).toMatch(/^OnCalendar=daily$/m);
  const [, delay = ""] = /^RandomizedDelaySec=(\d+)min$/m.exec(timer) ?? [];
  expect(named("backup-overdue").threshold).toBe(24 + 1 + (Number(delay) + 30) / 60);
});

it("has none about the database of a site without one", () => {
  const names = alarmsOf(LIMITS, { ...SITE, hasDatabase: false }).map(({ name }) => name);
  expect(alarms.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([
    "database-unreachable",
    "payment-failures",
    "payments-all-failed",
    "backup-overdue",
    "database-figures-missing",
    "payment-figures-missing",
  ]);
});

it("has none about events of Stripe's of a site that gets none", () => {
  const names = alarmsOf(LIMITS, { ...SITE, webhookPath: null }).map(({ name }) => name);
  expect(alarms.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([
    "webhook-refused",
    "webhook-figures-missing",
  ]);
});
