import { dropFacts, factsOf, keepFacts } from "../plugin/facts";
import { flag, list, map, text } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";

/** A channel of Slack. No emulator has AWS' bot: it is kept, and nobody is told. */
export const slackChannel: ResourceType = {
  token: "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration",
  reference:
    "https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateSlackChannelConfiguration.html",
  properties: {
    configurationName: text({ required: true, replaces: true, pattern: /^[\w-]{1,128}$/ }),
    slackTeamId: text({ required: true, replaces: true, pattern: /^[0-9A-Z]{1,255}$/ }),
    slackChannelId: text({ required: true, pattern: /^[A-Za-z0-9]+$/ }),
    iamRoleArn: text({ required: true, pattern: /^arn:[^:]*:iam:/ }),
    guardrailPolicyArns: list(text({ pattern: /^arn:/ })),
    snsTopicArns: list(text({ pattern: /^arn:[^:]*:sns:/ }), { unordered: true }),
    loggingLevel: text({ oneOf: ["ERROR", "INFO", "NONE"] }),
    userAuthorizationRequired: flag(),
    tags: map(),
  },
  computed: ["chatConfigurationArn", "slackChannelName", "slackTeamName"],
  async create(cloud, inputs) {
    const { accountId } = await cloud.identity();
    const id = `arn:aws:chatbot::${accountId}:chat-configuration/slack-channel/${inputs["configurationName"] as string}`;
    keepFacts(cloud.world, id, { ...inputs, chatConfigurationArn: id });
    return id;
  },
  read(cloud, id) {
    const kept = factsOf(cloud.world, id);
    return Promise.resolve(Object.keys(kept).length === 0 ? null : kept);
  },
  update(cloud, id, { news }) {
    dropFacts(cloud.world, id);
    keepFacts(cloud.world, id, { ...news, chatConfigurationArn: id });
    return Promise.resolve();
  },
  delete(cloud, id) {
    dropFacts(cloud.world, id);
    return Promise.resolve();
  },
};
