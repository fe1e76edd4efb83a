/** The alarms that wake somebody. */
import { METRICS } from "../host/monitoring/protocol";
import {
  type Definition,
  IS_ABOVE,
  IS_BELOW,
  IS_DOWN,
  IS_SILENT,
  IS_SLOW,
  RENEWAL,
  STAYS_ABOVE,
  watching,
  WAY_BACK,
} from "./alarm-definition";

/** The guide's alarms that page, in its order, what it leaves out, and the one that nothing else could tell. */
export const PAGES: readonly Definition[] = [
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
    ...{ name: "certificate-expiring", severity: "page", of: "site", ...IS_BELOW },
    watches: watching(
      METRICS.certificateDays,
      (limits) => limits.certificateExpiring,
      (limits) => limits.certificateExpiring.days,
    ),
    wrong: "The certificate that users are shown is about to end, or has ended: browsers let nobody in then.",
    remedy: () => RENEWAL,
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
