import { type AlarmLimits, SEVERITIES, type Severity } from "../components/alarm-definition";
import type { Recipients } from "../components/alarm-topic";
import { topicPrefix } from "../components/role-names";
import type { MonitoringSpec } from "../components/monitoring";
import { hasDatabase } from "./database";
import { configCommand, type Fault } from "./faults";
import { givenText } from "./keys";
import { GUIDE_QUERIES } from "./monitoring-queries";
import { monitoring, type MonitoringValues } from "./schema/monitoring";
import type { StackValues } from "./schema/stack";
import type { Texts } from "./texts";
import { faultAt, type RawConfig, soundAt } from "./validation";

/** Business queries that the host takes (`host/conductor/monitoring/acts.ts`). */
const MOST_QUERIES = 50;

/** Longest time that an alarm looks back, in seconds (PutMetricAlarm, `EvaluationPeriods`). */
const DAY = 86_400;

/** Names of the alarms in the config. */
const ALARMS = Object.keys(monitoring.shape.alarms.parse(undefined));

/** Halves of the key that a host without a role publishes by. */
const KEY_HALVES = ["monitoringAccessKeyId", "monitoringSecretAccessKey"] as const;

/** Looks for what is wrong about monitoring beyond single values. */
export function findMonitoring(raw: RawConfig): { readonly faults: readonly Fault[] } {
  const halves = keyPairFaults(raw);
  if (soundAt(raw, ["monitoring", "enabled"]) !== true) return { faults: halves };
  return {
    faults: [
      ...halves,
      ...SEVERITIES.flatMap((severity) => recipientFaults(raw, severity)),
      ...regionFaults(raw),
      ...periodFaults(raw),
      ...queryFaults(raw),
      ...certificateFaults(raw),
    ],
  };
}

/** An alarm that tells nobody is none. */
function recipientFaults(raw: RawConfig, severity: Severity): Fault[] {
  const told = soundAt(raw, ["monitoring", severity]) as MonitoringValues["page"] | undefined;
  if (told === undefined) return [];
  const { emails, webhooks, slack } = told;
  if (emails.length > 0 || webhooks.length > 0 || slack !== undefined) return [];
  const path = ["monitoring", severity, "emails"];
  const rule =
    `one address or more, for monitoring is on and alarms of the severity ${severity} have nobody to tell; or ` +
    `monitoring.${severity}.webhooks or .slack in its place`;
  return [faultAt(raw, path, rule, `${configCommand("set", [...path, 0])} oncall@example.com`)];
}

/** All that the stack makes is in one region. */
function regionFaults(raw: RawConfig): Fault[] {
  const path = ["monitoring", "region"];
  const { awsRegion = "" } = raw;
  const region = soundAt(raw, path) as string | undefined;
  if (region === undefined && awsRegion !== "") return [];
  if (region !== undefined && (awsRegion === "" || region === awsRegion)) return [];
  if (region === undefined) {
    return [faultAt(raw, path, "the region of alarms and metrics, for aws:region names none either")];
  }
  const remedy = `${configCommand("set", path)} ${awsRegion}, or ${configCommand("rm", path)}`;
  return [faultAt(raw, path, `${awsRegion}, which aws:region names, or not set`, remedy)];
}

/** Of an alarm's window the whole is limited, too, and what is looked at has to be there. */
function periodFaults(raw: RawConfig): Fault[] {
  const interval = soundAt(raw, ["monitoring", "intervalSeconds"]) as number | undefined;
  return ALARMS.flatMap((name) => {
    const path = ["monitoring", "alarms", name];
    // One by one: what is wrong with one alarm hides nothing of another.
    const [periodSeconds, periods] = ["periodSeconds", "periods"].map(
      (key) => soundAt(raw, [...path, key]) as number | undefined,
    );
    if (periodSeconds === undefined || periods === undefined) return [];
    if (interval !== undefined && periodSeconds < interval) {
      const rule = `${String(interval)} or more: values are published every ${String(interval)} seconds (monitoring.intervalSeconds)`;
      return [faultAt(raw, [...path, "periodSeconds"], rule)];
    }
    if (periodSeconds * periods <= DAY) return [];
    const rule = `${String(Math.floor(DAY / periodSeconds))} or fewer: with periodSeconds ${String(periodSeconds)} more than that is longer than a day`;
    return [faultAt(raw, [...path, "periods"], rule)];
  });
}

/** Without the queries that they count the alarms about payments would never tell anything. */
function queryFaults(raw: RawConfig): Fault[] {
  const own = soundAt(raw, ["monitoring", "business"]) as Readonly<Record<string, string>> | undefined;
  if (own === undefined || !hasDatabase(raw)) return [];
  const queries = businessQueries(own);
  const names = Object.keys(queries);
  const faults: Fault[] = [];
  if (names.length > MOST_QUERIES) {
    const rule = `at most ${String(MOST_QUERIES)} queries, the guide's that are not taken away among them`;
    faults.push(faultAt(raw, ["monitoring", "business"], rule));
  }
  for (const key of [
    ["paymentFailures", "metric"],
    ["paymentsAllFailed", "processed"],
  ]) {
    const path = ["monitoring", "alarms", ...key];
    const counted = soundAt(raw, path) as string | undefined;
    if (counted === undefined || names.includes(counted)) continue;
    const rule = `the name of a query of monitoring.business, for its values are what the alarm counts; there are ${names.join(", ")}`;
    faults.push(faultAt(raw, path, rule));
  }
  return faults;
}

/** A certificate that is not to be renewed yet is nothing that anybody has to be told of. */
function certificateFaults(raw: RawConfig): Fault[] {
  const acme = soundAt(raw, ["site", "tls", "acme"]) as { readonly renewBeforeDays: number } | undefined;
  if (acme === undefined) return [];
  const renewed = acme.renewBeforeDays;
  return ["certificateExpiring", "certificateExpiringWarning"].flatMap((name) => {
    const path = ["monitoring", "alarms", name, "days"];
    const days = soundAt(raw, path) as number | undefined;
    if (days === undefined || days < renewed) return [];
    const rule =
      `${String(renewed - 1)} or fewer: the certificate is renewed ${String(renewed)} days before its end ` +
      "(site.tls.acme.renewBeforeDays), and the alarm would tell of it before";
    return [faultAt(raw, path, rule, `${configCommand("set", path)} ${String(Math.floor(renewed / 2))}`)];
  });
}

/** Both halves of a key, or none. */
function keyPairFaults(raw: RawConfig): Fault[] {
  const given = KEY_HALVES.filter((key) => givenText(raw, [key]) !== undefined);
  if (given.length !== 1) return [];
  const rule = `set beside ${raw.namespace}:${String(given[0])}; or neither of the two, where the host has a role, or a chain of its own`;
  return KEY_HALVES.filter((key) => !given.includes(key)).map((key) =>
    faultAt(
      raw,
      [key],
      rule,
      `${configCommand("set --secret", [key])} < key-file, or ${configCommand("rm", [String(given[0])])}`,
    ),
  );
}

/** The guide's queries, but for those that have another text, or none. */
function businessQueries(own: Readonly<Record<string, string>>): Record<string, string> {
  const all = Object.entries({ ...GUIDE_QUERIES, ...own });
  return Object.fromEntries(all.filter(([, query]) => query.trim() !== ""));
}

/** What the component is given; null for a stack that nobody watches. Secrets are not marked yet. */
export function monitoringSpec(
  values: StackValues,
  texts: Texts,
  raw: RawConfig,
): PlainMonitoringSpec | null {
  const { name, monitoring: wanted } = values;
  const { stack } = raw;
  if (!wanted.enabled) return null;
  const { monitoringAccessKeyId: accessKeyId, monitoringSecretAccessKey: secretAccessKey } = values;
  const isWithDatabase = hasDatabase(raw);
  return {
    app: name,
    prefix: topicPrefix(name, stack),
    namespace: wanted.namespace ?? name,
    stack,
    region: wanted.region ?? raw.awsRegion ?? "",
    endpoint: wanted.endpoint || null,
    authority: texts.monitoringAuthority,
    intervalSeconds: wanted.intervalSeconds,
    credentials: accessKeyId === "" ? null : { accessKeyId, secretAccessKey },
    business: isWithDatabase ? businessQueries(wanted.business) : {},
    hasDatabase: isWithDatabase,
    webhookPath: values.stripe.webhook?.path ?? null,
    permissionsBoundary: values.permissionsBoundary || null,
    recipients: { page: recipientsOf(wanted.page), warn: recipientsOf(wanted.warn) },
    limits: wanted.alarms satisfies AlarmLimits,
    logs: `/${name}/${stack}`,
    logRetentionDays: wanted.logRetentionDays,
  };
}

/** {@link MonitoringSpec} before its secrets are marked as such. */
export interface PlainMonitoringSpec extends MonitoringSpec {
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
}

function recipientsOf({ emails, webhooks, slack }: MonitoringValues["page"]): Recipients {
  return { emails, webhooks, slack: slack ?? null };
}
