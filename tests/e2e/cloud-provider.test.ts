import { CreateHostedZoneCommand, Route53Client } from "@aws-sdk/client-route-53";
import { GetDashboardCommand, PutDashboardCommand, CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CreateUserCommand, CreateAccessKeyCommand, IAMClient } from "@aws-sdk/client-iam";

import { BOUNDARY } from "../../sandbox/aws/deployer-policy";
import { UNKNOWN } from "../../sandbox/aws/plugin/properties";
import { TestCloud } from "./support/cloud";
import type { Diff, Made, Properties } from "./support/plugin-client";

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
      change: {
        ...{ description: "What it may do", maxSessionDuration: 7200, tags: { Name: "site" } },
        // In place: a role that was there before it had a boundary gets one.
        permissionsBoundary: BOUNDARY.arn,
      },
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

it("a network, its way out, and who may knock", async () => {
  const { plugin } = cloud;
  const vpc = await plugin.create("aws:ec2/vpc:Vpc", "vpc", {
    cidrBlock: "10.2.0.0/24",
    assignGeneratedIpv6CidrBlock: true,
  });
  const vpcId = vpc.id;
  const block = vpc.outputs["ipv6CidrBlock"] as string;
  expect(block).toMatch(/^fd.*00::\/56$/);
  const subnet = {
    vpcId,
    cidrBlock: "10.2.0.0/24",
    ipv6CidrBlock: block.replace("/56", "/64"),
    mapPublicIpOnLaunch: false,
  };
  await live({
    type: "aws:ec2/subnet:Subnet",
    inputs: subnet,
    change: { assignIpv6AddressOnCreation: true },
  });
  await expect(
    plugin.create("aws:ec2/subnet:Subnet", "elsewhere", { ...subnet, ipv6CidrBlock: "fd00:1:2:3::/64" }),
  ).rejects.toThrow("fd00:1:2:3::/64 is not in fd");
  await live({
    type: "aws:ec2/internetGateway:InternetGateway",
    inputs: { vpcId },
    change: { tags: { Name: "site" } },
  });
  await live({
    type: "aws:ec2/routeTable:RouteTable",
    inputs: { vpcId },
    change: { tags: { Name: "site" } },
  });

  const [plugged, gateway, table] = [
    await plugin.create("aws:ec2/subnet:Subnet", "subnet", subnet),
    await plugin.create("aws:ec2/internetGateway:InternetGateway", "gateway", { vpcId }),
    await plugin.create("aws:ec2/routeTable:RouteTable", "table", { vpcId }),
  ];
  const to = { routeTableId: table.id, gatewayId: gateway.id };
  await live({
    type: "aws:ec2/route:Route",
    inputs: { ...to, destinationCidrBlock: "0.0.0.0/0" },
    change: null,
  });
  await live({
    type: "aws:ec2/route:Route",
    inputs: { ...to, destinationIpv6CidrBlock: "::/0" },
    change: null,
  });
  await live({
    type: "aws:ec2/routeTableAssociation:RouteTableAssociation",
    inputs: { routeTableId: table.id, subnetId: plugged.id },
    change: null,
  });
  const group = await plugin.create("aws:ec2/securityGroup:SecurityGroup", "group", { vpcId });
  const securityGroupId = group.id;
  await live({
    type: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    inputs: { securityGroupId, ipProtocol: "tcp", fromPort: 22, toPort: 22, cidrIpv4: "192.0.2.0/24" },
    change: { cidrIpv4: "198.51.100.7/32" },
  });
  await live({
    type: "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    inputs: { securityGroupId, ipProtocol: "-1", cidrIpv6: "::/0" },
    change: { tags: { Name: "out" } },
  });
  for (const one of [group, table, gateway, plugged, vpc]) await plugin.delete(one);
});

it("what hangs on another resource", async () => {
  const { plugin } = cloud;
  const role = await plugin.create("aws:iam/role:Role", "machine", { assumeRolePolicy: ACCOUNT_POLICY });
  const allow = (Action: string): string =>
    JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource: "*" }] });
  await live({
    type: "aws:iam/rolePolicy:RolePolicy",
    inputs: { role: role.id, policy: allow("s3:GetObject") },
    change: { policy: allow("s3:PutObject") },
  });
  await live({
    type: "aws:iam/instanceProfile:InstanceProfile",
    inputs: { role: role.id },
    change: { tags: { Name: "site" } },
  });
  const topic = await plugin.create("aws:sns/topic:Topic", "warn", {});
  const publish = (Sid: string): string =>
    JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid,
          Effect: "Allow",
          Principal: { Service: "cloudwatch.amazonaws.com" },
          Action: "sns:Publish",
          Resource: topic.id,
        },
      ],
    });
  const policy = await plugin.create("aws:sns/topicPolicy:TopicPolicy", "policy", {
    arn: topic.id,
    policy: publish("one"),
  });
  await expectSettled(policy);
  await expectSettled(await plugin.update(policy, { arn: topic.id, policy: publish("other") }));
  await live({
    type: "aws:sns/topicSubscription:TopicSubscription",
    inputs: { topic: topic.id, protocol: "email", endpoint: "oncall@example.com" },
    change: null,
  });
  const key = await plugin.create("aws:kms/key:Key", "key", {});
  await live({
    type: "aws:kms/alias:Alias",
    inputs: { name: "alias/state", targetKeyId: key.id },
    change: null,
  });
  const group = await plugin.create("aws:cloudwatch/logGroup:LogGroup", "filtered", {});
  const metric = { name: "Faults", namespace: "Site", value: "1" };
  await live({
    type: "aws:cloudwatch/logMetricFilter:LogMetricFilter",
    inputs: { logGroupName: group.id, pattern: "ERROR", metricTransformation: metric },
    change: { pattern: "FATAL" },
  });
  const zone = await new Route53Client(cloud.client()).send(
    new CreateHostedZoneCommand({ Name: "site.example", CallerReference: "test" }),
  );
  const zoneId = zone.HostedZone?.Id?.replace("/hostedzone/", "") ?? "";
  await live({
    type: "aws:route53/record:Record",
    inputs: { zoneId, name: "site.example", type: "AAAA", ttl: 60, records: ["2001:db8::1"] },
    change: { ttl: 300, records: ["2001:db8::2"] },
  });
  for (const one of [group, key, policy, topic, role]) await plugin.delete(one);
});

it("a preview leaves unknown what only AWS knows, and touches nothing", async () => {
  const { plugin } = cloud;
  const topic = await plugin.create(
    "aws:sns/topic:Topic",
    "later",
    { displayName: UNKNOWN },
    { preview: true },
  );
  expect(topic.id).toBe("");
  expect(topic.outputs).toMatchObject({
    arn: UNKNOWN,
    displayName: UNKNOWN,
    name: expect.stringMatching(/^later-[0-9a-f]{7}$/) as string,
  });
  const made = { ...topic, id: `arn:aws:sns:us-east-1:000000000000:${topic.outputs["name"] as string}` };
  expect(await plugin.read(made)).toBeNull();
});

it("inputs that are wrong are named, each with its reason", async () => {
  const { faults } = await cloud.plugin.check("aws:cloudwatch/metricAlarm:MetricAlarm", "wrong", {
    evaluationPeriods: 0,
    comparisonOperator: "Above",
    period: 45,
    alarmActions: ["somebody"],
    metricQueries: [{ id: "a", metric: { metricName: "x", period: 60 } }],
    metricName: "x",
    colour: "blue",
    region: "eu-west-1",
  });
  expect(faults).toEqual([
    expect.stringContaining('alarmActions[0]: must match /^arn:/, not "somebody"'),
    expect.stringContaining("comparisonOperator: must be one of GreaterThanOrEqualToThreshold"),
    expect.stringContaining("evaluationPeriods: must be from 1 to Infinity, not 0"),
    expect.stringContaining("period: must be one of 10, 20, 30, 60"),
    expect.stringContaining(
      "metricQueries[0].metric.stat: aws:cloudwatch/metricAlarm:MetricAlarm requires it",
    ),
    expect.stringContaining(
      "colour: the sandbox's AWS does not know this property of aws:cloudwatch/metricAlarm",
    ),
    "metricName: cannot be given together with metricQueries",
    "region: the sandbox's AWS is in us-east-1, not in eu-west-1",
  ]);
  await expect(cloud.plugin.check("aws:lambda/function:Function", "none", {})).rejects.toThrow(
    "the sandbox's AWS has no resource type aws:lambda/function:Function: add it to sandbox/aws/types; it has aws:",
  );
});

it("a change of what a resource is made with replaces it; under a name that was given the old one goes first", async () => {
  const { plugin } = cloud;
  const type = "aws:iam/role:Role";
  const role = await plugin.create(type, "replaced", { assumeRolePolicy: ACCOUNT_POLICY });
  const moved = async (made: Made): Promise<Diff> =>
    plugin.diff(
      made,
      (await plugin.check(type, made.name, { ...made.inputs, path: "/site/" }, made.inputs)).inputs,
    );
  expect(await moved(role)).toEqual({ changed: ["path"], replaces: ["path"], deleteBeforeReplace: false });
  const named = {
    ...role,
    inputs: { ...role.inputs, name: "given" },
    outputs: { ...role.outputs, name: "given" },
  };
  expect(await moved(named)).toMatchObject({ replaces: ["path"], deleteBeforeReplace: true });
  expect(await plugin.diff(named, { ...named.inputs, name: "other" })).toMatchObject({
    replaces: ["name"],
    deleteBeforeReplace: false,
  });
  // A text of the same meaning is no change.
  const spaced = JSON.stringify(JSON.parse(ACCOUNT_POLICY), null, 2);
  expect(await plugin.diff(role, { ...role.inputs, assumeRolePolicy: spaced })).toMatchObject({
    changed: [],
  });
  await plugin.delete(role);
});

it("what somebody else changed is found by a read, and the next update puts it right", async () => {
  const { plugin } = cloud;
  const body = (markdown: string): string =>
    JSON.stringify({
      widgets: [{ type: "text", x: 0, y: 0, width: 6, height: 3, properties: { markdown } }],
    });
  const inputs = { dashboardName: "drifting", dashboardBody: body("ours") };
  const made = await plugin.create("aws:cloudwatch/dashboard:Dashboard", "drifting", inputs);
  const console_ = new CloudWatchClient(cloud.client());
  await console_.send(new PutDashboardCommand({ DashboardName: "drifting", DashboardBody: body("theirs") }));
  const drifted = await plugin.read(made);
  expect(drifted?.inputs["dashboardBody"]).toBe(body("theirs"));
  expect(await plugin.diff(drifted!, inputs)).toMatchObject({ changed: ["dashboardBody"], replaces: [] });
  await plugin.update(drifted!, inputs);
  const { DashboardBody } = await console_.send(new GetDashboardCommand({ DashboardName: "drifting" }));
  expect(DashboardBody).toBe(body("ours"));
  await plugin.delete(made);
});

it("a bucket that holds something is not deleted unless the program said so", async () => {
  const { plugin } = cloud;
  const put = new S3Client({ ...cloud.client(), forcePathStyle: true });
  const full = await plugin.create("aws:s3/bucket:Bucket", "full", {});
  await put.send(new PutObjectCommand({ Bucket: full.id, Key: "backup", Body: "x" }));
  await expect(plugin.delete(full)).rejects.toThrow(
    `aws:s3/bucket:Bucket ${full.id}: could not be deleted: DeleteBucket was answered BucketNotEmpty (409)`,
  );
  expect(await plugin.read(full)).not.toBeNull();
});

it("who may not is told so, with the call that was refused", async () => {
  const iam = new IAMClient(cloud.client());
  await iam.send(new CreateUserCommand({ UserName: "guest" }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "guest" }));
  const { providerConfig } = cloud.cloud;
  const guest = { accessKey: AccessKey?.AccessKeyId, secretKey: AccessKey?.SecretAccessKey };
  await cloud.plugin.configure({ ...providerConfig, ...guest });
  const create = cloud.plugin.create("aws:s3/bucket:Bucket", "forbidden", {});
  await expect(create).rejects.toThrow(
    /^aws:s3\/bucket:Bucket forbidden: could not be made: CreateBucket was answered AccessDenied \(403\): .*policy/,
  );
  await expect(create).rejects.not.toThrow(String(AccessKey?.SecretAccessKey));
  await cloud.plugin.configure({ ...providerConfig, secretKey: "not-the-one" });
  await expect(cloud.plugin.create("aws:sns/topic:Topic", "forged", {})).rejects.toThrow(
    /SignatureDoesNotMatch|InvalidClientTokenId/,
  );
  await cloud.plugin.configure(providerConfig);
});

it("a configuration that leads nowhere is refused, key by key", async () => {
  const { endpoints, ...config } = cloud.cloud.providerConfig;
  expect(await cloud.plugin.checkConfig({ ...config, profile: "production" })).toEqual([
    "endpoints: the sandbox's AWS requires it; bin/sandbox sets it",
    expect.stringContaining("profile: the sandbox's AWS does not know this key"),
  ]);
  expect(
    await cloud.plugin.checkConfig({ ...config, endpoints: [{ s3: "nowhere", lambda: "http://a" }] }),
  ).toEqual(
    expect.arrayContaining([
      "endpoints.s3: must be a URL",
      expect.stringContaining("endpoints.lambda: not one of"),
    ]),
  );
  expect(await cloud.plugin.checkConfig({ ...config, endpoints })).toEqual([]);
});

it("lookups", async () => {
  const { plugin } = cloud;
  expect(await plugin.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})).toMatchObject({
    accountId: "000000000000",
    arn: "arn:aws:iam::000000000000:user/deployer",
  });
  expect(await plugin.invoke("aws:index/getRegion:getRegion", {})).toMatchObject({ region: "us-east-1" });
  expect(await plugin.invoke("aws:index/getPartition:getPartition", {})).toMatchObject({ partition: "aws" });
  expect(await plugin.invoke("aws:ec2/getAmi:getAmi", { mostRecent: true })).toMatchObject({
    id: cloud.cloud.image,
  });
  const vpc = await plugin.invoke("aws:ec2/getVpc:getVpc", { default: true });
  const filters = [{ name: "vpc-id", values: [vpc["id"]] }];
  expect(await plugin.invoke("aws:ec2/getSubnets:getSubnets", { filters })).toMatchObject({
    ids: expect.arrayContaining([expect.stringMatching(/^subnet-/)]) as unknown,
  });
  expect(await plugin.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {})).toMatchObject({
    names: expect.arrayContaining(["us-east-1a"]) as unknown,
  });
});
