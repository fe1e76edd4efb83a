/*
 * Resources of Pulumi's AWS provider as CloudFormation has them, whose schemas say what each value may be: the real provider finds
 * a wrong one only when it asks AWS. An input or a type that has no counterpart here is an error, and not left out.
 */

/** Inputs of a resource, without marks of secrets. */
export type Inputs = Readonly<Record<string, unknown>>;

/** A resource of a template. */
export interface TemplateResource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** How a type's inputs are called in CloudFormation. */
interface Mapping {
  readonly type: string;
  /** Inputs that have the same name there, with a large first letter, all the way down. */
  readonly same?: readonly string[];
  /** Those that have another name. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Those that are built in another way; an input is given to the one of its name. */
  readonly built?: Readonly<Record<string, (value: never, inputs: Inputs) => Inputs>>;
  /** What CloudFormation has no word for, since it is about how the provider works. */
  readonly none?: readonly string[];
  /** What CloudFormation wants and the resource has elsewhere. */
  readonly also?: Inputs;
}

const tags = (value: Readonly<Record<string, string>>): Inputs => ({
  Tags: Object.entries(value).map(([Key, Value]) => ({ Key, Value })),
});
const document =
  (name: string) =>
  (value: string | object): Inputs => ({
    [name]: typeof value === "string" ? (JSON.parse(value) as unknown) : value,
  });
const text =
  (name: string) =>
  (value: string | object): Inputs => ({ [name]: typeof value === "string" ? value : JSON.stringify(value) });

/** A setting of a bucket is a property of the bucket there. */
const setting = (built: Mapping["built"]): Mapping => ({
  type: "AWS::S3::Bucket",
  none: ["bucket"],
  built: built ?? {},
});

const rule = (type: string): Mapping => ({
  type,
  same: ["ipProtocol", "fromPort", "toPort", "description"],
  renamed: { securityGroupId: "GroupId", cidrIpv4: "CidrIp", cidrIpv6: "CidrIpv6" },
  none: ["tags"],
});

interface LifecycleRule {
  readonly filter?: { readonly prefix?: string };
  readonly expiration?: {
    readonly days?: number;
    readonly date?: string;
    readonly expiredObjectDeleteMarker?: boolean;
  };
  readonly transitions?: readonly {
    readonly days?: number;
    readonly date?: string;
    readonly storageClass: string;
  }[];
}

/** Days of an age are told apart from those of others by their names there. */
function lifecycleRule({ filter, expiration, transitions, ...rest }: LifecycleRule & Inputs): Inputs {
  return {
    ...(capitalised(rest) as Inputs),
    ...(filter?.prefix === undefined ? {} : { Prefix: filter.prefix }),
    ...withoutUndefined({
      ExpirationInDays: expiration?.days,
      ExpirationDate: expiration?.date,
      ExpiredObjectDeleteMarker: expiration?.expiredObjectDeleteMarker,
      Transitions: transitions?.map(({ days, date, storageClass }) =>
        withoutUndefined({ TransitionInDays: days, TransitionDate: date, StorageClass: storageClass }),
      ),
    }),
  };
}

const MAPPINGS: Readonly<Record<string, Mapping>> = {
  "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": {
    type: "AWS::Chatbot::SlackChannelConfiguration",
    same: ["configurationName", "slackChannelId", "iamRoleArn", "snsTopicArns", "loggingLevel"],
    renamed: {
      slackTeamId: "SlackWorkspaceId",
      guardrailPolicyArns: "GuardrailPolicies",
      userAuthorizationRequired: "UserRoleRequired",
    },
    built: { tags },
  },
  "aws:cloudwatch/metricAlarm:MetricAlarm": {
    type: "AWS::CloudWatch::Alarm",
    same: [
      ...[
        "alarmDescription",
        "actionsEnabled",
        "alarmActions",
        "insufficientDataActions",
        "comparisonOperator",
      ],
      ...["evaluationPeriods", "datapointsToAlarm", "threshold", "thresholdMetricId", "treatMissingData"],
      ...["namespace", "metricName", "period", "statistic", "extendedStatistic", "unit"],
    ],
    renamed: {
      name: "AlarmName",
      okActions: "OKActions",
      evaluateLowSampleCountPercentiles: "EvaluateLowSampleCountPercentile",
    },
    built: {
      tags,
      dimensions: (value: Inputs) => ({ Dimensions: dimensions(value) }),
      metricQueries: (queries: readonly (Inputs & { metric?: Inputs })[]) => ({
        Metrics: queries.map(metricQuery),
      }),
    },
  },
  "aws:cloudwatch/dashboard:Dashboard": {
    type: "AWS::CloudWatch::Dashboard",
    same: ["dashboardName"],
    built: { dashboardBody: text("DashboardBody") },
  },
  "aws:cloudwatch/logGroup:LogGroup": {
    type: "AWS::Logs::LogGroup",
    same: ["retentionInDays", "kmsKeyId", "logGroupClass"],
    renamed: { name: "LogGroupName" },
    built: { tags },
    none: ["skipDestroy"],
  },
  "aws:cloudwatch/logMetricFilter:LogMetricFilter": {
    type: "AWS::Logs::MetricFilter",
    same: ["logGroupName"],
    renamed: { name: "FilterName", pattern: "FilterPattern" },
    built: {
      metricTransformation: (value: Inputs) => ({ MetricTransformations: [metricTransformation(value)] }),
    },
  },
  "aws:ec2/eip:Eip": { type: "AWS::EC2::EIP", same: ["domain"], built: { tags } },
  "aws:ec2/eipAssociation:EipAssociation": {
    type: "AWS::EC2::EIPAssociation",
    same: ["allocationId", "instanceId"],
    none: ["allowReassociation"],
  },
  "aws:ec2/securityGroup:SecurityGroup": {
    type: "AWS::EC2::SecurityGroup",
    same: ["vpcId"],
    renamed: { name: "GroupName", description: "GroupDescription" },
    built: { tags },
  },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": rule("AWS::EC2::SecurityGroupIngress"),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": rule("AWS::EC2::SecurityGroupEgress"),
  "aws:ec2/instance:Instance": {
    type: "AWS::EC2::Instance",
    same: [
      ...[
        "instanceType",
        "subnetId",
        "availabilityZone",
        "iamInstanceProfile",
        "ipv6AddressCount",
        "userData",
      ],
      ...["disableApiTermination", "monitoring", "ebsOptimized", "metadataOptions"],
    ],
    renamed: { ami: "ImageId", vpcSecurityGroupIds: "SecurityGroupIds" },
    built: {
      tags,
      creditSpecification: ({ cpuCredits }: Inputs) => ({ CreditSpecification: { CPUCredits: cpuCredits } }),
      // Tags of a disk are its machine's launch template's there.
      rootBlockDevice: (device: Inputs) => ({
        BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: capitalised(without(device, "tags")) }],
      }),
    },
    none: ["associatePublicIpAddress", "disableApiStop", "userDataReplaceOnChange"],
  },
  "aws:ec2/vpc:Vpc": {
    type: "AWS::EC2::VPC",
    same: ["cidrBlock", "enableDnsSupport", "enableDnsHostnames"],
    built: { tags },
    // A resource of its own there, without any value to check.
    none: ["assignGeneratedIpv6CidrBlock"],
  },
  "aws:ec2/subnet:Subnet": {
    type: "AWS::EC2::Subnet",
    same: [
      ...["vpcId", "cidrBlock", "ipv6CidrBlock", "assignIpv6AddressOnCreation", "mapPublicIpOnLaunch"],
      "availabilityZone",
    ],
    built: { tags },
  },
  "aws:ec2/internetGateway:InternetGateway": {
    type: "AWS::EC2::InternetGateway",
    built: { tags },
    none: ["vpcId"],
  },
  "aws:ec2/routeTable:RouteTable": { type: "AWS::EC2::RouteTable", same: ["vpcId"], built: { tags } },
  "aws:ec2/route:Route": {
    type: "AWS::EC2::Route",
    same: ["routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock", "gatewayId"],
  },
  "aws:ec2/routeTableAssociation:RouteTableAssociation": {
    type: "AWS::EC2::SubnetRouteTableAssociation",
    same: ["routeTableId", "subnetId"],
  },
  "aws:iam/role:Role": {
    type: "AWS::IAM::Role",
    same: ["description", "path", "maxSessionDuration", "permissionsBoundary"],
    renamed: { name: "RoleName" },
    built: { tags, assumeRolePolicy: document("AssumeRolePolicyDocument") },
    none: ["forceDetachPolicies"],
  },
  "aws:iam/rolePolicy:RolePolicy": {
    type: "AWS::IAM::RolePolicy",
    renamed: { name: "PolicyName", role: "RoleName" },
    built: { policy: document("PolicyDocument") },
    also: { PolicyName: "made-by-the-provider" },
  },
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
    type: "AWS::IAM::Role",
    built: { policyArn: (arn: string) => ({ ManagedPolicyArns: [arn] }) },
    none: ["role"],
    also: {
      AssumeRolePolicyDocument: {
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } },
        ],
      },
    },
  },
  "aws:iam/instanceProfile:InstanceProfile": {
    type: "AWS::IAM::InstanceProfile",
    same: ["path"],
    renamed: { name: "InstanceProfileName" },
    built: { role: (role: string) => ({ Roles: [role] }) },
    none: ["tags"],
    also: { Roles: ["made-by-the-provider"] },
  },
  "aws:kms/key:Key": {
    type: "AWS::KMS::Key",
    same: ["description", "enableKeyRotation"],
    renamed: { deletionWindowInDays: "PendingWindowInDays" },
    built: { tags, policy: document("KeyPolicy") },
  },
  "aws:kms/alias:Alias": { type: "AWS::KMS::Alias", same: ["targetKeyId"], renamed: { name: "AliasName" } },
  "aws:route53/record:Record": {
    type: "AWS::Route53::RecordSet",
    same: ["name", "type"],
    renamed: { zoneId: "HostedZoneId", records: "ResourceRecords" },
    built: { ttl: (seconds: number) => ({ TTL: String(seconds) }) },
    none: ["allowOverwrite"],
  },
  "aws:s3/bucket:Bucket": {
    type: "AWS::S3::Bucket",
    same: ["objectLockEnabled"],
    renamed: { bucket: "BucketName" },
    built: { tags },
    none: ["forceDestroy"],
  },
  "aws:s3/bucketVersioning:BucketVersioning": setting({
    versioningConfiguration: (value: Inputs) => ({ VersioningConfiguration: capitalised(value) }),
  }),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": setting({
    rules: (rules: readonly Inputs[]) => ({
      BucketEncryption: {
        ServerSideEncryptionConfiguration: rules.map(
          ({ applyServerSideEncryptionByDefault: byDefault, ...rest }) => {
            const { sseAlgorithm, kmsMasterKeyId } = (byDefault ?? {}) as Inputs;
            const named = withoutUndefined({ SSEAlgorithm: sseAlgorithm, KMSMasterKeyID: kmsMasterKeyId });
            return { ...(capitalised(rest) as Inputs), ServerSideEncryptionByDefault: named };
          },
        ),
      },
    }),
  }),
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": setting(
    Object.fromEntries(
      ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"].map((name) => [
        name,
        (_value: never, inputs: Inputs) => ({
          PublicAccessBlockConfiguration: capitalised(without(inputs, "bucket")),
        }),
      ]),
    ),
  ),
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": setting({
    rule: (value: Inputs) => ({ OwnershipControls: { Rules: [capitalised(value)] } }),
  }),
  "aws:s3/bucketPolicy:BucketPolicy": {
    type: "AWS::S3::BucketPolicy",
    same: ["bucket"],
    built: { policy: document("PolicyDocument") },
  },
  "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": {
    ...setting({
      rule: (value: Inputs, { objectLockEnabled = "Enabled" }) => ({
        ObjectLockConfiguration: { ObjectLockEnabled: objectLockEnabled, Rule: capitalised(value) },
      }),
    }),
    none: ["bucket", "objectLockEnabled"],
    also: { ObjectLockEnabled: true },
  },
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
    ...setting({
      rules: (rules: readonly LifecycleRule[]) => ({
        LifecycleConfiguration: { Rules: rules.map((one) => lifecycleRule({ ...one })) },
      }),
    }),
    none: ["bucket", "transitionDefaultMinimumObjectSize"],
  },
  "aws:sns/topic:Topic": {
    type: "AWS::SNS::Topic",
    same: ["displayName", "kmsMasterKeyId"],
    renamed: { name: "TopicName" },
    built: { tags },
    // Resources and properties of their own there.
    none: ["policy", "deliveryPolicy"],
  },
  "aws:sns/topicPolicy:TopicPolicy": {
    type: "AWS::SNS::TopicPolicy",
    built: { arn: (arn: string) => ({ Topics: [arn] }), policy: document("PolicyDocument") },
  },
  "aws:sns/topicSubscription:TopicSubscription": {
    type: "AWS::SNS::Subscription",
    same: ["protocol", "endpoint", "rawMessageDelivery", "filterPolicyScope"],
    renamed: { topic: "TopicArn" },
    built: { filterPolicy: document("FilterPolicy"), deliveryPolicy: document("DeliveryPolicy") },
    none: ["endpointAutoConfirms", "confirmationTimeoutInMinutes"],
  },
};

/** Types that can be told in CloudFormation's words. */
export const MAPPED_TYPES: readonly string[] = Object.keys(MAPPINGS);

/**
 * Tells a resource in CloudFormation's words.
 * @throws Error for a type or an input that has no counterpart in the table above
 */
export function templateResource(type: string, inputs: Inputs): TemplateResource {
  const mapping = MAPPINGS[type];
  if (mapping === undefined)
    throw new Error(`${type} has no counterpart of CloudFormation's: add it to MAPPINGS`);
  const given = Object.entries(inputs).filter(([, value]) => value !== undefined && value !== null);
  const parts = given.map(([name, value]) => property(type, mapping, name, value, inputs));
  return { Type: mapping.type, Properties: Object.assign({}, mapping.also, ...parts) as Inputs };
}

function property(type: string, mapping: Mapping, name: string, value: unknown, inputs: Inputs): Inputs {
  const { same = [], renamed = {}, built = {}, none = [] } = mapping;
  const build = built[name];
  if (build !== undefined) return build(value as never, inputs);
  const other = renamed[name];
  if (other !== undefined) return { [other]: value };
  if (same.includes(name)) return { [capital(name)]: capitalised(value) };
  // Every regional type has a region; in CloudFormation it is the template's.
  if (none.includes(name) || name === "region") return {};
  throw new Error(`${type}: the input ${name} has no counterpart of CloudFormation's: add it to MAPPINGS`);
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** The same with a large first letter in every name. */
function capitalised(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(capitalised);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [capital(name), capitalised(one)]));
}

function without(values: Inputs, name: string): Inputs {
  return Object.fromEntries(Object.entries(values).filter(([one]) => one !== name));
}

function withoutUndefined(values: Inputs): Inputs {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function dimensions(values: Inputs): readonly Inputs[] {
  return Object.entries(values).map(([Name, Value]) => ({ Name, Value }));
}

function metricQuery({ metric, ...query }: Inputs & { readonly metric?: Inputs }): Inputs {
  if (metric === undefined) return capitalised(query) as Inputs;
  const { metricName, namespace, dimensions: of = {}, ...stat } = metric;
  const Metric = withoutUndefined({
    MetricName: metricName,
    Namespace: namespace,
    Dimensions: dimensions(of as Inputs),
  });
  return { ...(capitalised(query) as Inputs), MetricStat: { ...(capitalised(stat) as Inputs), Metric } };
}

function metricTransformation({
  name,
  namespace,
  value,
  defaultValue,
  unit,
  dimensions: of,
}: Inputs): Inputs {
  return withoutUndefined({
    ...{ MetricName: name, MetricNamespace: namespace, MetricValue: value, Unit: unit },
    DefaultValue: defaultValue === undefined ? undefined : Number(defaultValue),
    Dimensions:
      of === undefined ? undefined : Object.entries(of as Inputs).map(([Key, Value]) => ({ Key, Value })),
  });
}
