import * as fs from "node:fs";
import * as path from "node:path";
import {
  CloudWatchClient,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  type MetricAlarm,
} from "@aws-sdk/client-cloudwatch";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { SNSClient, SubscribeCommand } from "@aws-sdk/client-sns";
import { parseDocument } from "yaml";
import { SEVERITIES } from "../../components/alarms";
import { publisherPolicy } from "../../components/monitoring-policies";
import { AWS_REGION } from "../../sandbox/aws/emulator";
import { pluginDirectory } from "../../sandbox/aws/sandbox-cloud";
import { waitFor } from "../../sandbox/processes";
import { TestCloud } from "./support/cloud";
import { Subscriber } from "./support/subscriber";
import { SLOW_MS, TestWorld } from "./support/world";

/* A booted host that is watched: made by one `up`, left alone by the next one, and heard of when it is ill, silent and well again. */

jest.setTimeout(SLOW_MS);

const WAIT_SECONDS = 180;
const STACK = "sandbox";
const GROUPS = ["access", "error", "application", "conductor"].map(
  (name) => `/vehicleservice/${STACK}/${name}`,
);

let world: TestWorld;
let cloud: TestCloud;
let subscriber: Subscriber;
let cloudwatch: CloudWatchClient;

beforeAll(async () => {
  world = await TestWorld.create("monitoring-stack");
  cloud = await TestCloud.create("monitoring-stack-cloud");
  cloudwatch = new CloudWatchClient(cloud.client());
  subscriber = new Subscriber(new SNSClient(cloud.client()));
  takePlugin();
  await cloud.cloud.configure(world.project);
  await giveKeys();
  const { url, authorityFile } = cloud.cloud.emulator;
  const values = {
    ...{ enabled: "true", endpoint: url, authorityFile, intervalSeconds: "2" },
    ...{ "page.emails[0]": "oncall@example.com", "warn.emails[0]": "team@example.com" },
    ...{ "alarms.applicationDown.periodSeconds": "10", "alarms.hostSilent.periodSeconds": "10" },
    // An alarm about figures is made once a period with them is over: as long as this test has.
    "alarms.figuresMissing.periodSeconds": "10",
  };
  for (const [key, value] of Object.entries(values)) await world.setGroupValue(`monitoring.${key}`, value);
}, SLOW_MS);

afterAll(async () => {
  subscriber.close();
  cloudwatch.destroy();
  await world.remove();
  await cloud.remove();
});

/** The stand-in for AWS' provider. */
function takePlugin(): void {
  const file = path.join(world.project.directory, "Pulumi.yaml");
  const project = parseDocument(fs.readFileSync(file, "utf8"));
  project.set("plugins", { providers: [{ name: "aws", path: pluginDirectory() }] });
  fs.writeFileSync(file, project.toString({ lineWidth: 0 }));
}

/** This machine has no role of AWS': it publishes as somebody who may do as much as one. */
async function giveKeys(): Promise<void> {
  const iam = new IAMClient(cloud.client());
  const UserName = "host";
  const groups = GROUPS.map((name) => `arn:aws:logs:${AWS_REGION}:000000000000:log-group:${name}`);
  const PolicyDocument = JSON.stringify(publisherPolicy("vehicleservice", groups));
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "publish", PolicyDocument }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  iam.destroy();
  const keys = {
    monitoringAccessKeyId: AccessKey?.AccessKeyId,
    monitoringSecretAccessKey: AccessKey?.SecretAccessKey,
  };
  for (const [key, value] of Object.entries(keys)) await world.project.setSecret(key, value!);
}

async function alarms(): Promise<MetricAlarm[]> {
  const AlarmNamePrefix = `vehicleservice-${STACK}-`;
  const { MetricAlarms = [] } = await cloudwatch.send(new DescribeAlarmsCommand({ AlarmNamePrefix }));
  return MetricAlarms;
}

/** Every change of an alarm's state since it was made, of those alarms that this machine has no part in. */
async function changes(): Promise<string[]> {
  const { AlarmHistoryItems = [] } = await cloudwatch.send(
    new DescribeAlarmHistoryCommand({ HistoryItemType: "StateUpdate", MaxRecords: 100 }),
  );
  return AlarmHistoryItems.filter(({ AlarmName = "" }) => !OF_MACHINE.test(AlarmName)).map(
    ({ AlarmName = "", HistorySummary = "" }) => `${AlarmName}: ${HistorySummary}`,
  );
}

/** What somebody was told of an alarm, in order. */
const told = (alarm: string) =>
  subscriber.messages
    .filter((message) => message.alarm === `vehicleservice-${STACK}-${alarm}`)
    .map(({ topic, state }) => `${topic.replace(`vehicleservice-${STACK}-`, "")}: ${state}`);

/**
 * Waits until somebody was told anew that an alarm has come to a state. A busy machine may be ill for a period by itself,
 * so that more is told than what a test brings about; but each change is told once, so no state comes twice in a row.
 */
async function hears(alarm: string, state: string, since: number): Promise<void> {
  const wanted = `page: ${state}`;
  await waitFor(`${alarm} to tell ${wanted}`, WAIT_SECONDS, () => {
    const heard = told(alarm);
    return heard.length > since && heard.at(-1) === wanted ? true : undefined;
  });
  const heard = told(alarm);
  expect(heard).toEqual(heard.filter((message, index) => message !== heard[index - 1]));
}

/** Waits until nobody was told that an alarm is ill who was not told that it is well again. Returns how often it was told. */
function quiet(alarm: string): Promise<number> {
  return waitFor(`${alarm} to be well`, WAIT_SECONDS, () => {
    const heard = told(alarm);
    return heard.at(-1) === "page: ALARM" ? undefined : heard.length;
  });
}

/** Of what this machine is busy with besides, the site's own alarms are none. */
const OF_MACHINE = /-(cpu|memory|disk)$/;

test("one up makes the host publish, and what watches it", async () => {
  await world.up({ blueVersion: "v0.9.9" });
  expect((await world.status()).monitoring).toMatchObject({ lastPublished: expect.any(String) as string });
  const made = await alarms();
  // Those of a site without a database.
  expect(made.map(({ AlarmName }) => AlarmName)).toHaveLength(11);
  const endpoint = await subscriber.listen();
  const sns = new SNSClient(cloud.client());
  for (const severity of SEVERITIES) {
    const TopicArn = made
      .flatMap(({ AlarmActions = [] }) => AlarmActions)
      .find((arn) => arn.endsWith(`-${severity}`));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: "http", Endpoint: endpoint }));
  }
  sns.destroy();
  // Those about silence, and the one about the site, have seen enough to know.
  const known = /-(host-silent|(host|request)-figures-missing|application-down)$/;
  await waitFor("a well site", WAIT_SECONDS, async () => {
    const watching = (await alarms()).filter(({ AlarmName = "" }) => known.test(AlarmName));
    return watching.length === 4 && watching.every(({ StateValue }) => StateValue === "OK")
      ? true
      : undefined;
  });
  const history = await changes();
  expect(history).toContainEqual(expect.stringContaining("host-silent"));
  expect(history.filter((change) => /to ALARM/i.test(change))).toEqual([]);
});

test("the next up changes nothing", async () => {
  const { stdout, stderr } = await world.up({}, ["--expect-no-changes"]);
  expect(stdout + stderr).not.toContain("monitoring-act");
});

test("a preview of another limit shows that alarm alone, and the keys nowhere", async () => {
  await world.setGroupValue("monitoring.alarms.cpu.percent", "70");
  const { stdout, stderr } = await world.project.pulumi(["preview"]);
  const text = stdout + stderr;
  expect(text).toContain("monitoring-cpu");
  for (const other of ["monitoring-act", "monitoring-disk", "monitoring-page", "blue-act"])
    expect(text).not.toContain(other);
  expect(text).not.toContain(await world.project.getConfig("monitoringSecretAccessKey"));
  await world.up();
  const cpu = (await alarms()).find(({ AlarmName }) => AlarmName?.endsWith("-cpu"));
  expect(cpu?.Threshold).toBe(70);
});

test("an application that is down pages, and once more when it is up", async () => {
  const before = await quiet("application-down");
  await world.host.exec(["systemctl", "stop", "nginx"]);
  await hears("application-down", "ALARM", before);
  await world.host.exec(["systemctl", "start", "nginx"]);
  await hears("application-down", "OK", before + 1);
});

test("a host that is silent pages, and once more when it speaks", async () => {
  const before = await quiet("host-silent");
  await world.host.exec(["systemctl", "stop", "vehicleservice-conductor.socket", "vehicleservice-conductor"]);
  await hears("host-silent", "ALARM", before);
  await world.host.exec([
    "systemctl",
    "start",
    "vehicleservice-conductor.socket",
    "vehicleservice-conductor",
  ]);
  await hears("host-silent", "OK", before + 1);
});
