import { createHash } from "node:crypto";
import * as chatbot from "@pulumi/aws/chatbot";
import * as iam from "@pulumi/aws/iam";
import * as sns from "@pulumi/aws/sns";
import * as pulumi from "@pulumi/pulumi";
import { type Owner, ownerIn, slackGuardrail, slackTrustPolicy, topicPolicy } from "./monitoring-policies";

/** Who is told of an alarm; at least one of them. */
export interface Recipients {
  /** Mail addresses. SNS writes to each once, and tells it of alarms from when somebody says yes. */
  readonly emails: readonly string[];
  /** HTTPS URLs of services that say yes to SNS by themselves. Secrets: some hold a key. */
  readonly webhooks: readonly pulumi.Input<string>[];
  /** A Slack channel; null for none. */
  readonly slack: SlackChannel | null;
}

/** A channel that Amazon's bot writes into. */
export interface SlackChannel {
  readonly teamId: string;
  readonly channelId: string;
  /** Where the bot's service is; it hears of topics in any region. */
  readonly region: string;
}

/** Arguments of {@link AlarmTopic}. */
export interface AlarmTopicArgs {
  /** The topic's own name, unlike any other's of the account in the region. */
  readonly topic: string;
  /** What stands before each mail's subject, at most 100 characters. */
  readonly displayName: string;
  readonly region: string;
  /** Key that what waits to be delivered is encrypted by; CloudWatch has to be let in by its policy. */
  readonly keyId: pulumi.Input<string>;
  readonly recipients: Recipients;
}

/** Longest wait for a service to say yes, in minutes; then the `up` fails, and the next one asks again. */
const CONFIRMATION_MINUTES = 5;

/** Longest name of a role. */
const ROLE_NAME_LENGTH = 64;

/** Where alarms of one severity are told, and to whom. */
export class AlarmTopic extends pulumi.ComponentResource {
  /** ARN of the topic; resolves once alarms may publish to it. */
  readonly arn: pulumi.Output<string>;
  private readonly name: string;
  private readonly args: AlarmTopicArgs;

  constructor(name: string, args: AlarmTopicArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:monitoring:AlarmTopic", name, {}, opts);
    this.name = name;
    this.args = args;
    const { region, keyId, displayName, recipients } = args;
    const topic = new sns.Topic(
      name,
      { name: args.topic, region, displayName, kmsMasterKeyId: keyId },
      { parent: this },
    );
    const policy = topic.arn.apply((arn) => JSON.stringify(topicPolicy(arn, ownerIn(arn))));
    const opened = new sns.TopicPolicy(
      `${name}-policy`,
      { arn: topic.arn, region, policy },
      { parent: this },
    );
    this.subscribe(topic);
    if (recipients.slack !== null) this.tellSlack(topic, recipients.slack);

    this.arn = opened.arn;
    this.registerOutputs({ arn: this.arn });
  }

  private subscribe(topic: sns.Topic): void {
    const { region, recipients } = this.args;
    for (const email of recipients.emails) {
      const args = { topic: topic.arn, region, protocol: "email", endpoint: email };
      new sns.TopicSubscription(`${this.name}-email-${nameOf(email)}`, args, { parent: this });
    }
    for (const [index, webhook] of recipients.webhooks.entries()) {
      // By its place, for its text is a secret. Another one in that place replaces the subscription.
      new sns.TopicSubscription(
        `${this.name}-webhook-${String(index + 1)}`,
        {
          ...{ topic: topic.arn, region, protocol: "https", endpoint: pulumi.secret(webhook) },
          ...{ endpointAutoConfirms: true, confirmationTimeoutInMinutes: CONFIRMATION_MINUTES },
        },
        { parent: this },
      );
    }
  }

  private tellSlack(topic: sns.Topic, { teamId, channelId, region }: SlackChannel): void {
    const opts = { parent: this };
    const bot = `${this.name}-slack`;
    const configurationName = `${this.args.topic}-slack`;
    const roleArgs = {
      name: configurationName.slice(0, ROLE_NAME_LENGTH),
      assumeRolePolicy: JSON.stringify(slackTrustPolicy()),
    };
    const role = new iam.Role(`${bot}-role`, roleArgs, opts);
    const owner: pulumi.Output<Owner> = topic.arn.apply(ownerIn);
    new chatbot.SlackChannelConfiguration(
      bot,
      {
        ...{ configurationName, region, slackTeamId: teamId, slackChannelId: channelId },
        ...{ iamRoleArn: role.arn, snsTopicArns: [topic.arn], loggingLevel: "ERROR" },
        guardrailPolicyArns: [owner.apply(slackGuardrail)],
      },
      opts,
    );
  }
}

/** A short name of an address, so that taking one away touches no other's subscription. */
function nameOf(address: string): string {
  return createHash("sha256").update(address).digest("hex").slice(0, 8);
}
