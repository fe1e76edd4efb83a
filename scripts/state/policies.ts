import { boundaryName, roleNames } from "../../components/role-names";

/** Policies of AWS, as data. Lists of one are written as AWS gives them back: without the list. */

/** A policy document. */
export interface Policy {
  readonly Version: "2012-10-17";
  readonly Statement: readonly object[];
}

/** What the policies are about. */
export interface Names {
  /** `aws`, or `aws-cn` and the like. */
  readonly partition: string;
  readonly account: string;
  readonly region: string;
  /** What the names of all that belongs to the application begin with. */
  readonly name: string;
  readonly bucket: string;
  readonly keyArn: string;
}

/** GitHub's issuer of identities. */
export const GITHUB_ISSUER = "token.actions.githubusercontent.com";

/** Whom such an identity is for. */
export const GITHUB_AUDIENCE = "sts.amazonaws.com";

/** A bucket that speaks TLS only, and keeps nothing that another key or none has encrypted. */
export function bucketPolicy({ partition, bucket, keyArn }: Names): Policy {
  const all = [`arn:${partition}:s3:::${bucket}`, `arn:${partition}:s3:::${bucket}/*`];
  const deny = { Effect: "Deny", Principal: "*" };
  const put = { Action: "s3:PutObject", Resource: all[1] };
  return policy(
    {
      Sid: "TlsOnly",
      ...deny,
      Action: "s3:*",
      Resource: all,
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    // Who names no encryption gets the bucket's own.
    {
      Sid: "NoOtherEncryption",
      ...deny,
      ...put,
      Condition: named("s3:x-amz-server-side-encryption", "aws:kms"),
    },
    {
      Sid: "NoOtherKey",
      ...deny,
      ...put,
      Condition: named("s3:x-amz-server-side-encryption-aws-kms-key-id", keyArn),
    },
  );
}

/** Lets jobs in that run in one of these environments of a repository of GitHub's, and nobody else. */
export function trustPolicy(
  { partition, account }: Names,
  repository: string,
  environments: readonly string[],
): Policy {
  return policy({
    Effect: "Allow",
    Principal: { Federated: `arn:${partition}:iam::${account}:oidc-provider/${GITHUB_ISSUER}` },
    Action: "sts:AssumeRoleWithWebIdentity",
    Condition: {
      StringEquals: {
        [`${GITHUB_ISSUER}:aud`]: GITHUB_AUDIENCE,
        [`${GITHUB_ISSUER}:sub`]: environments.map((name) => `repo:${repository}:environment:${name}`),
      },
    },
  });
}

/** What a preview needs of the state: to read it, and the secrets in it. */
export function readStatePolicy(names: Names): Policy {
  return policy(
    { Effect: "Allow", Action: "s3:ListBucket", Resource: bucketArn(names) },
    { Effect: "Allow", Action: "s3:GetObject", Resource: `${bucketArn(names)}/*` },
    { Effect: "Allow", Action: ["kms:Decrypt", "kms:DescribeKey"], Resource: names.keyArn },
  );
}

/** What an update needs of the state: to write it too, and locks. No version of it can be taken away for good. */
export function writeStatePolicy(names: Names): Policy {
  const objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
  const key = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"];
  return policy(
    { Effect: "Allow", Action: "s3:ListBucket", Resource: bucketArn(names) },
    { Effect: "Allow", Action: objects, Resource: `${bucketArn(names)}/*` },
    { Effect: "Allow", Action: key, Resource: names.keyArn },
  );
}

/** What opening SSH for a run takes: rules of the security groups that bear the names which the stacks give theirs. */
export function sshPolicy({ partition, account, region, name }: Names, stacks: readonly string[]): Policy {
  const groups = stacks.map((stack) => `${name}-${stack}`);
  const change = [
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:ModifySecurityGroupRules",
    "ec2:RevokeSecurityGroupIngress",
  ];
  const ec2 = `arn:${partition}:ec2:${region}:${account}`;
  return policy(
    { Effect: "Allow", Action: "ec2:DescribeSecurityGroupRules", Resource: "*" },
    {
      Effect: "Allow",
      Action: change,
      Resource: `${ec2}:security-group/*`,
      Condition: { StringEquals: { "aws:ResourceTag/Name": one(groups) } },
    },
    // A rule is a resource of its own, which EC2 asks for beside the group; it has no tags.
    { Effect: "Allow", Action: change, Resource: `${ec2}:security-group-rule/*` },
  );
}

/** Services of AWS whose resources the program may describe, and what reading them takes. No contents of buckets. */
const READING: Readonly<Record<string, readonly string[]>> = {
  chatbot: ["chatbot:Describe*", "chatbot:Get*", "chatbot:List*"],
  cloudwatch: ["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"],
  ec2: ["ec2:Describe*", "ec2:Get*"],
  iam: ["iam:Get*", "iam:List*"],
  kms: ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:List*"],
  logs: ["logs:Describe*", "logs:Get*", "logs:List*"],
  route53: ["route53:Get*", "route53:List*"],
  s3: [
    ...["s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration"],
    ...["s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListAllMyBuckets"],
    "s3:ListBucket",
  ],
  sns: ["sns:Get*", "sns:List*"],
};

/** What comparing the program's resources with what is there takes. */
export function readResourcesPolicy(): Policy {
  return policy({ Effect: "Allow", Action: Object.values(READING).flat(), Resource: "*" });
}

/** What looking after a key takes; making one is beside it, for what is not there has no ARN. */
const KEY_CHANGES = [
  ...[
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DisableKeyRotation",
    "kms:EnableKeyRotation",
    "kms:PutKeyPolicy",
  ],
  ...["kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias"],
  "kms:UpdateKeyDescription",
];

/** What gives a role rights, and what puts the boundary above it. None of IAM's managed policies can be attached, AdministratorAccess among them. */
const ROLE_GRANTS = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"];

/** What else looking after a role takes. None of it gives the role a right. */
const ROLE_CHANGES = [
  ...["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:TagRole", "iam:UntagRole"],
  ...["iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"],
];

/** What looking after a machine's profile takes. */
const PROFILE_CHANGES = [
  ...["iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile"],
  ...["iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:UntagInstanceProfile"],
];

/** Gives roles to a service, and to no other. */
function passRoles(roles: readonly string[], service: string): object {
  const Condition = { StringEquals: { "iam:PassedToService": service } };
  return { Effect: "Allow", Action: "iam:PassRole", Resource: one(roles), Condition };
}

/** ARN of the boundary of the stacks' roles. */
export function boundaryArn({
  partition,
  account,
  name,
}: Pick<Names, "partition" | "account" | "name">): string {
  return `arn:${partition}:iam::${account}:policy/${boundaryName(name)}`;
}

/**
 * The most that a role of the stacks can have, whatever it is given: what the host does. The bots' roles have nothing. Of buckets no names are
 * known here, so only what is done with one is bounded; the state's is out of reach. What a role may do is what both this and its own policies
 * allow (IAM User Guide, "Permissions boundaries for IAM entities").
 */
export function boundaryPolicy(names: Names): Policy {
  const { partition, account, name } = names;
  return policy(
    {
      Sid: "Backups",
      Effect: "Allow",
      Action: [
        ...["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket", "s3:ListMultipartUploadParts"],
        "s3:PutObject",
      ],
      Resource: `arn:${partition}:s3:::*`,
    },
    { Sid: "Metrics", Effect: "Allow", Action: "cloudwatch:PutMetricData", Resource: "*" },
    {
      Sid: "Logs",
      Effect: "Allow",
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: `arn:${partition}:logs:*:${account}:log-group:/${name}/*`,
    },
    {
      Sid: "NotTheState",
      Effect: "Deny",
      Action: "s3:*",
      Resource: [bucketArn(names), `${bucketArn(names)}/*`],
    },
  );
}

/**
 * Lets roles be given rights as long as the boundary is above them, and nobody take it away. The condition is about the boundary that the role
 * has, or that the request names where it makes the role or sets one (Service Authorization Reference, "Condition keys for AWS IAM").
 */
function bounded(roles: readonly string[], boundary: string): object[] {
  const Condition = { StringEquals: { "iam:PermissionsBoundary": boundary } };
  return [
    { Effect: "Allow", Action: ROLE_GRANTS, Resource: roles, Condition },
    { Effect: "Allow", Action: ROLE_CHANGES, Resource: roles },
    { Effect: "Deny", Action: "iam:DeleteRolePermissionsBoundary", Resource: "*" },
  ];
}

/** What making and changing the program's resources takes, in IAM by the names that the stacks give theirs. */
export function changeResourcesPolicy(names: Names, stacks: readonly string[]): Policy {
  const { partition, account, name } = names;
  const iam = `arn:${partition}:iam::${account}`;
  const roles = stacks.map((stack) => roleNames(name, stack));
  const hosts = roles.map(({ host }) => `${iam}:role/${host}`);
  const bots = roles.flatMap(({ slack }) => slack.map((role) => `${iam}:role/${role}`));
  const profiles = roles.map(({ host }) => `${iam}:instance-profile/${host}`);
  const buckets = ["s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucket*"];
  return policy(
    {
      Effect: "Allow",
      Action: ["chatbot:*", "cloudwatch:*", "ec2:*", "logs:*", "route53:*", "sns:*"],
      Resource: "*",
    },
    ...bounded([...hosts, ...bots], boundaryArn(names)),
    { Effect: "Allow", Action: PROFILE_CHANGES, Resource: one(profiles) },
    passRoles(hosts, "ec2.amazonaws.com"),
    passRoles(bots, "chatbot.amazonaws.com"),
    {
      Effect: "Allow",
      Action: [...buckets, "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"],
      Resource: `arn:${partition}:s3:::*`,
    },
    { Effect: "Allow", Action: ["kms:CreateKey", ...KEY_CHANGES], Resource: "*" },
    // The pipelines' own roles, the boundary, and the state's bucket and key, are not the program's to change.
    {
      Effect: "Deny",
      Action: "iam:*",
      Resource: [`${iam}:role/${name}-preview`, `${iam}:role/${name}-deploy`, boundaryArn(names)],
    },
    {
      Effect: "Deny",
      Action: [...buckets, "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"],
      Resource: bucketArn(names),
    },
    { Effect: "Deny", Action: KEY_CHANGES, Resource: names.keyArn },
  );
}

/** A list as AWS gives it back. */
function one(values: readonly string[]): unknown {
  return values.length === 1 ? values[0] : values;
}

/** Holds where a request names another value than this one; `Null` says that it names any. */
function named(key: string, value: string): object {
  return { Null: { [key]: "false" }, StringNotEquals: { [key]: value } };
}

function bucketArn({ partition, bucket }: Names): string {
  return `arn:${partition}:s3:::${bucket}`;
}

function policy(...statements: object[]): Policy {
  return { Version: "2012-10-17", Statement: statements };
}
