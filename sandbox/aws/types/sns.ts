import {
  CreateTopicCommand,
  DeleteTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  ListTagsForResourceCommand,
  SetSubscriptionAttributesCommand,
  SetTopicAttributesCommand,
  SubscribeCommand,
  TagResourceCommand,
  UnsubscribeCommand,
  UntagResourceCommand,
} from "@aws-sdk/client-sns";

import { waitFor } from "../../processes";
import { answered, unless, type Cloud } from "../plugin/cloud";
import { flag, json, map, number, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { retag, tagList, tagOutputs } from "../plugin/tags";

const ABSENT = ["NotFoundException", "NotFound", "404"];
const REFERENCE = "https://docs.aws.amazon.com/sns/latest/api/";

/** Attributes of a topic by the properties that set them. */
const TOPIC_ATTRIBUTES = {
  displayName: "DisplayName",
  kmsMasterKeyId: "KmsMasterKeyId",
  policy: "Policy",
  deliveryPolicy: "DeliveryPolicy",
} as const;

const topic: ResourceType = {
  token: "aws:sns/topic:Topic",
  reference: `${REFERENCE}API_CreateTopic.html`,
  properties: {
    name: text({ replaces: true, pattern: /^[\w-]{1,256}$/ }),
    displayName: text(),
    kmsMasterKeyId: text(),
    policy: json(),
    deliveryPolicy: json(),
    tags: map(),
  },
  computed: ["arn", "owner"],
  naming: { property: "name", longest: 256 },

  async create(cloud, inputs) {
    const sns = cloud.client("sns");
    const attributes = Object.entries(TOPIC_ATTRIBUTES).filter(([name]) => inputs[name] !== undefined);
    const { TopicArn } = await sns.send(
      new CreateTopicCommand({
        Name: inputs["name"] as string,
        Attributes: Object.fromEntries(attributes.map(([name, key]) => [key, inputs[name] as string])),
        Tags: tagList(cloud, inputs),
      }),
    );
    return answered(TopicArn, "TopicArn");
  },
  async read(cloud, id, state) {
    const sns = cloud.client("sns");
    const found = await unless(ABSENT, () => sns.send(new GetTopicAttributesCommand({ TopicArn: id })));
    if (found === null) return null;
    const live = found.Attributes ?? {};
    const { Tags } = await sns.send(new ListTagsForResourceCommand({ ResourceArn: id }));
    return {
      arn: id,
      name: id.slice(id.lastIndexOf(":") + 1),
      owner: live["Owner"],
      policy: live["Policy"],
      displayName: live["DisplayName"] ?? (state["displayName"] === undefined ? undefined : ""),
      kmsMasterKeyId: live["KmsMasterKeyId"],
      deliveryPolicy: live["DeliveryPolicy"] || undefined,
      ...tagOutputs(cloud, Tags),
    };
  },
  async update(cloud, id, change) {
    const sns = cloud.client("sns");
    for (const [name, AttributeName] of Object.entries(TOPIC_ATTRIBUTES)) {
      if (!change.changed.has(name)) continue;
      const AttributeValue = (change.news[name] ?? "") as string;
      await sns.send(new SetTopicAttributesCommand({ TopicArn: id, AttributeName, AttributeValue }));
    }
    await retag(
      cloud,
      change,
      (Tags) => sns.send(new TagResourceCommand({ ResourceArn: id, Tags })),
      (TagKeys) => sns.send(new UntagResourceCommand({ ResourceArn: id, TagKeys })),
    );
  },
  async delete(cloud, id) {
    const sns = cloud.client("sns");
    await unless(ABSENT, () => sns.send(new DeleteTopicCommand({ TopicArn: id })));
  },
};

const topicPolicy: ResourceType = {
  token: "aws:sns/topicPolicy:TopicPolicy",
  reference: `${REFERENCE}API_SetTopicAttributes.html`,
  properties: { arn: text({ required: true, replaces: true }), policy: json({ required: true }) },
  computed: ["owner"],
  async create(cloud, inputs) {
    const { arn, policy } = inputs as { arn: string; policy: string };
    await setPolicy(cloud, arn, policy);
    return arn;
  },
  async read(cloud, id) {
    const sns = cloud.client("sns");
    const found = await unless(ABSENT, () => sns.send(new GetTopicAttributesCommand({ TopicArn: id })));
    const policy = found?.Attributes?.["Policy"];
    return policy === undefined ? null : { arn: id, policy, owner: found?.Attributes?.["Owner"] };
  },
  update: (cloud, id, { news }) => setPolicy(cloud, id, news["policy"] as string),
  async delete(cloud, id) {
    // A topic is never without a policy: the one that it is born with lets its owner's account in.
    const { accountId } = await cloud.identity();
    const born = {
      Version: "2008-10-17",
      Id: "__default_policy_ID",
      Statement: [
        {
          Sid: "__default_statement_ID",
          Effect: "Allow",
          Principal: { AWS: "*" },
          Action: [
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
            "SNS:DeleteTopic",
            "SNS:Subscribe",
            "SNS:Publish",
          ],
          Resource: id,
          Condition: { StringEquals: { "AWS:SourceOwner": accountId } },
        },
      ],
    };
    await unless(ABSENT, () => setPolicy(cloud, id, JSON.stringify(born)));
  },
};

async function setPolicy(cloud: Cloud, TopicArn: string, AttributeValue: string): Promise<void> {
  const sns = cloud.client("sns");
  await sns.send(new SetTopicAttributesCommand({ TopicArn, AttributeName: "Policy", AttributeValue }));
}

/** Attributes of a subscription by the properties that set them. */
const SUBSCRIPTION_ATTRIBUTES = {
  rawMessageDelivery: "RawMessageDelivery",
  filterPolicy: "FilterPolicy",
  filterPolicyScope: "FilterPolicyScope",
  deliveryPolicy: "DeliveryPolicy",
} as const;

const subscription: ResourceType = {
  token: "aws:sns/topicSubscription:TopicSubscription",
  reference: `${REFERENCE}API_Subscribe.html`,
  properties: {
    topic: text({ required: true, replaces: true }),
    protocol: text({
      required: true,
      replaces: true,
      oneOf: ["email", "email-json", "http", "https", "lambda", "sms", "sqs", "firehose", "application"],
    }),
    endpoint: text({ required: true, replaces: true }),
    endpointAutoConfirms: flag(),
    confirmationTimeoutInMinutes: number({ from: 1 }),
    rawMessageDelivery: flag(),
    filterPolicy: json(),
    filterPolicyScope: text({ oneOf: ["MessageAttributes", "MessageBody"] }),
    deliveryPolicy: json(),
  },
  computed: ["arn", "ownerId", "pendingConfirmation", "confirmationWasAuthenticated"],

  async create(cloud, inputs) {
    const sns = cloud.client("sns");
    const attributes = Object.entries(SUBSCRIPTION_ATTRIBUTES).filter(([name]) => inputs[name] !== undefined);
    const { SubscriptionArn } = await sns.send(
      new SubscribeCommand({
        TopicArn: inputs["topic"] as string,
        Protocol: inputs["protocol"] as string,
        Endpoint: inputs["endpoint"] as string,
        // What waits for its confirmation has an ARN nevertheless.
        ReturnSubscriptionArn: true,
        Attributes: Object.fromEntries(attributes.map(([name, key]) => [key, attributeText(inputs[name])])),
      }),
    );
    // Some tell no ARN before the confirmation, whatever they were asked.
    const arn =
      SubscriptionArn?.startsWith("arn:") === true ? SubscriptionArn : await pendingArn(cloud, inputs);
    if (inputs["endpointAutoConfirms"] === true) await confirmed(cloud, arn, inputs);
    return arn;
  },
  async read(cloud, id, state) {
    const sns = cloud.client("sns");
    const found = await unless(ABSENT, () =>
      sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn: id })),
    );
    if (found === null) return null;
    const live = found.Attributes ?? {};
    // What was never confirmed, and then forgotten, is still told by some; the topic's list knows better.
    const { Subscriptions = [] } = await sns.send(
      new ListSubscriptionsByTopicCommand({ TopicArn: live["TopicArn"] }),
    );
    const listed = Subscriptions.find((one) => one.Endpoint === live["Endpoint"]);
    if (listed === undefined) return null;
    return subscriptionOutputs(id, live, state);
  },
  async update(cloud, id, { news, changed }) {
    const sns = cloud.client("sns");
    for (const [name, AttributeName] of Object.entries(SUBSCRIPTION_ATTRIBUTES)) {
      if (!changed.has(name)) continue;
      const AttributeValue = attributeText(news[name]);
      await sns.send(
        new SetSubscriptionAttributesCommand({ SubscriptionArn: id, AttributeName, AttributeValue }),
      );
    }
  },
  async delete(cloud, id) {
    const sns = cloud.client("sns");
    await unless([...ABSENT, "InvalidParameterException"], () =>
      sns.send(new UnsubscribeCommand({ SubscriptionArn: id })),
    );
  },
};

/** Waits as the real provider does where the endpoint is said to confirm by itself. */
async function confirmed(cloud: Cloud, SubscriptionArn: string, inputs: Values): Promise<void> {
  const sns = cloud.client("sns");
  const minutes = (inputs["confirmationTimeoutInMinutes"] ?? 1) as number;
  const what = "the endpoint to confirm its subscription, which it is said to do by itself";
  await waitFor(what, minutes * 60, async () => {
    const found = await sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn }));
    return found.Attributes?.["PendingConfirmation"] === "true" ? undefined : true;
  });
}

/** Every attribute is a text. */
function attributeText(value: Values[string]): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

async function pendingArn(cloud: Cloud, inputs: Values): Promise<string> {
  const sns = cloud.client("sns");
  const { Subscriptions = [] } = await sns.send(
    new ListSubscriptionsByTopicCommand({ TopicArn: inputs["topic"] as string }),
  );
  const listed = Subscriptions.find(
    (one) => one.Endpoint === inputs["endpoint"] && one.Protocol === inputs["protocol"],
  );
  return answered(listed?.SubscriptionArn, "SubscriptionArn");
}

function subscriptionOutputs(id: string, live: Readonly<Record<string, string>>, state: Values): Values {
  return {
    arn: id,
    topic: live["TopicArn"],
    protocol: live["Protocol"],
    endpoint: live["Endpoint"],
    ownerId: live["Owner"],
    pendingConfirmation: live["PendingConfirmation"] === "true",
    confirmationWasAuthenticated: live["ConfirmationWasAuthenticated"] === "true",
    rawMessageDelivery: live["RawMessageDelivery"] === "true",
    filterPolicy: live["FilterPolicy"] || undefined,
    filterPolicyScope: live["FilterPolicyScope"] || undefined,
    endpointAutoConfirms: state["endpointAutoConfirms"] ?? false,
    confirmationTimeoutInMinutes: state["confirmationTimeoutInMinutes"] ?? 1,
  };
}

/** Topics, who may publish to them, and who listens. */
export const snsTypes: readonly ResourceType[] = [topic, topicPolicy, subscription];
