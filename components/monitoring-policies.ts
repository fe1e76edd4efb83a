/** Who may do what for the monitoring of a site: policies of AWS, as data. */

/** A policy document. */
export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly object[];
}

/** Whose resources they are. */
export interface Owner {
  /** `aws`, or `aws-cn` and the like. */
  readonly partition: string;
  readonly region: string;
  readonly account: string;
}

/**
 * Reads the owner off the ARN of a resource of a region, `arn:PARTITION:SERVICE:REGION:ACCOUNT:...`: AWS has said it, and nobody else
 * has to be asked.
 * @throws Error for what is no such ARN
 */
export function ownerIn(arn: string): Owner {
  const [, partition, region, account] = /^arn:([^:]+):[^:]+:([^:]+):([^:]+):/.exec(arn) ?? [];
  if (partition === undefined || region === undefined || account === undefined) {
    throw new Error(`${arn} is no ARN of a resource of a region and an account`);
  }
  return { partition, region, account };
}

/**
 * What the host does: puts values into its namespace, and lines into its log groups. It makes the streams in them, and neither
 * reads nor removes anything.
 * @param logGroups ARNs of the groups, without `:*`.
 */
export function publisherPolicy(namespace: string, logGroups: readonly string[]): PolicyDocument {
  return policy(
    {
      Effect: "Allow",
      Action: "cloudwatch:PutMetricData",
      // PutMetricData knows no resources; its namespace is a condition (Actions for CloudWatch, Service Authorization Reference).
      Resource: "*",
      Condition: { StringEquals: { "cloudwatch:namespace": namespace } },
    },
    {
      Effect: "Allow",
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      // A stream is made in a group and written to as itself.
      Resource: logGroups.flatMap((arn) => [arn, `${arn}:*`]),
    },
  );
}

/** Lets the account's alarms publish to a topic, and nobody without TLS. */
export function topicPolicy(topic: string, owner: Owner): PolicyDocument {
  const { partition, region, account } = owner;
  return policy(
    {
      ...{ Sid: "Alarms", Effect: "Allow", Principal: { Service: "cloudwatch.amazonaws.com" } },
      ...{ Action: "sns:Publish", Resource: topic },
      Condition: {
        StringEquals: { "aws:SourceAccount": account },
        ArnLike: { "aws:SourceArn": `arn:${partition}:cloudwatch:${region}:${account}:alarm:*` },
      },
    },
    {
      ...{ Sid: "TlsOnly", Effect: "Deny", Principal: "*", Action: "sns:Publish", Resource: topic },
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  );
}

/**
 * Of the topics' key. CloudWatch cannot use Amazon's own key for SNS, whose policy nobody can change: an alarm of a topic that is
 * encrypted by that one tells nobody (SNS Developer Guide, "Enable compatibility between event sources and encrypted topics").
 */
export function topicKeyPolicy({ partition, account }: Owner): PolicyDocument {
  return policy(
    {
      ...{ Sid: "Account", Effect: "Allow", Principal: { AWS: `arn:${partition}:iam::${account}:root` } },
      ...{ Action: "kms:*", Resource: "*" },
    },
    {
      ...{ Sid: "Alarms", Effect: "Allow", Principal: { Service: "cloudwatch.amazonaws.com" } },
      ...{ Action: ["kms:Decrypt", "kms:GenerateDataKey*"], Resource: "*" },
      Condition: { StringEquals: { "aws:SourceAccount": account } },
    },
  );
}

/** Lets Amazon's bot for chats take on a role. It has to have one, and needs no rights to tell of alarms: this one has none. */
export function slackTrustPolicy(): PolicyDocument {
  return policy({
    Effect: "Allow",
    Principal: { Service: "chatbot.amazonaws.com" },
    Action: "sts:AssumeRole",
  });
}

/** What nobody can ask the bot to go beyond, whatever its role may once be given. */
export function slackGuardrail({ partition }: Owner): string {
  return `arn:${partition}:iam::aws:policy/CloudWatchReadOnlyAccess`;
}

function policy(...statements: object[]): PolicyDocument {
  return { Version: "2012-10-17", Statement: statements };
}
