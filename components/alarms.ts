/** Which alarms a site has, as data: what they watch, when they go off, and what whoever is told shall do. */
import { METRICS, type Audience, type Metric } from "../host/monitoring/protocol";

/** Whom an alarm tells: somebody who is woken, or a channel that is read by day. */
export const SEVERITIES = ["page", "warn"] as const;

/** One of {@link SEVERITIES}. */
export type Severity = (typeof SEVERITIES)[number];

/** How long something has to be so before an alarm goes off. */
export interface Window {
  /** Length of a period, in seconds: 10, 20, 30 or a multiple of 60, and no shorter than the publisher's interval. */
  readonly periodSeconds: number;
  /** Periods in a row, each of which has to breach. */
  readonly periods: number;
}

/** When each alarm goes off. The defaults are the guide's, in `config/schema/monitoring.ts`. */
export interface AlarmLimits {
  readonly applicationDown: Window;
  readonly databaseUnreachable: Window;
  /** Above so many percent of the requests. */
  readonly errorRate: Window & { readonly percent: number };
  /** Above so many milliseconds, at the 95th percentile. */
  readonly responseTime: Window & { readonly milliseconds: number };
  /** More than so many in the periods, of the business metric of that name. */
  readonly paymentFailures: Window & { readonly count: number; readonly metric: string };
  /** More than so many failed while none of the metric `processed` went through. */
  readonly paymentsAllFailed: Window & { readonly count: number; readonly processed: string };
  /** More than so many of Stripe's events refused, one after the other. */
  readonly webhookRefused: Window & { readonly count: number };
  /** Nothing is published at all. */
  readonly hostSilent: Window;
  readonly errorRateWarning: Window & { readonly percent: number };
  readonly responseTimeWarning: Window & { readonly milliseconds: number };
  readonly cpu: Window & { readonly percent: number };
  readonly memory: Window & { readonly percent: number };
  readonly disk: Window & { readonly percent: number };
  /** Some values are not published, while others may be. */
  readonly figuresMissing: Window;
}

/** An alarm as CloudWatch has it (PutMetricAlarm), but for whom it tells. */
export interface Alarm {
  /** Unlike any other's; stays, for people refer to it. */
  readonly name: string;
  readonly severity: Severity;
  readonly metric: string;
  /** Whose requests it is about; null for a metric that is not by colour. */
  readonly audience: Audience | null;
  /** How the values of one period become one. */
  readonly statistic: "Average" | "Minimum" | "Maximum" | "Sum" | "SampleCount";
  readonly comparison: "GreaterThanThreshold" | "LessThanThreshold";
  /** In the metric's own unit. */
  readonly threshold: number;
  readonly periodSeconds: number;
  readonly periods: number;
  /**
   * What a period without a value is. `ignore` keeps the state: that nothing is published is another alarm's to tell, and must
   * not look like the end of what was wrong.
   */
  readonly missing: "breaching" | "notBreaching" | "ignore";
  /** What is wrong, and what to do; 1024 characters at the most. */
  readonly description: string;
}

/** What of a site decides about its alarms. */
export interface AlarmSite {
  /** The application's name on the host. */
  readonly app: string;
  /** What the names of its log groups begin with, such as `/vehicleservice/live`. */
  readonly logs: string;
  /** Whether the site has a database; without one nothing is published of it. */
  readonly hasDatabase: boolean;
  /** Path that Stripe sends its events to; null for a site without Stripe. */
  readonly webhookPath: string | null;
  /** Seconds between two publications. */
  readonly intervalSeconds: number;
}

/** An alarm before its limits are known. */
interface Definition {
  readonly name: string;
  readonly severity: Severity;
  readonly of: "site" | "database" | "webhook";
  readonly watches: (limits: AlarmLimits) => Watched;
  readonly statistic: Alarm["statistic"];
  readonly comparison: Alarm["comparison"];
  readonly missing: Alarm["missing"];
  readonly wrong: string;
  readonly remedy: (site: AlarmSite) => string;
}

interface Watched {
  readonly metric: Pick<Metric, "name" | "byColour">;
  readonly threshold: number;
  readonly window: Window;
}

const watching =
  (
    metric: Watched["metric"],
    of: (limits: AlarmLimits) => Window,
    threshold: (limits: AlarmLimits) => number,
  ) =>
  (limits: AlarmLimits): Watched => ({ metric, threshold: threshold(limits), window: of(limits) });

/** A metric that is 1 where all is well: below that in a whole period. */
const IS_DOWN = { statistic: "Maximum", comparison: "LessThanThreshold", missing: "ignore" } as const;
const IS_ABOVE = { statistic: "Average", comparison: "GreaterThanThreshold", missing: "ignore" } as const;
/** A number that is counted on from interval to interval: above the limit from the beginning of a period to its end. */
const STAYS_ABOVE = { ...IS_ABOVE, statistic: "Minimum" } as const;
/** Without any request there is no time of an answer, and nobody waits. */
const IS_SLOW = { ...IS_ABOVE, missing: "notBreaching" } as const;
const IS_SILENT = {
  statistic: "SampleCount",
  comparison: "LessThanThreshold",
  missing: "breaching",
} as const;

/** Says how users leave a release that is at fault. */
const WAY_BACK =
  '`pulumi config set canaryWeight 0` and `pulumi up`, or at once `bin/ops abort --reason "why"`';

/** The guide's alarms that page, in its order, and the one that nothing else could tell. */
const PAGES: readonly Definition[] = [
  {
    ...{ name: "application-down", severity: "page", of: "site", ...IS_DOWN },
    watches: watching(
      METRICS.applicationUp,
      (limits) => limits.applicationDown,
      () => 1,
    ),
    wrong: "The health path does not answer through the front door: users get errors, or nothing.",
    remedy: (site) =>
      `Look at \`bin/ops status\`. Where a release went out last, take users off it: ${WAY_BACK}; after a promotion, bring back ` +
      `the prior config and run \`pulumi up\`. Else read the last lines of ${site.logs}/application and ${site.logs}/error.`,
  },
  {
    ...{ name: "database-unreachable", severity: "page", of: "database", ...IS_DOWN },
    watches: watching(
      METRICS.databaseReachable,
      (limits) => limits.databaseUnreachable,
      () => 1,
    ),
    wrong: "The host gets no session of the database.",
    remedy: ({ app }) =>
      `Look at \`bin/ops db\` and at the database's own dashboard: is it up, is it out of connections, does its network let the host ` +
      `in, was its password changed? \`sudo ${app}-conductor status\` tells the last error. Restore a backup (\`bin/ops restore\`) only ` +
      `where the data is lost: it loses what was written since.`,
  },
  {
    ...{ name: "error-rate", severity: "page", of: "site", ...IS_ABOVE },
    watches: watching(
      METRICS.errorRate,
      (limits) => limits.errorRate,
      (limits) => limits.errorRate.percent,
    ),
    wrong: "More of the users' requests than the limit are answered by an error (5xx).",
    remedy: (site) =>
      `See on the dashboard whose colour it is. If the candidate's: ${WAY_BACK}. If both colours': read ${site.logs}/application ` +
      `for what they share, the database or Stripe. A site that is closed for maintenance answers 503, and counts.`,
  },
  {
    ...{ name: "response-time", severity: "page", of: "site", ...IS_SLOW },
    watches: watching(
      METRICS.latencyP95,
      (limits) => limits.responseTime,
      (limits) => limits.responseTime.milliseconds,
    ),
    wrong: "One of twenty users' requests takes longer than the limit.",
    remedy: () =>
      `Compare the colours on the dashboard. If only the candidate is slow: ${WAY_BACK}. Else look for long queries and locks ` +
      `(\`bin/ops db\`), and at CPU and memory of the host.`,
  },
  {
    ...{ name: "payment-failures", severity: "page", of: "database", ...IS_ABOVE, statistic: "Sum" },
    watches: ({ paymentFailures }) => ({
      metric: { name: paymentFailures.metric, byColour: false },
      threshold: paymentFailures.count,
      window: paymentFailures,
    }),
    wrong: "More payments than the limit failed.",
    remedy: (site) =>
      `See at Stripe (Developers, Webhooks; Payments, Failed) whether cards are declined, keys are refused or events are not ` +
      `answered, and read ${site.logs}/application. If it began with a release: ${WAY_BACK}. Stripe repeats its events for three days.`,
  },
  {
    ...{ name: "payments-all-failed", severity: "page", of: "database", ...STAYS_ABOVE },
    watches: watching(
      METRICS.paymentsFailedInARow,
      (limits) => limits.paymentsAllFailed,
      (limits) => limits.paymentsAllFailed.count,
    ),
    wrong:
      "Each payment fails: more than the limit since the last one that went through, and none has for a while. Few payments are " +
      "enough for it.",
    remedy: (site) =>
      `Pay once. See at Stripe (Payments, Failed; Developers, Logs) whether they have a reason in common: keys that were rolled, an ` +
      `account that is restricted, an outage (status.stripe.com). Read ${site.logs}/application. If it began with a release: ` +
      `${WAY_BACK}. On a quiet night it may be one visitor with a bad card.`,
  },
  {
    ...{ name: "webhook-refused", severity: "page", of: "webhook", ...STAYS_ABOVE },
    watches: watching(
      METRICS.webhooksRefusedInARow,
      (limits) => limits.webhookRefused,
      (limits) => limits.webhookRefused.count,
    ),
    wrong:
      "Stripe's events are refused: more than the limit, one after the other, were answered by something else than 2xx, and none was " +
      "accepted between them. What was paid reaches no wallet. (Counted is what carries a Stripe-Signature: a probe without one is not.)",
    remedy: () =>
      `See at Stripe (Developers, Webhooks) what it is told. 400: the release does not know the secret that Stripe signs by; after a ` +
      `rotation it has to take any of the secrets in STRIPE_WEBHOOK_SECRET, which has commas between them. 3xx: the path moved, or a login ` +
      `stands before it. If it began with a release: ${WAY_BACK}. Stripe repeats its events for three days: mended in time, nothing is lost.`,
  },
  {
    ...{ name: "host-silent", severity: "page", of: "site", ...IS_SILENT },
    watches: watching(
      METRICS.publishes,
      (limits) => limits.hostSilent,
      () => 1,
    ),
    wrong: "The host publishes nothing, so that no other alarm can tell anything.",
    remedy: ({ app }) =>
      `Open the site, then log in to the host. If it is there, \`sudo ${app}-conductor status\` says why nothing is published ` +
      `(credentials, network, the conductor). If it is not, start it; if it is gone for good, \`pulumi up --refresh\`.`,
  },
];

/** The guide's alarms that warn, in its order, and those about values that are missing. */
const WARNINGS: readonly Definition[] = [
  {
    ...{ name: "error-rate-warning", severity: "warn", of: "site", ...IS_ABOVE },
    watches: watching(
      METRICS.errorRate,
      (limits) => limits.errorRateWarning,
      (limits) => limits.errorRateWarning.percent,
    ),
    wrong: "Some of the users' requests are answered by an error (5xx).",
    remedy: (site) =>
      `Raise no weight. See on the dashboard whose colour it is, and read ${site.logs}/application; if the candidate's, think about ` +
      `the way back: ${WAY_BACK}.`,
  },
  {
    ...{ name: "response-time-warning", severity: "warn", of: "site", ...IS_SLOW },
    watches: watching(
      METRICS.latencyP95,
      (limits) => limits.responseTimeWarning,
      (limits) => limits.responseTimeWarning.milliseconds,
    ),
    wrong: "One of twenty users' requests is slow.",
    remedy: () =>
      "Raise no weight. Compare the colours on the dashboard, and look for long queries (`bin/ops db`) and at CPU and memory.",
  },
  {
    ...{ name: "cpu", severity: "warn", of: "site", ...IS_ABOVE },
    watches: watching(
      METRICS.cpu,
      (limits) => limits.cpu,
      (limits) => limits.cpu.percent,
    ),
    wrong: "The host's processors are busy. A build is one reason, and ends by itself.",
    remedy: () =>
      "See whether it came with requests or with a release. If it stays: a bigger machine, or fewer application.instances.",
  },
  {
    ...{ name: "memory", severity: "warn", of: "site", ...IS_ABOVE },
    watches: watching(
      METRICS.memory,
      (limits) => limits.memory,
      (limits) => limits.memory.percent,
    ),
    wrong: "The host's memory is nearly used up; what is killed first tells of nothing.",
    remedy: () =>
      "See on the dashboard whether it grows with time (a leak: put the last version back) or came with a second release. If it " +
      "stays: a bigger machine, or fewer application.instances.",
  },
  {
    ...{ name: "disk", severity: "warn", of: "site", ...IS_ABOVE, statistic: "Maximum" },
    watches: watching(
      METRICS.disk,
      (limits) => limits.disk,
      (limits) => limits.disk.percent,
    ),
    wrong: "A file system that the site writes to is nearly full; builds are refused before it is.",
    remedy: ({ app }) =>
      `See what grows (\`df -h\`, \`du -xh /var --max-depth=3\` on the host): releases (application.releasesKept), logs, or something that ` +
      `is not ${app}'s. Make the volume bigger where nothing can go.`,
  },
  ...[
    {
      part: "host-figures",
      metric: METRICS.cpu,
      of: "site",
      wrong: "CPU, memory and disk are not measured.",
    },
    { part: "request-figures", metric: METRICS.requests, of: "site", wrong: "Requests are not counted." },
    {
      ...{ part: "webhook-figures", metric: METRICS.webhooksRefusedInARow, of: "webhook" },
      wrong: "Nobody can tell whether Stripe's events are accepted.",
    },
    {
      ...{ part: "database-figures", metric: METRICS.databaseReachable, of: "database" },
      wrong: "Nobody can tell whether the database is reached.",
    },
  ].map(({ part, metric, of, wrong }) => missingFigures(part, of as Definition["of"], wrong, () => metric)),
  missingFigures(
    "payment-figures",
    "database",
    "Payments that fail, or those that go through, are not counted.",
    // Missing where any of the two queries that it is made of has no value.
    () => METRICS.paymentsFailedInARow,
  ),
];

/** An alarm about values that do not come: those that watch them keep quiet. */
function missingFigures(
  part: string,
  of: Definition["of"],
  wrong: string,
  metric: (limits: AlarmLimits) => Watched["metric"],
): Definition {
  return {
    ...{ name: `${part}-missing`, severity: "warn", of, wrong, ...IS_SILENT },
    watches: (limits) => ({ metric: metric(limits), threshold: 1, window: limits.figuresMissing }),
    remedy: ({ app, logs }) =>
      `The alarms about them are blind meanwhile. \`sudo ${app}-conductor status\` and ${logs}/conductor tell what fails; a query of ` +
      "monitoring.business that the schema no longer fits is one reason.",
  };
}

/** Shortest period that is not a matter of values of high resolution, in seconds. */
const MINUTE = 60;

/**
 * The same time in the shortest periods that get a value each. One with a value is enough to say that there is no silence: of
 * a new site's the first whole one is over soonest, and CloudWatch, which looks some periods further back, is told of silence sooner.
 */
function inShortPeriods(window: Window, intervalSeconds: number): Window {
  const { periodSeconds, periods } = window;
  for (let short = Math.ceil(intervalSeconds / MINUTE) * MINUTE; short < periodSeconds; short += MINUTE) {
    if (periodSeconds % short !== 0) continue;
    return { periodSeconds: short, periods: (periods * periodSeconds) / short };
  }
  return window;
}

/** Whether a site has what an alarm is about. */
const IS_THERE: Readonly<Record<Definition["of"], (site: AlarmSite) => boolean>> = {
  site: () => true,
  database: ({ hasDatabase }) => hasDatabase,
  webhook: ({ webhookPath }) => webhookPath !== null,
};

/** The alarms of a site, those that page first. */
export function alarmsOf(limits: AlarmLimits, site: AlarmSite): readonly Alarm[] {
  return [...PAGES, ...WARNINGS]
    .filter(({ of }) => IS_THERE[of](site))
    .map(({ watches, wrong, remedy, name, severity, statistic, comparison, missing: ifMissing }) => {
      const { metric, threshold, window: wanted } = watches(limits);
      const window = ifMissing === "breaching" ? inShortPeriods(wanted, site.intervalSeconds) : wanted;
      return {
        ...{ name, severity, statistic, comparison, threshold, missing: ifMissing },
        metric: metric.name,
        // What all users get: one colour's share of it is on the dashboard.
        audience: metric.byColour ? "all" : null,
        periodSeconds: window.periodSeconds,
        periods: window.periods,
        description: `${wrong} What to do: ${remedy(site)}`,
      };
    });
}
