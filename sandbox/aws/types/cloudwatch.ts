import {
  DeleteAlarmsCommand,
  DeleteDashboardsCommand,
  DescribeAlarmsCommand,
  GetDashboardCommand,
  ListTagsForResourceCommand,
  PutDashboardCommand,
  PutMetricAlarmCommand,
  TagResourceCommand,
  UntagResourceCommand,
  type MetricAlarm,
  type MetricDataQuery,
  type PutMetricAlarmCommandInput,
} from "@aws-sdk/client-cloudwatch";

import { unless, type Cloud } from "../plugin/cloud";
import { flag, json, list, map, number, object, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { retag, tagList, tagOutputs } from "../plugin/tags";

const REFERENCE = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/";

const OPERATORS = [
  "GreaterThanOrEqualToThreshold",
  "GreaterThanThreshold",
  "LessThanThreshold",
  "LessThanOrEqualToThreshold",
  "LessThanLowerOrGreaterThanUpperThreshold",
  "LessThanLowerThreshold",
  "GreaterThanUpperThreshold",
];
const STATISTICS = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];
const MISSING = ["breaching", "notBreaching", "ignore", "missing"];

/** 10, 30, or a multiple of 60: anything else is refused by the API. */
const PERIODS = [10, 20, 30, ...Array.from({ length: 1440 }, (_, index) => 60 * (index + 1))];

const actions = list(text({ pattern: /^arn:/ }), { unordered: true, most: 5 });

const metricAlarm: ResourceType = {
  token: "aws:cloudwatch/metricAlarm:MetricAlarm",
  reference: `${REFERENCE}API_PutMetricAlarm.html`,
  properties: {
    name: text({ replaces: true }),
    alarmDescription: text(),
    actionsEnabled: flag(),
    alarmActions: actions,
    okActions: actions,
    insufficientDataActions: actions,
    comparisonOperator: text({ required: true, oneOf: OPERATORS }),
    evaluationPeriods: number({ required: true, from: 1 }),
    datapointsToAlarm: number({ from: 1 }),
    threshold: number(),
    thresholdMetricId: text(),
    treatMissingData: text({ oneOf: MISSING }),
    namespace: text({ pattern: /^[^:]/ }),
    metricName: text(),
    dimensions: map(),
    period: number({ steps: PERIODS }),
    statistic: text({ oneOf: STATISTICS }),
    extendedStatistic: text({ pattern: /^(p|tm|tc|ts|wm|IQM|TM|PR|TC|TS|WM)/ }),
    unit: text(),
    evaluateLowSampleCountPercentiles: text({ oneOf: ["evaluate", "ignore"] }),
    metricQueries: list(
      object({
        id: text({ required: true, pattern: /^[a-z]\w*$/ }),
        accountId: text(),
        expression: text(),
        label: text(),
        period: number({ steps: PERIODS }),
        returnData: flag(),
        metric: object({
          metricName: text({ required: true }),
          namespace: text(),
          dimensions: map(),
          period: number({ required: true, steps: PERIODS }),
          stat: text({ required: true }),
          unit: text(),
        }),
      }),
      { unordered: true },
    ),
    tags: map(),
  },
  computed: ["arn"],
  naming: { property: "name", longest: 255 },
  exclusive: [
    ["metricName", "metricQueries"],
    ["statistic", "extendedStatistic"],
    ["threshold", "thresholdMetricId"],
  ],

  async create(cloud, inputs) {
    await putAlarm(cloud, inputs);
    return inputs["name"] as string;
  },
  async read(cloud, id) {
    const cloudwatch = cloud.client("cloudwatch");
    const { MetricAlarms = [] } = await cloudwatch.send(new DescribeAlarmsCommand({ AlarmNames: [id] }));
    const [alarm] = MetricAlarms;
    if (alarm === undefined) return null;
    const { Tags } = await cloudwatch.send(new ListTagsForResourceCommand({ ResourceARN: alarm.AlarmArn }));
    return { ...alarmOutputs(alarm), ...tagOutputs(cloud, Tags) };
  },
  async update(cloud, _id, change) {
    const cloudwatch = cloud.client("cloudwatch");
    await putAlarm(cloud, change.news);
    const ResourceARN = change.olds["arn"] as string;
    await retag(
      cloud,
      change,
      (Tags) => cloudwatch.send(new TagResourceCommand({ ResourceARN, Tags })),
      (TagKeys) => cloudwatch.send(new UntagResourceCommand({ ResourceARN, TagKeys })),
    );
  },
  async delete(cloud, id) {
    const cloudwatch = cloud.client("cloudwatch");
    await unless(["ResourceNotFound", "ResourceNotFoundException"], () =>
      cloudwatch.send(new DeleteAlarmsCommand({ AlarmNames: [id] })),
    );
  },
};

async function putAlarm(cloud: Cloud, inputs: Values): Promise<void> {
  const cloudwatch = cloud.client("cloudwatch");
  const { dimensions, metricQueries, ...plain } = inputs as {
    dimensions?: Record<string, string>;
    metricQueries?: readonly Values[];
  } & Values;
  const request: Record<string, unknown> = {
    AlarmName: inputs["name"],
    ActionsEnabled: inputs["actionsEnabled"] ?? true,
    AlarmDescription: plain["alarmDescription"],
    AlarmActions: plain["alarmActions"],
    OKActions: plain["okActions"],
    InsufficientDataActions: plain["insufficientDataActions"],
    ComparisonOperator: plain["comparisonOperator"],
    EvaluationPeriods: plain["evaluationPeriods"],
    DatapointsToAlarm: plain["datapointsToAlarm"],
    Threshold: plain["threshold"],
    ThresholdMetricId: plain["thresholdMetricId"],
    TreatMissingData: plain["treatMissingData"],
    Namespace: plain["namespace"],
    MetricName: plain["metricName"],
    Period: plain["period"],
    Statistic: plain["statistic"],
    ExtendedStatistic: plain["extendedStatistic"],
    Unit: plain["unit"],
    EvaluateLowSampleCountPercentile: plain["evaluateLowSampleCountPercentiles"],
    Dimensions: dimensions === undefined ? undefined : dimensionList(dimensions),
    Metrics: metricQueries?.map(queryToApi),
    Tags: tagList(cloud, inputs),
  };
  await cloudwatch.send(new PutMetricAlarmCommand(request as unknown as PutMetricAlarmCommandInput));
}

function dimensionList(dimensions: Record<string, string>): { Name: string; Value: string }[] {
  return Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value }));
}

function queryToApi(query: Values): unknown {
  const metric = query["metric"] as (Values & { dimensions?: Record<string, string> }) | undefined;
  const Metric = metric && {
    MetricName: metric["metricName"],
    Namespace: metric["namespace"],
    Dimensions: dimensionList(metric.dimensions ?? {}),
  };
  return {
    Id: query["id"],
    AccountId: query["accountId"],
    Expression: query["expression"],
    Label: query["label"],
    Period: query["period"],
    ReturnData: query["returnData"] ?? false,
    MetricStat: metric && { Metric, Period: metric["period"], Stat: metric["stat"], Unit: metric["unit"] },
  };
}

function alarmOutputs(alarm: MetricAlarm): Values {
  const dimensions = (alarm.Dimensions ?? []).map(({ Name = "", Value = "" }) => [Name, Value] as const);
  return {
    arn: alarm.AlarmArn,
    name: alarm.AlarmName,
    alarmDescription: alarm.AlarmDescription,
    actionsEnabled: alarm.ActionsEnabled,
    alarmActions: alarm.AlarmActions,
    okActions: alarm.OKActions,
    insufficientDataActions: alarm.InsufficientDataActions,
    comparisonOperator: alarm.ComparisonOperator,
    evaluationPeriods: alarm.EvaluationPeriods,
    datapointsToAlarm: alarm.DatapointsToAlarm || undefined,
    threshold: alarm.Threshold,
    thresholdMetricId: alarm.ThresholdMetricId || undefined,
    treatMissingData: alarm.TreatMissingData ?? "missing",
    namespace: alarm.Namespace || undefined,
    metricName: alarm.MetricName || undefined,
    dimensions: dimensions.length === 0 ? undefined : Object.fromEntries(dimensions),
    period: alarm.Period || undefined,
    statistic: alarm.Statistic || undefined,
    extendedStatistic: alarm.ExtendedStatistic || undefined,
    unit: alarm.Unit || undefined,
    metricQueries:
      alarm.Metrics === undefined || alarm.Metrics.length === 0 ? undefined : alarm.Metrics.map(queryOutputs),
  };
}

function queryOutputs(query: MetricDataQuery): Values {
  const stat = query.MetricStat;
  const dimensions = (stat?.Metric?.Dimensions ?? []).map(({ Name = "", Value = "" }) => [Name, Value]);
  const metric = stat && {
    metricName: stat.Metric?.MetricName,
    namespace: stat.Metric?.Namespace,
    dimensions: Object.fromEntries(dimensions) as Values,
    period: stat.Period,
    stat: stat.Stat,
    unit: stat.Unit || undefined,
  };
  return {
    id: query.Id,
    accountId: query.AccountId || undefined,
    expression: query.Expression || undefined,
    label: query.Label || undefined,
    period: query.Period || undefined,
    returnData: query.ReturnData ?? false,
    metric: metric,
  };
}

const dashboard: ResourceType = {
  token: "aws:cloudwatch/dashboard:Dashboard",
  reference: `${REFERENCE}API_PutDashboard.html`,
  properties: {
    dashboardName: text({ required: true, replaces: true, pattern: /^[\w-]{1,255}$/ }),
    dashboardBody: json({ required: true }),
  },
  computed: ["dashboardArn"],
  async create(cloud, inputs) {
    await putDashboard(cloud, inputs);
    return inputs["dashboardName"] as string;
  },
  async read(cloud, id) {
    const cloudwatch = cloud.client("cloudwatch");
    const found = await unless(["ResourceNotFound", "DashboardNotFoundError"], () =>
      cloudwatch.send(new GetDashboardCommand({ DashboardName: id })),
    );
    return found === null
      ? null
      : { dashboardName: id, dashboardBody: found.DashboardBody, dashboardArn: found.DashboardArn };
  },
  update: (cloud, _id, { news }) => putDashboard(cloud, news),
  async delete(cloud, id) {
    const cloudwatch = cloud.client("cloudwatch");
    await unless(["ResourceNotFound", "DashboardNotFoundError"], () =>
      cloudwatch.send(new DeleteDashboardsCommand({ DashboardNames: [id] })),
    );
  },
};

async function putDashboard(cloud: Cloud, inputs: Values): Promise<void> {
  const cloudwatch = cloud.client("cloudwatch");
  const { dashboardName, dashboardBody } = inputs as { dashboardName: string; dashboardBody: string };
  const { DashboardValidationMessages: messages = [] } = await cloudwatch.send(
    new PutDashboardCommand({ DashboardName: dashboardName, DashboardBody: dashboardBody }),
  );
  const [message] = messages;
  if (message !== undefined) throw new Error(`${String(message.DataPath)}: ${String(message.Message)}`);
}

/** Alarms and dashboards. */
export const cloudwatchTypes: readonly ResourceType[] = [metricAlarm, dashboard];
