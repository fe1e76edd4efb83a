/*
 * What the stack's deployer may do in the sandbox: what its resources need, service by service, and nothing else. Production's
 * is an operator's to write; this one shows what has to be in it.
 */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  s3: [
    "CreateBucket",
    "DeleteBucket",
    "ListBucket",
    "ListBucketVersions",
    "GetBucket*",
    "PutBucket*",
    "DeleteBucketPolicy",
    "GetEncryptionConfiguration",
    "PutEncryptionConfiguration",
    "GetLifecycleConfiguration",
    "PutLifecycleConfiguration",
  ],
  iam: [
    "GetUser",
    "*Role",
    "*RolePolicy",
    "*RolePolicies",
    "*AssumeRolePolicy",
    "*InstanceProfile",
    "*InstanceProfilesForRole",
  ],
  ec2: [
    "Describe*",
    "*Tags",
    "*Vpc",
    "ModifyVpcAttribute",
    "*Subnet",
    "ModifySubnetAttribute",
    "*InternetGateway",
    "*RouteTable",
    "*Route",
    "*SecurityGroup",
    "*SecurityGroupIngress",
    "*SecurityGroupEgress",
    "ModifySecurityGroupRules",
    "*Address",
    "*Instances",
    "*IamInstanceProfile",
  ],
  sns: [
    "*Topic",
    "*TopicAttributes",
    "Subscribe",
    "Unsubscribe",
    "*SubscriptionAttributes",
    "ListSubscriptionsByTopic",
    "*Resource",
  ],
  cloudwatch: ["*Alarms", "PutMetricAlarm", "*Dashboard", "*Dashboards", "*Resource"],
  logs: ["*LogGroup", "*LogGroups", "*RetentionPolicy", "*MetricFilter", "*MetricFilters", "*Resource"],
  route53: ["ChangeResourceRecordSets", "ListResourceRecordSets"],
  kms: [
    "*Key",
    "*Alias",
    "*Aliases",
    "*KeyRotation",
    "*KeyRotationStatus",
    "*KeyPolicy",
    "*KeyDeletion",
    "*KeyDescription",
    "*ResourceTags",
    "*Resource",
  ],
};

/** The deployer's policy. */
export function deployerPolicy(): string {
  const actions = Object.entries(ACTIONS).flatMap(([service, names]) =>
    names.map((name) => `${service}:${name}`),
  );
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: actions, Resource: "*" }],
  });
}
