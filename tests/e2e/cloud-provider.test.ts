import { TestCloud } from "./support/cloud";
import type { Made, Properties } from "./support/plugin-client";

jest.setTimeout(120_000);

let cloud: TestCloud;

beforeAll(async () => {
  cloud = await TestCloud.create("cloud-provider-test");
}, 120_000);

afterAll(async () => {
  await cloud.remove();
});

const ACCOUNT_POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } }],
});

/** Type, inputs and a change of them that the type takes in place; null where every change replaces. */
interface Case {
  readonly type: string;
  readonly inputs: Properties;
  readonly change: Properties | null;
}

/** Makes, reads, changes, reads and deletes a resource, and expects that nothing differs after each. */
async function live({ type, inputs, change }: Case): Promise<void> {
  const name = type.slice(type.lastIndexOf(":") + 1).toLowerCase();
  const { plugin } = cloud;
  let made = await plugin.create(type, name, inputs);
  expect(made.id).not.toBe("");
  await expectSettled(made);
  if (change !== null) {
    const { inputs: news } = await plugin.check(type, name, { ...inputs, ...change }, made.inputs);
    const diff = await plugin.diff(made, news);
    expect({ ...diff, changed: [...diff.changed].sort() }).toMatchObject({
      changed: Object.keys(change).sort(),
      replaces: [],
    });
    made = await plugin.update(made, { ...inputs, ...change });
    await expectSettled(made);
  }
  await plugin.delete(made);
  expect(await plugin.read(made)).toBeNull();
  // Deleted by somebody else meanwhile is deleted.
  await plugin.delete(made);
}

async function expectSettled(made: Made): Promise<void> {
  expect(await cloud.plugin.diff(made, made.inputs)).toMatchObject({ changed: [] });
  const read = await cloud.plugin.read(made);
  expect(read?.inputs).toEqual(made.inputs);
  expect(read?.outputs).toEqual(made.outputs);
}

describe("a resource is made, read, changed in place and deleted", () => {
  const alarm = {
    alarmDescription: "down",
    namespace: "Site",
    metricName: "ApplicationUp",
    dimensions: { Stack: "production" },
    statistic: "Minimum",
    comparisonOperator: "LessThanThreshold",
    threshold: 1,
    period: 60,
    evaluationPeriods: 2,
    treatMissingData: "breaching",
  };
  it.each<Case>([
    { type: "aws:s3/bucket:Bucket", inputs: { bucket: "plain-bucket" }, change: { tags: { Name: "one" } } },
    {
      type: "aws:sns/topic:Topic",
      inputs: { name: "page" },
      change: { displayName: "Page", tags: { a: "b" } },
    },
    {
      type: "aws:cloudwatch/metricAlarm:MetricAlarm",
      inputs: { name: "down", ...alarm },
      change: { threshold: 2, alarmDescription: "still down", dimensions: { Stack: "staging" } },
    },
    {
      type: "aws:cloudwatch/metricAlarm:MetricAlarm",
      inputs: {
        name: "ratio",
        alarmDescription: "ratio",
        comparisonOperator: "GreaterThanThreshold",
        evaluationPeriods: 3,
        threshold: 5,
        metricQueries: [
          { id: "e", expression: "m / 2", label: "half", returnData: true },
          {
            id: "m",
            metric: {
              metricName: "Requests",
              namespace: "Site",
              period: 60,
              stat: "Sum",
              dimensions: { a: "b" },
            },
          },
        ],
      },
      change: { threshold: 6 },
    },
    {
      type: "aws:cloudwatch/dashboard:Dashboard",
      inputs: { dashboardName: "site", dashboardBody: JSON.stringify({ widgets: [] }) },
      change: {
        dashboardBody: JSON.stringify({
          widgets: [{ type: "text", x: 0, y: 0, width: 6, height: 3, properties: { markdown: "Site" } }],
        }),
      },
    },
    {
      type: "aws:cloudwatch/logGroup:LogGroup",
      inputs: { name: "/site/production/access", retentionInDays: 30 },
      change: { retentionInDays: 90, tags: { Name: "access" } },
    },
    {
      type: "aws:iam/role:Role",
      inputs: { name: "host", assumeRolePolicy: ACCOUNT_POLICY, description: "What the host may do" },
      change: { description: "What it may do", maxSessionDuration: 7200, tags: { Name: "site" } },
    },
    {
      type: "aws:iam/instanceProfile:InstanceProfile",
      inputs: { name: "bare" },
      change: { tags: { a: "b" } },
    },
    {
      type: "aws:kms/key:Key",
      inputs: { description: "state", enableKeyRotation: true },
      change: { description: "state of the stack", enableKeyRotation: false },
    },
    {
      type: "aws:ec2/vpc:Vpc",
      inputs: { cidrBlock: "10.1.0.0/24", assignGeneratedIpv6CidrBlock: true, tags: { Name: "site" } },
      change: { enableDnsHostnames: true, tags: { Name: "other" } },
    },
    { type: "aws:ec2/eip:Eip", inputs: { domain: "vpc" }, change: { tags: { Name: "site" } } },
    {
      type: "aws:ec2/securityGroup:SecurityGroup",
      inputs: { description: "site: SSH from named networks" },
      change: { tags: { Name: "site" } },
    },
    {
      type: "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration",
      inputs: {
        configurationName: "page",
        slackTeamId: "T0123",
        slackChannelId: "C0123",
        iamRoleArn: "arn:aws:iam::000000000000:role/bot",
        snsTopicArns: ["arn:aws:sns:us-east-1:000000000000:page"],
      },
      change: { loggingLevel: "ERROR" },
    },
  ])("$type $inputs.name", live);
});

it("parts of a bucket", async () => {
  const bucket = await cloud.plugin.create("aws:s3/bucket:Bucket", "parts", { objectLockEnabled: true });
  const name = bucket.id;
  const part = (type: string, inputs: Properties, change: Properties | null): Case => ({
    type: `aws:s3/bucket${type}:Bucket${type}`,
    inputs: { bucket: name, ...inputs },
    change,
  });
  const policy = (Sid: string): string =>
    JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid,
          Effect: "Deny",
          Principal: "*",
          Action: "s3:GetObject",
          Resource: `arn:aws:s3:::${name}/*`,
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    });
  const rule = {
    id: "backups",
    status: "Enabled",
    filter: { prefix: "site/20" },
    transitions: [{ days: 30, storageClass: "STANDARD_IA" }],
    expiration: { days: 365 },
    noncurrentVersionExpiration: { noncurrentDays: 1 },
  };
  const unfinished = {
    id: "unfinished",
    status: "Enabled",
    filter: { prefix: "" },
    abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
  };
  const sse = (sseAlgorithm: string): Properties => ({
    rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm } }],
  });
  const open = { blockPublicAcls: false, blockPublicPolicy: true };
  await live(part("LifecycleConfiguration", { rules: [rule, unfinished] }, { rules: [rule] }));
  await live(part("PublicAccessBlock", { ...open, ignorePublicAcls: true }, { blockPublicAcls: true }));
  await live(
    part(
      "OwnershipControls",
      { rule: { objectOwnership: "BucketOwnerEnforced" } },
      { rule: { objectOwnership: "BucketOwnerPreferred" } },
    ),
  );
  await live(part("Policy", { policy: policy("One") }, { policy: policy("Other") }));
  for (const lasting of [
    part("ServerSideEncryptionConfiguration", sse("AES256"), sse("aws:kms")),
    part("Versioning", { versioningConfiguration: { status: "Enabled" } }, null),
    part("ObjectLockConfiguration", { rule: { defaultRetention: { mode: "GOVERNANCE", days: 30 } } }, null),
  ]) {
    // What a bucket always has in some way: a delete takes it back to how it was born.
    const made = await cloud.plugin.create(lasting.type, "lasting", lasting.inputs);
    await expectSettled(made);
  }
  await cloud.plugin.delete(bucket);
});
