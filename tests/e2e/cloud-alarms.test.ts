import { CloudWatchClient, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { SNSClient } from "@aws-sdk/client-sns";

import { waitFor } from "../../sandbox/processes";
import { TestCloud } from "./support/cloud";
import { Subscriber } from "./support/subscriber";

jest.setTimeout(120_000);

/** Seconds of an alarm's period. */
const PERIOD = 60;

let cloud: TestCloud;
let cloudwatch: CloudWatchClient;
let subscriber: Subscriber;

beforeAll(async () => {
  cloud = await TestCloud.create("cloud-alarms-test");
  cloudwatch = new CloudWatchClient(cloud.client());
  subscriber = new Subscriber(new SNSClient(cloud.client()));
}, 120_000);

afterAll(async () => {
  subscriber.close();
  await cloud.remove();
});

/** Publishes a value for each of the last periods that are over. */
async function publish(MetricName: string, colour: string, values: readonly number[]): Promise<void> {
  const now = Date.now();
  const MetricData = values.map((Value, index) => ({
    MetricName,
    Value,
    Timestamp: new Date(now - (values.length - index) * PERIOD * 1000),
    Dimensions: [
      { Name: "Stack", Value: "test" },
      { Name: "Colour", Value: colour },
    ],
  }));
  await cloudwatch.send(new PutMetricDataCommand({ Namespace: "Site", MetricData }));
}

async function told(alarm: string): Promise<{ topic: string; state: string }> {
  return waitFor(`somebody to be told of ${alarm}`, 60, () =>
    subscriber.messages.find((message) => message.alarm === alarm),
  );
}

it("pages and warns who subscribed: by values of the alarm's own dimensions, and by silence", async () => {
  const { plugin } = cloud;
  const endpoint = await subscriber.listen();
  const topics: Record<string, string> = {};
  for (const name of ["page", "warn"]) {
    const topic = await plugin.create("aws:sns/topic:Topic", name, { name });
    topics[name] = topic.id;
    const subscription = { topic: topic.id, protocol: "http", endpoint, endpointAutoConfirms: true };
    const made = await plugin.create("aws:sns/topicSubscription:TopicSubscription", name, subscription);
    await waitFor("the subscription to be confirmed", 30, async () =>
      (await plugin.read(made))?.outputs["pendingConfirmation"] === false ? true : undefined,
    );
  }
  const alarm = async (name: string, topic: string, change: Record<string, unknown>): Promise<void> => {
    await plugin.create("aws:cloudwatch/metricAlarm:MetricAlarm", name, {
      name,
      namespace: "Site",
      dimensions: { Stack: "test", Colour: "all" },
      statistic: "Average",
      comparisonOperator: "GreaterThanThreshold",
      period: PERIOD,
      evaluationPeriods: 2,
      treatMissingData: "notBreaching",
      alarmActions: [topics[topic]],
      okActions: [topics[topic]],
      ...change,
    });
  };
  // Another colour's values, far beyond the threshold, are none of the alarm's.
  await publish("ErrorRate", "green", [90, 90, 90, 90]);
  await publish("ErrorRate", "all", [0.1, 0.1, 3, 3]);
  await publish("ApplicationUp", "green", [1, 1, 1, 1]);
  await alarm("error-rate-page", "page", { metricName: "ErrorRate", threshold: 5 });
  await alarm("error-rate-warn", "warn", { metricName: "ErrorRate", threshold: 1 });
  await alarm("down", "page", {
    metricName: "ApplicationUp",
    comparisonOperator: "LessThanThreshold",
    threshold: 1,
    treatMissingData: "breaching",
  });
  expect(await told("error-rate-warn")).toMatchObject({ topic: "warn", state: "ALARM" });
  expect(await told("down")).toMatchObject({ topic: "page", state: "ALARM" });
  // What is well says so once; nobody is paged by it.
  expect(await told("error-rate-page")).toMatchObject({ topic: "page", state: "OK" });
});
