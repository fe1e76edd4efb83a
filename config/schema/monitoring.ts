import { z } from "zod";
import { METRICS } from "../../host/monitoring/protocol";
import { FAILED_PAYMENTS, GUIDE_QUERIES, PROCESSED_PAYMENTS } from "../monitoring-queries";
import { accessKeyOrNone, endpointOrNone } from "../rules/database";
import { localFile } from "../rules/host";
import { flag, integer, placeholderIn, ruled } from "../rules/rule";
import { mailOrNone } from "../rules/web";

/** The group `monitoring`: what is published where, who is told when, and how long logs are kept. */

/** One half of a key of CloudWatch's, or nothing. */
export const monitoringKeyOrNone = accessKeyOrNone;

const awsRegion = (example: string) =>
  ruled(
    z.string().regex(/^[a-z]{2}(-[a-z]{1,20}){1,3}-\d{1,2}$/),
    `a region of AWS, such as ${example}`,
    example,
  );

/** CloudWatch's periods, in seconds: 10, 20, 30 and whole minutes up to a day (PutMetricAlarm, `Period`). */
const isPeriod = (seconds: number) =>
  [10, 20, 30].includes(seconds) || (seconds % 60 === 0 && seconds > 0 && seconds <= 86_400);

const period = (seconds: number) => {
  const rule = "10, 20, 30 or a multiple of 60 up to 86400 (seconds): CloudWatch takes no other period";
  return ruled(integer(10, 86_400, "seconds", 60).refine(isPeriod), rule, "60").default(seconds);
};

/** Once a period is over, the alarm's state is that of so many of them. */
const over = (periodSeconds: number, periods: number) => ({
  /** Length of a period, in seconds; no shorter than `intervalSeconds`. */
  periodSeconds: period(periodSeconds),
  /** Periods in a row that have to breach; with `periodSeconds` a day at the most. */
  periods: integer(1, 1440, "periods in a row", periods).default(periods),
});

const percent = (value: number) => integer(0, 100, "percent", value).default(value);
const milliseconds = (value: number) => integer(1, 600_000, "milliseconds", value).default(value);

const METRIC_NAME = /^(?=.{1,255}$)[A-Za-z][A-Za-z0-9_-]*([./][A-Za-z0-9_-]+)*$/;
const OWN_METRICS: ReadonlySet<string> = new Set(Object.values(METRICS).map(({ name }) => name));

/** Name of a business metric, which is nobody else's. */
const businessName = () =>
  ruled(
    z.string().refine((name) => METRIC_NAME.test(name) && !OWN_METRICS.has(name)),
    "a name of 1 to 255 of A-Z, a-z, 0-9 and _ - with . and / between them, a letter first, and none that the host publishes " +
      "itself (Requests, ErrorRate and the like)",
    "OrdersPlaced",
  );

/** One query, or nothing: it never reaches a shell, and a transaction that writes nothing is all that it gets. */
const query = () =>
  ruled(
    z
      .string()
      .regex(/^[^\0]{0,20000}$/)
      .refine((text) => text.includes("$1") === text.includes("$2")),
    "an SQL query of at most 20000 characters that gives one number, with both $1 and $2, the beginning and the end of the " +
      "interval, or neither of them (what goes by one of them counts rows twice, or not at all); empty for none",
    "'select count(*) from orders where created_at >= $1 and created_at < $2'",
  );

const mail = () =>
  ruled(
    mailOrNone().refine((value) => value !== ""),
    "a mail address with its domain in lower case",
    "oncall@example.com",
  );

const WEBHOOK =
  /^https:\/\/(?=[A-Za-z0-9])[A-Za-z0-9.-]{1,253}(:\d{1,5})?(\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$/;

/** Where SNS sends to. It sends by HTTP, too: an alarm would then be anybody's to read, and to swallow. */
const webhook = () =>
  ruled(
    z
      .string()
      .refine((value) => value.length <= 2048 && WEBHOOK.test(value) && placeholderIn(value) === undefined),
    "an https:// URL without user, blanks and #, of a service that confirms subscriptions of SNS (PagerDuty, Opsgenie and the like)",
    "https://events.pagerduty.com/integration/KEY/enqueue",
  );

const slack = z.strictObject({
  /** The workspace, which an administrator let AWS into once, in the console of Amazon Q Developer in chat applications. */
  teamId: ruled(
    z.string().regex(/^[0-9A-Z]{1,255}$/),
    "a Slack workspace's id, such as T01234567",
    "T01234567",
  ),
  /** The channel: the end of the link to it. A private one has to have invited `@Amazon Q`. */
  channelId: ruled(
    z.string().regex(/^[A-Za-z0-9]{1,255}$/),
    "a Slack channel's id, such as C01234567",
    "C01234567",
  ),
  /** Region of the service, which is in few: us-east-2, us-west-2, eu-west-1 and ap-southeast-1. */
  region: awsRegion("us-east-2").default("us-east-2"),
});

const recipients = z.strictObject({
  /** Mail addresses; each of them has to confirm once. */
  emails: ruled(
    z
      .array(mail())
      .max(50)
      .refine((all) => new Set(all).size === all.length),
    "a list of at most 50 mail addresses, each of them once",
    "[oncall@example.com]",
  ).default([]),
  /** URLs of services that take alarms. Set one with --secret where it holds a key. */
  webhooks: ruled(
    z
      .array(webhook())
      .max(20)
      .refine((all) => new Set(all).size === all.length),
    "a list of at most 20 https:// URLs, each of them once",
    "[https://events.pagerduty.com/integration/KEY/enqueue]",
  ).default([]),
  /** A Slack channel, by AWS' own bot. */
  slack: slack.optional(),
});

const alarms = z.strictObject({
  /** Page: the health path does not answer. */
  applicationDown: z.strictObject(over(60, 2)).prefault({}),
  /** Page: the host gets no session of the database. */
  databaseUnreachable: z.strictObject(over(60, 2)).prefault({}),
  /** Page: answers of 5xx, of all requests. */
  errorRate: z.strictObject({ percent: percent(5), ...over(60, 3) }).prefault({}),
  /** Page: time to answer, 95th percentile. */
  responseTime: z.strictObject({ milliseconds: milliseconds(5000), ...over(60, 3) }).prefault({}),
  /** Page: more than so many failed payments in a period. */
  paymentFailures: z
    .strictObject({
      count: integer(0, 1_000_000, "failed payments", 5).default(5),
      /** The query of `business` that counts them. */
      metric: businessName().default(FAILED_PAYMENTS),
      ...over(300, 1),
    })
    .prefault({}),
  /** Page: so many payments and one more failed since one went through, and none has for the time of all periods. */
  paymentsAllFailed: z
    .strictObject({
      count: integer(0, 1_000_000, "failed payments", 5).default(5),
      /** The query of `business` that counts the payments that went through; `paymentFailures.metric` counts those that failed. */
      processed: businessName().default(PROCESSED_PAYMENTS),
      ...over(300, 2),
    })
    .prefault({}),
  /** Page: so many of Stripe's events and one more, one after the other, were refused, and none was accepted. */
  webhookRefused: z
    .strictObject({ count: integer(0, 1_000_000, "refused events in a row", 5).default(5), ...over(60, 2) })
    .prefault({}),
  /** Page: fewer days are left of the certificate that users are shown; 0 for one that has ended. */
  certificateExpiring: z
    .strictObject({ days: integer(0, 365, "days", 3).default(3), ...over(300, 1) })
    .prefault({}),
  /** Page: nothing is published. */
  hostSilent: z.strictObject(over(60, 3)).prefault({}),
  errorRateWarning: z.strictObject({ percent: percent(1), ...over(60, 5) }).prefault({}),
  responseTimeWarning: z.strictObject({ milliseconds: milliseconds(2000), ...over(60, 5) }).prefault({}),
  cpu: z.strictObject({ percent: percent(80), ...over(300, 3) }).prefault({}),
  memory: z.strictObject({ percent: percent(85), ...over(300, 2) }).prefault({}),
  disk: z.strictObject({ percent: percent(90), ...over(300, 1) }).prefault({}),
  /** Warn: the last backup is older. A day with its hour of summer time, the timer's half-hour, and the last half-hour for the dump. */
  backupOverdue: z
    .strictObject({ hours: integer(1, 8760, "hours", 26).default(26), ...over(300, 1) })
    .prefault({}),
  /** Warn: fewer days are left of the certificate; with ACME it was to be renewed `site.tls.acme.renewBeforeDays` before its end. */
  certificateExpiringWarning: z
    .strictObject({ days: integer(0, 365, "days", 14).default(14), ...over(300, 1) })
    .prefault({}),
  /** Warn: some values are not published. */
  figuresMissing: z.strictObject(over(300, 3)).prefault({}),
});

/** The only retentions of CloudWatch Logs, in days (PutRetentionPolicy); 0 keeps for ever. */
const RETENTIONS = [
  ...[
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288,
    3653,
  ],
];

/** Every key of the group `monitoring`. */
export const monitoring = z.strictObject({
  /** Whether the host publishes, and somebody is told. */
  enabled: flag(true).default(false),
  /** CloudWatch namespace of the metrics; default the stack's `name`. */
  namespace: ruled(
    z.string().regex(/^(?=.{1,255}$)(?!AWS\/)[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$/),
    "1 to 255 of A-Z, a-z, 0-9 and _ - with . and / between them, and not AWS/ first",
    "vehicleservice",
  ).optional(),
  /** Region of metrics, alarms, topics and logs; default the provider's, `aws:region`. */
  region: awsRegion("eu-central-1").optional(),
  /** URL of another CloudWatch than Amazon's, as the host reaches it; empty for Amazon's. */
  endpoint: endpointOrNone().default(""),
  /** Local file with the authority, in PEM, that signed the endpoint's certificate, if it is no public one. */
  authorityFile: localFile("cloudwatch-authority.pem").optional(),
  /** Seconds between two publications. */
  intervalSeconds: integer(1, 3600, "seconds", 60).default(60),
  /** Who is woken. */
  page: recipients.prefault({}),
  /** Who reads it by day. */
  warn: recipients.prefault({}),
  /** When each alarm goes off. */
  alarms: alarms.prefault({}),
  /** Business metrics, query by name, beside the guide's and in their place; an empty text takes one away. */
  business: ruled(
    z.record(businessName(), query()).refine((all) => Object.keys(all).length <= 50),
    "at most 50 queries by name",
    "{ OrdersPlaced: 'select count(*) from orders where created_at >= $1 and created_at < $2' }",
  ).default(GUIDE_QUERIES),
  /** Days that shipped logs are kept; 0 for ever. */
  logRetentionDays: ruled(
    integer(0, 3653, "days", 90).refine((days) => RETENTIONS.includes(days)),
    `one of ${RETENTIONS.join(", ")} (days; 0 for ever)`,
    "90",
  ).default(90),
});

/** Its values. */
export type MonitoringValues = z.infer<typeof monitoring>;
