import { createHash } from "node:crypto";
import * as chatbot from "@pulumi/aws/chatbot";
import * as iam from "@pulumi/aws/iam";
import * as sns from "@pulumi/aws/sns";
import * as pulumi from "@pulumi/pulumi";
import { ownerIn, slackGuardrail, slackTrustPolicy, topicPolicy } from "./monitoring-policies";
import { slackRoleName } from "./role-names";

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
  /** ARN of the policy that bounds what the role of a bot can be given; null for none. */
  readonly permissionsBoundary: string | null;
  readonly recipients: Recipients;
}

/** Longest wait for a service to say yes, in minutes; then the `up` fails, and the next one asks again. */
const CONFIRMATION_MINUTES = 5;

/** Where alarms of one severity are told, and to whom. */
export class AlarmTopic extends pulumi.ComponentResource {
  /** ARN of the topic; resolves once alarms may publish to it, and everybody was asked who is to hear of them. */
  readonly arn: pulumi.Output<string>;
  private readonly name: string;
  private readonly args: AlarmTopicArgs;

  constructor(name: string, args: AlarmTopicArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:monitoring:AlarmTopic", name, {}, opts);
    this.name = name;
    this.args = args;
    const { region, keyId, displayName } = args;
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
    const heard = [...this.subscribe(topic), ...this.tellSlack(topic)];

    this.arn = pulumi.all([opened.arn, pulumi.all(heard.map(({ urn }) => urn))]).apply(([arn]) => arn);
    this.registerOutputs({ arn: this.arn });
  }

  private subscribe(topic: sns.Topic): pulumi.Resource[] {
    const { region, recipients } = this.args;
    const to = { topic: topic.arn, region };
    const opts = { parent: this };
    const emails = recipients.emails.map((endpoint, index) => {
      const args = { ...to, protocol: "email", endpoint };
      const name = `${this.name}-email-${nameOf(endpoint)}`;
      return this.warnUnheard(new sns.TopicSubscription(name, args, opts), `emails[${String(index)}]`);
    });
    const webhooks = recipients.webhooks.map((endpoint, index) => {
      const args = {
        ...{ ...to, protocol: "https", endpoint: pulumi.secret(endpoint) },
        ...{ endpointAutoConfirms: true, confirmationTimeoutInMinutes: CONFIRMATION_MINUTES },
      };
      // By its place, for its text is a secret. Another one in that place replaces the subscription.
      const name = `${this.name}-webhook-${String(index + 1)}`;
      return this.warnUnheard(new sns.TopicSubscription(name, args, opts), `webhooks[${String(index)}]`);
    });
    return [...emails, ...webhooks];
  }

  /**
   * Warns of an address that has not said yes, in each `up` and preview that knows it; that of one that is new does not. The address is
   * named by its place in the config: it may be a secret there, and a log is none.
   */
  private warnUnheard(subscription: sns.TopicSubscription, place: string): sns.TopicSubscription {
    subscription.pendingConfirmation.apply((isPending) => {
      if (!isPending) return;
      const text =
        `nobody hears the alarms of ${this.args.topic} at ${place}: that address has not confirmed its subscription. Open the mail of AWS ` +
        `Notifications and its link, which is good for some days; or let SNS send another one (console of SNS, Subscriptions, Request ` +
        "confirmation). What is known is of the last look: once it is done, `pulumi up --refresh` says no more";
      void pulumi.log.warn(text, this);
    });
    return subscription;
  }

  private tellSlack(topic: sns.Topic): pulumi.Resource[] {
    const { slack } = this.args.recipients;
    if (slack === null) return [];
    const opts = { parent: this };
    const bot = `${this.name}-slack`;
    const configurationName = `${this.args.topic}-slack`;
    const { topic: topicName, permissionsBoundary } = this.args;
    const roleArgs = {
      name: slackRoleName(topicName),
      assumeRolePolicy: JSON.stringify(slackTrustPolicy()),
      ...(permissionsBoundary === null ? {} : { permissionsBoundary }),
    };
    const role = new iam.Role(`${bot}-role`, roleArgs, opts);
    const guardrail = topic.arn.apply((arn) => slackGuardrail(ownerIn(arn)));
    const args = {
      ...{ configurationName, region: slack.region },
      ...{ slackTeamId: slack.teamId, slackChannelId: slack.channelId },
      ...{ iamRoleArn: role.arn, snsTopicArns: [topic.arn], loggingLevel: "ERROR" },
      guardrailPolicyArns: [guardrail],
    };
    return [new chatbot.SlackChannelConfiguration(bot, args, opts)];
  }
}

/** A short name of an address, so that taking one away touches no other's subscription. */
function nameOf(address: string): string {
  return createHash("sha256").update(address).digest("hex").slice(0, 8);
}
