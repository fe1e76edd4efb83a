import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { CloudWatchClient, DescribeAlarmsCommand, GetDashboardCommand } from "@aws-sdk/client-cloudwatch";
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  GetLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { SNSClient } from "@aws-sdk/client-sns";
import * as pulumi from "@pulumi/pulumi";
import type { Severity } from "../../components/alarm-definition";
import { alarmsOf } from "../../components/alarms";
import { Host } from "../../components/host";
import { Monitoring, monitoringSettings, type MonitoringSpec } from "../../components/monitoring";
import { GUIDE_QUERIES } from "../../config/monitoring-queries";
import { monitoring } from "../../config/schema/monitoring";
import type { Figure } from "../../host/monitoring/figures/figure";
import { cloudWatchLogs } from "../../host/monitoring/logs/cloudwatch-logs";
import { METRICS, type MonitoringSettings } from "../../host/monitoring/protocol";
import { cloudWatch, valuesOf } from "../../host/monitoring/publisher";
import { AWS_REGION } from "../../sandbox/aws/emulator";
import { waitFor } from "../../sandbox/processes";
import { newHostKey, newPrivateKey } from "../unit/support/configuration";
import { TestCloud } from "./support/cloud";
import { makeInCloud } from "./support/program-in-cloud";
import { Subscriber } from "./support/subscriber";

/*
 * The program's own alarms, topics and rights, made in an AWS that evaluates and delivers: whom who hears of what the host
 * publishes, by the host's own code and no more rights than the program gives it.
 */

jest.setTimeout(300_000);

const WAIT_SECONDS = 120;
/** Longer than any alarm looks back, and than these tests take. */
const MINUTES = { before: 25, after: 20 };
const MINUTE_MS = 60_000;

let cloud: TestCloud;
let subscriber: Subscriber;
let directory: string;
let keys: NonNullable<MonitoringSettings["credentials"]>;

const LIMITS = monitoring.parse({}).alarms;
const LIMITED: MonitoringSpec = {
  app: "garage",
  prefix: "",
  namespace: "Garage",
  stack: "",
  region: AWS_REGION,
  endpoint: null,
  authority: null,
  intervalSeconds: 60,
  credentials: null,
  business: GUIDE_QUERIES,
  hasDatabase: true,
  webhookPath: "/api/hook",
  permissionsBoundary: null,
  recipients: {
    page: { emails: ["oncall@example.com"], webhooks: [], slack: null },
    warn: {
      emails: [],
      webhooks: [],
      slack: { teamId: "T01234567", channelId: "C01234567", region: AWS_REGION },
    },
  },
  limits: LIMITS,
  logs: "",
  logRetentionDays: 90,
};

/** What is watched here, a stack each: how well it is. */
type Stack = "well" | "border" | "ill" | "silent";

function specOf(stack: Stack, url: string): MonitoringSpec {
  const told = (severity: Severity) => {
    const recipients = LIMITED.recipients[severity];
    return { ...recipients, webhooks: [`${url}/${severity}`] };
  };
  return {
    ...{ ...LIMITED, stack, prefix: `garage-${stack}`, logs: `/garage/${stack}` },
    recipients: { page: told("page"), warn: told("warn") },
  };
}

/** A value of each metric that an alarm watches. */
const figuresOf = (values: Readonly<Record<string, number>>): Figure[] =>
  [...Object.values(METRICS), { name: "PaymentsFailed", unit: "Count", byColour: false } as const]
    .filter(({ name }) => name in values)
    .map(({ name, unit, byColour }) => ({
      ...{ name, unit, value: values[name]! },
      colour: byColour ? ("all" as const) : null,
    }));

const WELL = {
  ...{
    HostPublishes: 1,
    ApplicationUp: 1,
    DatabaseReachable: 1,
    Requests: 100,
    ErrorRate: 0,
    LatencyP95: 80,
  },
  ...{
    CpuUtilization: 10,
    MemoryUtilization: 40,
    DiskUtilization: 30,
    PaymentsFailed: 0,
    PaymentsFailedInARow: 0,
    WebhooksRefusedInARow: 0,
  },
  ...{ BackupAgeHours: 3, CertificateDaysToExpiry: 60 },
};
/** As much as the guide allows, and not more: "more than 5 %" is not 5 %. */
const BORDER = {
  ...{ ...WELL, ErrorRate: 1, LatencyP95: 2000, CpuUtilization: 80, MemoryUtilization: 85 },
  ...{ DiskUtilization: 90, PaymentsFailed: 1, PaymentsFailedInARow: 5, WebhooksRefusedInARow: 5 },
  ...{ BackupAgeHours: 26, CertificateDaysToExpiry: 14 },
};
const ILL = {
  ...{
    HostPublishes: 1,
    ApplicationUp: 0,
    DatabaseReachable: 0,
    Requests: 100,
    ErrorRate: 5.5,
    LatencyP95: 5001,
  },
  ...{
    CpuUtilization: 81,
    MemoryUtilization: 86,
    DiskUtilization: 91,
    PaymentsFailed: 2,
    PaymentsFailedInARow: 6,
    WebhooksRefusedInARow: 6,
  },
  ...{ BackupAgeHours: 26.1, CertificateDaysToExpiry: 2.9 },
};

/** Settings of the host of a stack, with the keys that it has. */
function settingsOf(stack: Stack, change: Partial<MonitoringSettings> = {}): MonitoringSettings {
  const { url, authorityFile } = cloud.cloud.emulator;
  const authority = fs.readFileSync(authorityFile, "utf8");
  const plain = monitoringSettings(specOf(stack, ""));
  return { ...plain, endpoint: url, authority, credentials: keys, ...change };
}

/** Publishes the same values for each of the last minutes and of the next ones, as the host of the stack does. */
async function publish(stack: Stack, values: Readonly<Record<string, number>>): Promise<void> {
  const settings = settingsOf(stack);
  const put = cloudWatch(settings);
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  for (let minute = -MINUTES.before; minute <= MINUTES.after; minute++) {
    const interval = { at: now + minute * MINUTE_MS, figures: figuresOf(values) };
    await put(settings.namespace, valuesOf(interval, settings));
  }
}

/** Gives somebody the rights that the program gives the host's role. */
async function keysWith(policy: string): Promise<NonNullable<MonitoringSettings["credentials"]>> {
  const iam = new IAMClient(cloud.client());
  const UserName = "host";
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "publish", PolicyDocument: policy }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  iam.destroy();
  return { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
}

/** Makes the monitoring of a stack. Returns the policy by which its host publishes. */
async function watch(stack: Stack, url: string, role: string): Promise<string> {
  const software = path.join(directory, "host.tar");
  const spec = specOf(stack, url);
  const made = await makeInCloud(
    () => {
      const machine = {
        ...{ address: "10.77.1.2", port: 22, user: "root", instanceId: "", dialErrorLimit: null },
        ...{ hostKey: newHostKey(), hostKeyFingerprint: "SHA256:x" },
      };
      const host = new Host("web", { app: "garage", privateKey: newPrivateKey(), machine, software });
      const database = { ready: pulumi.output("ready") };
      new Monitoring("monitoring", { host, role, database, monitoring: spec });
    },
    {
      plugin: cloud.plugin,
      others: { stdout: JSON.stringify({ publishing: true }), mends: {} },
      // Nothing here has a certificate that the emulator trusts; what it delivers is the same.
      adapted: (type, inputs) => ({
        ...inputs,
        ...(type.endsWith(":TopicSubscription") && inputs["protocol"] === "https"
          ? { protocol: "http" }
          : {}),
      }),
    },
  );
  return made.get("monitoring-publish")!.inputs["policy"] as string;
}

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "monitoring-alarms-"));
  fs.writeFileSync(path.join(directory, "host.tar"), "an archive");
  cloud = await TestCloud.create("monitoring-alarms-test");
  subscriber = new Subscriber(new SNSClient(cloud.client()));
  const url = await subscriber.listen();
  const trust = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } };
  const role = await cloud.plugin.create("aws:iam/role:Role", "host", {
    name: "garage-host",
    assumeRolePolicy: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
  });
  // What is published by the rights of the one is looked at by the others: they have the namespace in common.
  keys = await keysWith(await watch("silent", url, role.id));
  await publish("well", WELL);
  await publish("border", BORDER);
  await publish("ill", ILL);
  for (const stack of ["well", "border", "ill"] as const) await watch(stack, url, role.id);
}, 300_000);

afterAll(async () => {
  subscriber.close();
  await cloud.remove();
  fs.rmSync(directory, { recursive: true });
});

/** Every alarm of a stack with its topic. */
const alarmsIn = (stack: Stack) =>
  alarmsOf(LIMITS, { ...LIMITED, logs: `/garage/${stack}` }).map(({ name, severity }) => ({
    alarm: `garage-${stack}-${name}`,
    topic: `garage-${stack}-${severity}`,
    name,
  }));

/** What was told of a stack, each message once: in no order, for alarms are evaluated one beside the other. */
const toldOf = (stack: Stack) =>
  subscriber.messages
    .filter(({ alarm }) => alarm.startsWith(`garage-${stack}-`))
    .map(({ alarm, topic, state }) => `${topic}: ${alarm} is ${state}`)
    .sort();

/** Waits until somebody was told of so many changes in a stack. */
async function told(stack: Stack, changes: number): Promise<readonly string[]> {
  await waitFor(`${String(changes)} messages about ${stack}`, WAIT_SECONDS, () =>
    toldOf(stack).length >= changes ? true : undefined,
  );
  return toldOf(stack);
}

const messages = (stack: Stack, state: (name: string) => string | null): string[] =>
  alarmsIn(stack)
    .flatMap(({ alarm, topic, name }) => {
      const to = state(name);
      return to === null ? [] : [`${topic}: ${alarm} is ${to}`];
    })
    .sort();

test("what is ill pages and warns, each of the alarms once and by its own topic", async () => {
  const wanted = messages("ill", (name) => (/missing|silent/.test(name) ? "OK" : "ALARM"));
  expect(wanted.filter((line) => line.includes("-page:") && line.endsWith("ALARM"))).toHaveLength(8);
  expect(wanted.filter((line) => line.includes("-warn:") && line.endsWith("ALARM"))).toHaveLength(7);
  expect(await told("ill", wanted.length)).toEqual(wanted);
});

test.each(["well", "border"] as const)(
  "what is %s is said to be well once, and nobody is woken",
  async (stack) => {
    const wanted = messages(stack, () => "OK");
    expect(await told(stack, wanted.length)).toEqual(wanted);
  },
);

test("silence pages once, and warns of what is not published; all else knows nothing, and says so", async () => {
  // A site without any request has nothing slow.
  const wanted = messages("silent", (name) => {
    if (/missing|silent/.test(name)) return "ALARM";
    return name.startsWith("response-time") ? "OK" : null;
  });
  expect(wanted.filter((line) => line.includes("-page:") && line.endsWith("ALARM"))).toHaveLength(1);
  expect(await told("silent", wanted.length)).toEqual(wanted);
});

test("its end is told to whom its beginning was, and nobody was told anything twice", async () => {
  const before = toldOf("silent");
  await publish("silent", WELL);
  const ended = before.filter((line) => line.endsWith("ALARM")).map((line) => line.replace("ALARM", "OK"));
  const known = messages("silent", (name) => (/missing|silent|response-time/.test(name) ? null : "OK"));
  const all = [...before, ...ended, ...known].sort();
  // Of 21 alarms each state was told: meanwhile all of them were evaluated again, those of the other stacks, too.
  expect(await told("silent", all.length)).toEqual(all);
  for (const { alarm, topic, state } of subscriber.messages) {
    const same = subscriber.messages.filter(
      (one) => one.alarm === alarm && one.state === state && one.topic === topic,
    );
    expect([alarm, state, same.length]).toEqual([alarm, state, 1]);
  }
});

test("whoever is told reads what to do", async () => {
  const cloudwatch = new CloudWatchClient(cloud.client());
  const { MetricAlarms = [] } = await cloudwatch.send(
    new DescribeAlarmsCommand({ AlarmNamePrefix: "garage-ill-" }),
  );
  expect(MetricAlarms).toHaveLength(21);
  for (const { AlarmDescription } of MetricAlarms) expect(AlarmDescription).toContain("What to do: ");
  const { DashboardBody } = await cloudwatch.send(new GetDashboardCommand({ DashboardName: "garage-ill" }));
  expect(DashboardBody).toContain('"ErrorRate"');
  cloudwatch.destroy();
});

describe("the host's rights", () => {
  const denied = /not authorized|AccessDenied/;

  test("are enough for its logs, which are kept as long as asked for", async () => {
    const settings = settingsOf("silent");
    const api = cloudWatchLogs(settings);
    const group = settings.logGroups.access!;
    await api.makeStream(group, "web/access");
    // Again, as after a restart.
    await api.makeStream(group, "web/access");
    expect(
      await api.put(group, "web/access", [{ timestamp: Date.now(), message: "a line", position: null }]),
    ).toBe(0);
    const logs = new CloudWatchLogsClient(cloud.client());
    const found = await logs.send(
      new GetLogEventsCommand({ logGroupName: group, logStreamName: "web/access", startFromHead: true }),
    );
    expect(found.events?.map(({ message }) => message)).toEqual(["a line"]);
    const groups = await logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: "/garage/silent/" }));
    expect(groups.logGroups?.map(({ retentionInDays }) => retentionInDays)).toEqual([90, 90, 90, 90]);
    logs.destroy();
  });

  test("end at another site's logs", async () => {
    const { logGroups } = settingsOf("ill");
    await expect(cloudWatchLogs(settingsOf("silent")).makeStream(logGroups.access!, "x")).rejects.toThrow(
      denied,
    );
  });

  test("end at another namespace", async () => {
    const settings = settingsOf("silent");
    const values = valuesOf({ at: Date.now(), figures: figuresOf(WELL) }, settings);
    await expect(cloudWatch(settings)("Other", values)).rejects.toThrow(denied);
  });

  test("hold nothing else", async () => {
    const client = new CloudWatchClient(cloud.client(keys));
    await expect(client.send(new DescribeAlarmsCommand({}))).rejects.toThrow(denied);
    client.destroy();
  });
});
