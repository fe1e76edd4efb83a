/** The alarms that are read by day. */
import { METRICS } from "../host/monitoring/protocol";
import {
  type AlarmLimits,
  type Definition,
  IS_ABOVE,
  IS_BELOW,
  IS_SILENT,
  IS_SLOW,
  RENEWAL,
  STAYS_ABOVE,
  type Watched,
  watching,
  WAY_BACK,
} from "./alarm-definition";

/** The guide's alarms that warn, in its order, what it leaves out, and those about values that are missing. */
export const WARNINGS: readonly Definition[] = [
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
  {
    ...{ name: "backup-overdue", severity: "warn", of: "database", ...STAYS_ABOVE },
    watches: watching(
      METRICS.backupAge,
      (limits) => limits.backupOverdue,
      (limits) => limits.backupOverdue.hours,
    ),
    wrong:
      "The database's last whole backup is older than the limit, or there is none: the daily one failed, or did not run. A restore would " +
      "lose what was written since.",
    remedy: ({ app }) =>
      `\`bin/ops backup\` makes one now, or says what keeps it from being made: the bucket, its keys or rights, the database's role, a ` +
      `pg_dump that is older than the server. On the host \`journalctl --unit ${app}-backup\` tells what became of the daily one, and ` +
      `\`systemctl list-timers ${app}-backup.timer\` when it ran last and runs next.`,
  },
  {
    ...{ name: "certificate-expiring-warning", severity: "warn", of: "site", ...IS_BELOW },
    watches: watching(
      METRICS.certificateDays,
      (limits) => limits.certificateExpiringWarning,
      (limits) => limits.certificateExpiringWarning.days,
    ),
    wrong: "The certificate that users are shown was not renewed, and should have been by now.",
    remedy: () => RENEWAL,
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
