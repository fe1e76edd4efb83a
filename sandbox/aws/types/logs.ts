import {
  CreateLogGroupCommand,
  DeleteLogGroupCommand,
  DeleteMetricFilterCommand,
  DeleteRetentionPolicyCommand,
  DescribeLogGroupsCommand,
  DescribeMetricFiltersCommand,
  ListTagsForResourceCommand,
  PutMetricFilterCommand,
  PutRetentionPolicyCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from "@aws-sdk/client-cloudwatch-logs";

import { unless, type Cloud } from "../plugin/cloud";
import { flag, map, number, object, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { allTags, retag, tagOutputsOf } from "../plugin/tags";

const REFERENCE = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/";
const ABSENT = ["ResourceNotFoundException"];

/** The only retentions, in days; 0 keeps for ever. */
const RETENTIONS = [
  0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const logGroup: ResourceType = {
  token: "aws:cloudwatch/logGroup:LogGroup",
  reference: `${REFERENCE}API_CreateLogGroup.html`,
  properties: {
    name: text({ replaces: true, pattern: /^[\w./#-]{1,512}$/ }),
    retentionInDays: number({ steps: RETENTIONS }),
    kmsKeyId: text({ replaces: true }),
    logGroupClass: text({ replaces: true, oneOf: ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"] }),
    skipDestroy: flag(),
    tags: map(),
  },
  computed: ["arn"],
  naming: { property: "name", longest: 512 },

  async create(cloud, inputs) {
    const logs = cloud.client("logs");
    const { name, kmsKeyId } = inputs as { name: string; kmsKeyId?: string };
    const tags = allTags(cloud, inputs);
    await logs.send(
      new CreateLogGroupCommand({
        logGroupName: name,
        ...(kmsKeyId === undefined ? {} : { kmsKeyId }),
        ...(Object.keys(tags).length === 0 ? {} : { tags }),
      }),
    );
    await setRetention(cloud, name, inputs);
    return name;
  },
  async read(cloud, id, state) {
    const logs = cloud.client("logs");
    const { logGroups = [] } = await logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: id }));
    const found = logGroups.find((group) => group.logGroupName === id);
    if (found === undefined) return null;
    const arn = (found.logGroupArn ?? found.arn ?? "").replace(/:\*$/, "");
    const { tags = {} } = await logs.send(new ListTagsForResourceCommand({ resourceArn: arn }));
    return {
      name: id,
      arn,
      retentionInDays: found.retentionInDays ?? 0,
      kmsKeyId: found.kmsKeyId,
      logGroupClass: found.logGroupClass ?? "STANDARD",
      skipDestroy: state["skipDestroy"] ?? false,
      ...tagOutputsOf(cloud, tags),
    };
  },
  async update(cloud, id, change) {
    const logs = cloud.client("logs");
    if (change.changed.has("retentionInDays")) await setRetention(cloud, id, change.news);
    const resourceArn = change.olds["arn"] as string;
    await retag(
      cloud,
      change,
      (tags) =>
        logs.send(
          new TagResourceCommand({
            resourceArn,
            tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value])),
          }),
        ),
      (tagKeys) => logs.send(new UntagResourceCommand({ resourceArn, tagKeys })),
    );
  },
  async delete(cloud, id, state) {
    if (state["skipDestroy"] === true) return;
    const logs = cloud.client("logs");
    await unless(ABSENT, () => logs.send(new DeleteLogGroupCommand({ logGroupName: id })));
  },
};

async function setRetention(cloud: Cloud, logGroupName: string, inputs: Values): Promise<void> {
  const logs = cloud.client("logs");
  const retentionInDays = (inputs["retentionInDays"] ?? 0) as number;
  if (retentionInDays === 0) await logs.send(new DeleteRetentionPolicyCommand({ logGroupName }));
  else await logs.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays }));
}

const metricFilter: ResourceType = {
  token: "aws:cloudwatch/logMetricFilter:LogMetricFilter",
  reference: `${REFERENCE}API_PutMetricFilter.html`,
  properties: {
    name: text({ replaces: true }),
    logGroupName: text({ required: true, replaces: true }),
    pattern: text({ required: true }),
    metricTransformation: object(
      {
        name: text({ required: true }),
        namespace: text({ required: true }),
        value: text({ required: true }),
        defaultValue: text(),
        unit: text(),
        dimensions: map(),
      },
      { required: true },
    ),
  },
  computed: [],
  naming: { property: "name", longest: 512 },
  async create(cloud, inputs) {
    await putFilter(cloud, inputs);
    return inputs["name"] as string;
  },
  async read(cloud, id, state) {
    const logs = cloud.client("logs");
    const logGroupName = state["logGroupName"] as string;
    const found = await unless(ABSENT, () =>
      logs.send(new DescribeMetricFiltersCommand({ logGroupName, filterNamePrefix: id })),
    );
    const filter = (found?.metricFilters ?? []).find((one) => one.filterName === id);
    const transformation = filter?.metricTransformations?.[0];
    if (filter === undefined || transformation === undefined) return null;
    return {
      name: id,
      logGroupName,
      pattern: filter.filterPattern ?? "",
      metricTransformation: {
        name: transformation.metricName,
        namespace: transformation.metricNamespace,
        value: transformation.metricValue,
        defaultValue:
          transformation.defaultValue === undefined ? undefined : String(transformation.defaultValue),
        unit: transformation.unit,
        dimensions: transformation.dimensions,
      },
    };
  },
  update: (cloud, _id, { news }) => putFilter(cloud, news),
  async delete(cloud, id, state) {
    const logs = cloud.client("logs");
    const logGroupName = state["logGroupName"] as string;
    await unless(ABSENT, () => logs.send(new DeleteMetricFilterCommand({ logGroupName, filterName: id })));
  },
};

async function putFilter(cloud: Cloud, inputs: Values): Promise<void> {
  const logs = cloud.client("logs");
  const { name, logGroupName, pattern, metricTransformation } = inputs as {
    name: string;
    logGroupName: string;
    pattern: string;
    metricTransformation: Record<"name" | "namespace" | "value", string> & {
      defaultValue?: string;
      unit?: "Count";
      dimensions?: Record<string, string>;
    };
  };
  const { defaultValue, unit, dimensions } = metricTransformation;
  await logs.send(
    new PutMetricFilterCommand({
      filterName: name,
      logGroupName,
      filterPattern: pattern,
      metricTransformations: [
        {
          metricName: metricTransformation.name,
          metricNamespace: metricTransformation.namespace,
          metricValue: metricTransformation.value,
          ...(defaultValue === undefined ? {} : { defaultValue: Number(defaultValue) }),
          ...(unit === undefined ? {} : { unit }),
          ...(dimensions === undefined ? {} : { dimensions }),
        },
      ],
    }),
  );
}

/** Log groups, and what is counted in them. */
export const logsTypes: readonly ResourceType[] = [logGroup, metricFilter];
