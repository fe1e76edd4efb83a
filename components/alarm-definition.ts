/** What an alarm is, and what tells one from another. */
import type { Audience, Metric } from "../host/monitoring/protocol";

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
  /** Fewer days left than so many. */
  readonly certificateExpiring: Window & { readonly days: number };
  /** Nothing is published at all. */
  readonly hostSilent: Window;
  readonly errorRateWarning: Window & { readonly percent: number };
  readonly responseTimeWarning: Window & { readonly milliseconds: number };
  readonly cpu: Window & { readonly percent: number };
  readonly memory: Window & { readonly percent: number };
  readonly disk: Window & { readonly percent: number };
  /** Older than so many hours. */
  readonly backupOverdue: Window & { readonly hours: number };
  readonly certificateExpiringWarning: Window & { readonly days: number };
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
export interface Definition {
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

/** What a definition watches, once the limits are known. */
export interface Watched {
  readonly metric: Pick<Metric, "name" | "byColour">;
  readonly threshold: number;
  readonly window: Window;
}

/** Watches a metric, by the window and the threshold that the limits have for it. */
export const watching =
  (
    metric: Watched["metric"],
    of: (limits: AlarmLimits) => Window,
    threshold: (limits: AlarmLimits) => number,
  ) =>
  (limits: AlarmLimits): Watched => ({ metric, threshold: threshold(limits), window: of(limits) });

/** Below the limit in a whole period. */
export const IS_BELOW = { statistic: "Maximum", comparison: "LessThanThreshold", missing: "ignore" } as const;
/** A metric that is 1 where all is well: the limit. */
export const IS_DOWN = IS_BELOW;
/** On average above the limit in each period. */
export const IS_ABOVE = {
  statistic: "Average",
  comparison: "GreaterThanThreshold",
  missing: "ignore",
} as const;
/** A number that goes on from interval to interval: above the limit from the beginning of a period to its end. */
export const STAYS_ABOVE = { ...IS_ABOVE, statistic: "Minimum" } as const;
/** Without any request there is no time of an answer, and nobody waits. */
export const IS_SLOW = { ...IS_ABOVE, missing: "notBreaching" } as const;
/** Fewer values than the limit in a whole period. */
export const IS_SILENT = {
  statistic: "SampleCount",
  comparison: "LessThanThreshold",
  missing: "breaching",
} as const;

/** Says how users leave a release that is at fault. */
export const WAY_BACK =
  '`pulumi config set canaryWeight 0` and `pulumi up`, or at once `bin/ops abort --reason "why"`';

/** Says how a certificate is renewed, by whoever keeps it. */
export const RENEWAL =
  "`bin/ops status` tells how the last tries failed. With site.tls.acme the host goes on trying, every 6 hours at the latest: each of " +
  "site.domains has to lead to it on port 80, from everywhere (DNS, firewall), and the server has limits, too; once that is mended " +
  "another site.tls.acme.renewBeforeDays and `pulumi up` try at once. With files: put chain and key of a new one where " +
  "site.tls.certificate and site.tls.key say, and have Nginx read them: `sudo systemctl reload nginx`.";
