import * as cloudwatch from "@pulumi/aws/cloudwatch";
import * as iam from "@pulumi/aws/iam";
import * as kms from "@pulumi/aws/kms";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import {
  LOG_STREAMS,
  type MonitoringAct,
  type MonitoringResult,
  type MonitoringSettings,
} from "../host/monitoring/protocol";
import { type Alarm, type AlarmLimits, SEVERITIES, type Severity } from "./alarm-definition";
import { AlarmTopic, type Recipients } from "./alarm-topic";
import { alarmsOf } from "./alarms";
import { dashboardBody } from "./dashboard";
import type { Database } from "./database";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import { ownerIn, publisherPolicy, topicKeyPolicy } from "./monitoring-policies";

/** What is published of a site, and who is told what of it. */
export interface MonitoringSpec {
  /** The application's name on the host. */
  readonly app: string;
  /** What the names of topics, alarms and the dashboard begin with: A-Z, a-z, 0-9, _ and -. */
  readonly prefix: string;
  /** CloudWatch namespace of the metrics. */
  readonly namespace: string;
  /** Value of the metrics' dimension `Stack`. */
  readonly stack: string;
  /** Region of everything that is made here. */
  readonly region: string;
  /** URL of another API than Amazon's, as the host reaches it; null for Amazon's. */
  readonly endpoint: string | null;
  /** Authority behind the endpoint's certificate, in PEM; null for a public one. */
  readonly authority: string | null;
  /** Seconds between two publications. */
  readonly intervalSeconds: number;
  /** What the host publishes by; null for its own role, or what else AWS' default chain finds. A secret. */
  readonly credentials: pulumi.Input<NonNullable<MonitoringSettings["credentials"]>> | null;
  /** Business metrics, query by name; empty for a site without a database. */
  readonly business: Readonly<Record<string, string>>;
  /** Whether the site has a database. */
  readonly hasDatabase: boolean;
  /** Path that Stripe sends its events to; null for a site without Stripe. */
  readonly webhookPath: string | null;
  /** ARN of the policy that bounds what roles of bots can be given; null for none. */
  readonly permissionsBoundary: string | null;
  /** Who is told, by severity. */
  readonly recipients: Readonly<Record<Severity, Recipients>>;
  /** When each alarm goes off. */
  readonly limits: AlarmLimits;
  /** What the names of the log groups begin with, such as `/vehicleservice/live`. */
  readonly logs: string;
  /** Days that shipped logs are kept; 0 for ever. */
  readonly logRetentionDays: number;
}

/** Arguments of {@link Monitoring}. */
export interface MonitoringArgs {
  /** The host that publishes. */
  readonly host: Host;
  /** Name of the host's role, which is given the rights to publish; null where it has none. */
  readonly role: pulumi.Input<string> | null;
  /** Its schema is what the business's queries are about. */
  readonly database: Pick<Database, "ready">;
  /** Null for a site that nobody watches: nothing is there. */
  readonly monitoring: MonitoringSpec | null;
}

/** What the host is told, but for its keys. */
export function monitoringSettings(spec: MonitoringSpec): Omit<MonitoringSettings, "credentials"> {
  const { namespace, stack, intervalSeconds, region, endpoint, authority, business, logs } = spec;
  const { webhookPath, hasDatabase, limits } = spec;
  const logGroups = Object.fromEntries(LOG_STREAMS.map((stream) => [stream, `${logs}/${stream}`]));
  const { metric: failed } = limits.paymentFailures;
  const watched = {
    ...(hasDatabase ? { payments: { failed, processed: limits.paymentsAllFailed.processed } } : {}),
    ...(webhookPath === null ? {} : { webhookPath }),
  };
  return { namespace, stack, intervalSeconds, region, endpoint, authority, business, ...watched, logGroups };
}

const result: z.ZodType<MonitoringResult> = z.object({ publishing: z.boolean() });

/** After how long Amazon's has a new metric's values in any case, in seconds ("Publish custom metrics"). */
const KNOWN_SECONDS = 120;

/**
 * How long a set of values has to be there before an alarm that is made finds it: until the period that it is in is over. Periods
 * without a value count from before an alarm was there, and those about silence would go off at once.
 */
function seenForSeconds(spec: MonitoringSpec): number {
  const silence = alarmsOf(spec.limits, spec).filter(({ missing }) => missing === "breaching");
  const longest = Math.max(...silence.map(({ periodSeconds }) => periodSeconds));
  return longest + (spec.endpoint === null ? KNOWN_SECONDS : 0);
}

/** How long a key that is deleted can be had back, in days. */
const KEY_DELETION_DAYS = 30;

/**
 * Metrics, logs, alarms and the dashboard of a site. The host publishes by an act; alarms and dashboard are made of what
 * it says it publishes (`host/monitoring/protocol.ts`), and alarms only once they find that, so that the first thing that
 * anybody is told of a new site is not its silence.
 */
export class Monitoring extends pulumi.ComponentResource {
  /** Constant; resolves once the host's first values were taken, or at once for a site that nobody watches. */
  readonly publishing: pulumi.Output<string>;
  private readonly name: string;
  private readonly args: MonitoringArgs;

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:monitoring:Monitoring", name, {}, opts);
    this.name = name;
    this.args = args;
    const { monitoring } = args;
    this.publishing = monitoring === null ? pulumi.output("publishing") : this.make(monitoring);
    this.registerOutputs({});
  }

  private make(spec: MonitoringSpec): pulumi.Output<string> {
    const groups = this.makeLogGroups(spec);
    const rights = this.letHostPublish(spec, groups);
    const namespace = this.publish(spec, [...groups, ...rights]);
    const topics = this.makeTopics(spec, pulumi.all(groups.map(({ arn }) => arn)));
    for (const alarm of alarmsOf(spec.limits, spec)) this.makeAlarm(alarm, spec, topics, namespace);
    this.makeDashboard(spec);
    return namespace.apply(() => "publishing");
  }

  private makeLogGroups({ logs, region, logRetentionDays }: MonitoringSpec): cloudwatch.LogGroup[] {
    return LOG_STREAMS.map(
      (stream) =>
        new cloudwatch.LogGroup(
          `${this.name}-${stream}`,
          { name: `${logs}/${stream}`, region, retentionInDays: logRetentionDays },
          { parent: this },
        ),
    );
  }

  /** A host without a role has keys, or a chain of its own: their rights are whoever made them's to give. */
  private letHostPublish({ namespace }: MonitoringSpec, groups: cloudwatch.LogGroup[]): iam.RolePolicy[] {
    const { role } = this.args;
    if (role === null) return [];
    const arns = pulumi.all(groups.map(({ arn }) => arn));
    const policy = arns.apply((known) => JSON.stringify(publisherPolicy(namespace, known)));
    const args = { name: "monitoring", role, policy };
    return [new iam.RolePolicy(`${this.name}-publish`, args, { parent: this })];
  }

  /** @returns the namespace, once the host publishes into it */
  private publish(spec: MonitoringSpec, before: pulumi.Resource[]): pulumi.Output<string> {
    const { host, database } = this.args;
    const plain = monitoringSettings(spec);
    const credentials = spec.credentials === null ? null : pulumi.secret(spec.credentials);
    const act = pulumi.output(credentials).apply((known): MonitoringAct => ({
      act: "monitoring",
      settings: { ...plain, credentials: known },
      seenForSeconds: seenForSeconds(spec),
    }));
    // By their URNs: a preview knows those of what is new.
    const waitFor = [database.ready, ...before.map(({ urn }) => urn)];
    return hostAct(`${this.name}-act`, { host, act, result, waitFor }, { parent: this }).done(spec.namespace);
  }

  private makeTopics(
    { prefix, region, permissionsBoundary, recipients }: MonitoringSpec,
    arns: pulumi.Output<readonly string[]>,
  ): Record<Severity, pulumi.Output<string>> {
    const opts = { parent: this };
    const policy = arns.apply(([arn = ""]) => JSON.stringify(topicKeyPolicy(ownerIn(arn))));
    const key = new kms.Key(
      `${this.name}-key`,
      {
        ...{ description: `Alarms of ${prefix} on their way`, region },
        ...{ enableKeyRotation: true, deletionWindowInDays: KEY_DELETION_DAYS, policy },
      },
      opts,
    );
    const aliasArgs = { name: `alias/${prefix}-alarms`, region, targetKeyId: key.keyId };
    new kms.Alias(`${this.name}-key-alias`, aliasArgs, opts);
    const make = (severity: Severity) => {
      const displayName = `${prefix} ${severity}`.slice(0, 100);
      const args = {
        topic: `${prefix}-${severity}`,
        displayName,
        region,
        keyId: key.arn,
        permissionsBoundary,
      };
      return new AlarmTopic(`${this.name}-${severity}`, { ...args, recipients: recipients[severity] }, opts)
        .arn;
    };
    const [page, warn] = SEVERITIES;
    return { [page]: make(page), [warn]: make(warn) };
  }

  private makeAlarm(
    alarm: Alarm,
    { prefix, region, stack }: MonitoringSpec,
    topics: Record<Severity, pulumi.Output<string>>,
    namespace: pulumi.Output<string>,
  ): void {
    // CloudWatch tells of changes of the state alone: that something is wrong once, that it is well again once.
    const actions = [topics[alarm.severity]];
    const args: cloudwatch.MetricAlarmArgs = {
      ...{ name: `${prefix}-${alarm.name}`, region, alarmDescription: alarm.description },
      ...{ namespace, metricName: alarm.metric, statistic: alarm.statistic },
      dimensions: { Stack: stack, ...(alarm.audience === null ? {} : { Colour: alarm.audience }) },
      ...{ comparisonOperator: alarm.comparison, threshold: alarm.threshold },
      ...{ period: alarm.periodSeconds, evaluationPeriods: alarm.periods, treatMissingData: alarm.missing },
      ...{ alarmActions: actions, okActions: actions },
    };
    new cloudwatch.MetricAlarm(`${this.name}-${alarm.name}`, args, { parent: this });
  }

  private makeDashboard(spec: MonitoringSpec): void {
    const { prefix, region, namespace, stack, business, hasDatabase, webhookPath, limits } = spec;
    const body = dashboardBody({
      ...{
        region,
        namespace,
        stack,
        hasDatabase,
        hasWebhook: webhookPath !== null,
        business: Object.keys(business),
      },
      limits: {
        errorRate: { warn: limits.errorRateWarning.percent, page: limits.errorRate.percent },
        responseTime: {
          warn: limits.responseTimeWarning.milliseconds,
          page: limits.responseTime.milliseconds,
        },
        ...{ cpu: limits.cpu.percent, memory: limits.memory.percent, disk: limits.disk.percent },
        certificate: {
          warn: limits.certificateExpiringWarning.days,
          page: limits.certificateExpiring.days,
        },
        backupAge: limits.backupOverdue.hours,
        paymentsAllFailed: limits.paymentsAllFailed.count,
        webhookRefused: limits.webhookRefused.count,
      },
    });
    const args = { dashboardName: prefix, region, dashboardBody: body };
    new cloudwatch.Dashboard(`${this.name}-dashboard`, args, { parent: this });
  }
}
