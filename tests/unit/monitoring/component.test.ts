import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { alarmsOf } from "../../../components/alarms";
import { Host } from "../../../components/host";
import { Monitoring, type MonitoringSpec } from "../../../components/monitoring";
import { validate } from "../../../config";
import { GUIDE_QUERIES } from "../../../config/monitoring-queries";
import { monitoring } from "../../../config/schema/monitoring";
import { machineWith, rawConfig, settings } from "../support/configuration";
import { existingHost } from "../support/existing-host";
import { actIn, type Circumstances, isSecret, plain, registrationsOf } from "../support/registrations";

/* What the program registers to have a site watched, and what waits for what. */

const directory = mkdtempSync(join(tmpdir(), "monitoring-"));
const software = join(directory, "host.tar");
writeFileSync(software, "an archive");
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const loaded = validate(rawConfig(settings()), machineWith());
const nobody = { emails: [], webhooks: [], slack: null };
const SPEC: MonitoringSpec = {
  app: "garage",
  prefix: "garage-live",
  namespace: "Garage",
  stack: "live",
  region: "eu-central-1",
  endpoint: null,
  authority: null,
  intervalSeconds: 60,
  credentials: null,
  business: GUIDE_QUERIES,
  hasDatabase: true,
  webhookPath: null,
  permissionsBoundary: "arn:aws:iam::123456789012:policy/garage-boundary",
  recipients: {
    page: { ...nobody, emails: ["oncall@example.com"] },
    warn: { ...nobody, emails: ["team@example.com"] },
  },
  limits: monitoring.parse({}).alarms,
  logs: "/garage/live",
  logRetentionDays: 90,
};
const KEYS = { accessKeyId: "the-id-of-the-key", secretAccessKey: "the-key-itself" };
const GROUPS = ["access", "error", "application", "conductor"];

interface Changes {
  readonly spec?: Partial<MonitoringSpec> | null;
  readonly role?: string | null;
}

async function registered({ spec = {}, role = "garage-host" }: Changes, around: Circumstances = {}) {
  const { registrations } = await registrationsOf(() => {
    const host = new Host("web", { ...existingHost(loaded), software });
    new Monitoring("monitoring", {
      ...{ host, role, database: { ready: pulumi.output("ready") } },
      monitoring: spec === null ? null : { ...SPEC, ...spec },
    });
  }, around);
  const named = (name: string) => {
    const found = registrations.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not registered`);
    return found;
  };
  const ofType = (end: string) => registrations.filter(({ type }) => type.endsWith(`:${end}`));
  return { registrations, named, ofType };
}

let made: ReturnType<typeof registered> | undefined;

/** The site without any change, made once. */
const usual = () => (made ??= registered({}));

type Registered = Awaited<ReturnType<typeof registered>>;

/** What a resource waits for, the way there included. */
function before({ named, registrations }: Registered, name: string): ReadonlySet<string> {
  const all = new Set<string>();
  const visit = (one: string): void => {
    if (all.has(one) || !registrations.some((registration) => registration.name === one)) return;
    all.add(one);
    named(one).waitsFor.forEach(visit);
  };
  named(name).waitsFor.forEach(visit);
  return all;
}

const policyIn = ({ inputs }: { inputs: Readonly<Record<string, unknown>> }) =>
  JSON.parse(inputs.policy as string) as unknown;

it("is nothing for a site that nobody watches", async () => {
  const { registrations } = await registered({ spec: null });
  expect(registrations.filter(({ type }) => type.startsWith("aws:"))).toEqual([]);
  expect(registrations.map(({ name }) => name)).not.toContain("monitoring-act");
});

it("makes every alarm of the table, which tells its own topic that something is wrong, and that it is well again", async () => {
  const site = await usual();
  const alarms = alarmsOf(SPEC.limits, SPEC);
  expect(site.ofType("MetricAlarm")).toHaveLength(alarms.length);
  for (const alarm of alarms) {
    const topic = `arn:aws:sns:eu-central-1:123456789012:monitoring-${alarm.severity}`;
    expect(site.named(`monitoring-${alarm.name}`)).toMatchObject({
      parent: "monitoring",
      inputs: {
        name: `garage-live-${alarm.name}`,
        region: "eu-central-1",
        namespace: "Garage",
        metricName: alarm.metric,
        statistic: alarm.statistic,
        dimensions: { Stack: "live", ...(alarm.audience === null ? {} : { Colour: alarm.audience }) },
        comparisonOperator: alarm.comparison,
        threshold: alarm.threshold,
        period: alarm.periodSeconds,
        evaluationPeriods: alarm.periods,
        treatMissingData: alarm.missing,
        alarmDescription: alarm.description,
        alarmActions: [topic],
        okActions: [topic],
      },
    });
  }
});

it("makes alarms once the host publishes and their topic takes them, and no sooner", async () => {
  const site = await usual();
  for (const { name } of site.ofType("MetricAlarm")) {
    expect(before(site, name)).toContain("monitoring-act");
  }
  expect(before(site, "monitoring-error-rate")).toContain("monitoring-page-policy");
  expect(before(site, "monitoring-cpu")).toContain("monitoring-warn-policy");
});

it("has the host publish once it is there, may do so, and has somewhere to write to", async () => {
  const site = await usual();
  expect(before(site, "monitoring-act")).toEqual(
    new Set([
      ...["web-software", "web-bootstrap", "web-drift", "monitoring-publish"],
      ...GROUPS.map((stream) => `monitoring-${stream}`),
    ]),
  );
  const act = site.named("monitoring-act");
  expect(actIn(act.inputs)).toEqual({
    act: "monitoring",
    settings: {
      ...{ namespace: "Garage", stack: "live", intervalSeconds: 60, region: "eu-central-1" },
      ...{ endpoint: null, authority: null, credentials: null, business: GUIDE_QUERIES },
      payments: { failed: "PaymentsFailed", processed: "PaymentsProcessed" },
      logGroups: Object.fromEntries(GROUPS.map((stream) => [stream, `/garage/live/${stream}`])),
    },
    // A period that the first values are in, and as long as Amazon's may take to know them.
    seenForSeconds: 180,
  });
  // Nothing in it is a secret: a preview shows what changes.
  expect(isSecret(act.inputs.stdin)).toBe(false);
});

/** Something that takes its time. */
class Schema extends pulumi.CustomResource {
  constructor(name: string) {
    super("test:index:Schema", name, {});
  }
}

it("tells the host where Stripe sends its events, and watches what becomes of them", async () => {
  const site = await registered({ spec: { webhookPath: "/api/hook" } });
  expect(actIn(site.named("monitoring-act").inputs)).toMatchObject({
    settings: { webhookPath: "/api/hook" },
  });
  expect(site.named("monitoring-webhook-refused").inputs).toMatchObject({
    metricName: "WebhooksRefusedInARow",
    alarmActions: ["arn:aws:sns:eu-central-1:123456789012:monitoring-page"],
  });
  expect(site.named("monitoring-dashboard").inputs.dashboardBody).toContain("WebhooksRefused");
});

it("waits for the schema, which the queries are about", async () => {
  const { registrations } = await registrationsOf(() => {
    const host = new Host("web", { ...existingHost(loaded), software });
    const schema = new Schema("schema");
    const ready = schema.urn.apply(() => "ready");
    new Monitoring("monitoring", { host, role: null, database: { ready }, monitoring: SPEC });
  });
  expect(registrations.find(({ name }) => name === "monitoring-act")?.waitsFor).toContain("schema");
});

it("has alarms wait for no more than a period where the values are known at once", async () => {
  const limits = monitoring.parse({
    alarms: { hostSilent: { periodSeconds: 10 }, figuresMissing: { periodSeconds: 10 } },
  }).alarms;
  const spec = { endpoint: "https://cloudwatch.example.com", intervalSeconds: 2, limits };
  const { inputs } = (await registered({ spec })).named("monitoring-act");
  expect(actIn(inputs)).toMatchObject({ seenForSeconds: 10 });
});

it("sends the act again for nothing that is not its own", async () => {
  const act = async (changes: Changes) => (await registered(changes)).named("monitoring-act").inputs;
  const limits = { ...SPEC.limits, cpu: { percent: 1, periodSeconds: 60, periods: 1 } };
  const others = { limits, logRetentionDays: 1, recipients: { page: nobody, warn: nobody } };
  expect(await act({ spec: others })).toEqual(await act({}));
  expect(await act({ spec: { namespace: "Other" } })).not.toEqual(await act({}));
});

it("shows no act as changed in the preview of another alarm or log group", async () => {
  const isNew = (name: string) => name.startsWith("monitoring-") && name !== "monitoring-act";
  const known = (await usual()).named("monitoring-act");
  const previewed = (await registered({}, { preview: { isNew } })).named("monitoring-act");
  expect(previewed.inputs).toEqual(known.inputs);
});

describe("the host's rights", () => {
  it("are an inline policy of its role: its namespace, its groups", async () => {
    const { named } = await usual();
    expect(named("monitoring-publish")).toMatchObject({
      type: "aws:iam/rolePolicy:RolePolicy",
      inputs: { role: "garage-host", name: "monitoring" },
    });
    expect(policyIn(named("monitoring-publish"))).toMatchObject({
      Statement: [
        { Condition: { StringEquals: { "cloudwatch:namespace": "Garage" } } },
        {
          Resource: GROUPS.flatMap((stream) => {
            const arn = `arn:aws:cloudwatch:eu-central-1:123456789012:monitoring-${stream}`;
            return [arn, `${arn}:*`];
          }),
        },
      ],
    });
  });

  it("are nobody's to give where it has no role, and its keys are in no clear text", async () => {
    const site = await registered({ role: null, spec: { credentials: KEYS } });
    expect(site.ofType("RolePolicy")).toEqual([]);
    const { stdin } = site.named("monitoring-act").inputs;
    expect(isSecret(stdin)).toBe(true);
    expect(plain(stdin)).toContain(KEYS.secretAccessKey);
    const open = site.registrations.map(({ inputs }) =>
      Object.values(inputs).filter((input) => !isSecret(input)),
    );
    for (const key of Object.values(KEYS)) expect(JSON.stringify(open)).not.toContain(key);
  });
});

it("keeps logs as long as asked for, each stream in a group of its own", async () => {
  const { ofType } = await registered({ spec: { logRetentionDays: 14 } });
  expect(ofType("LogGroup").map(({ inputs }) => inputs)).toEqual(
    GROUPS.map((stream) => ({ name: `/garage/live/${stream}`, region: "eu-central-1", retentionInDays: 14 })),
  );
});

it("encrypts both topics by a key that CloudWatch may use", async () => {
  const { named, ofType } = await usual();
  expect(named("monitoring-key").inputs).toMatchObject({ enableKeyRotation: true, deletionWindowInDays: 30 });
  expect(policyIn(named("monitoring-key"))).toMatchObject({
    Statement: [{ Sid: "Account" }, { Sid: "Alarms" }],
  });
  const topics = ofType("Topic").map(({ inputs: { name, kmsMasterKeyId } }) => ({ name, kmsMasterKeyId }));
  const kmsMasterKeyId = "arn:aws:kms:eu-central-1:123456789012:monitoring-key";
  expect(topics).toEqual([
    { name: "garage-live-page", kmsMasterKeyId },
    { name: "garage-live-warn", kmsMasterKeyId },
  ]);
});

describe("who is told", () => {
  const secretUrl = "https://events.example.com/integration/a-key-in-it/enqueue";
  const recipients = {
    page: {
      emails: ["oncall@example.com", "second@example.com"],
      webhooks: [secretUrl],
      slack: { teamId: "T1", channelId: "C1", region: "us-east-2" },
    },
    warn: SPEC.recipients.warn,
  };

  it("by mail and by webhook, which has to say yes", async () => {
    const { ofType } = await registered({ spec: { recipients } });
    const told = ofType("TopicSubscription").map(({ parent, inputs }) => ({
      ...{ parent, protocol: inputs.protocol, endpoint: plain(inputs.endpoint) },
      confirms: inputs.endpointAutoConfirms,
    }));
    const ofPage = told.filter(({ parent }) => parent === "monitoring-page");
    expect(ofPage).toEqual([
      { parent: "monitoring-page", protocol: "email", endpoint: "oncall@example.com", confirms: undefined },
      { parent: "monitoring-page", protocol: "email", endpoint: "second@example.com", confirms: undefined },
      { parent: "monitoring-page", protocol: "https", endpoint: secretUrl, confirms: true },
    ]);
    expect(told.filter((one) => !ofPage.includes(one))).toEqual([
      { parent: "monitoring-warn", protocol: "email", endpoint: "team@example.com", confirms: undefined },
    ]);
  });

  describe("and has not said yes", () => {
    const warnings = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
    beforeEach(() => warnings.mockClear());
    afterAll(() => warnings.mockRestore());

    const warned = async (around: Circumstances): Promise<string[]> => {
      await registered({ spec: { recipients } }, around);
      return warnings.mock.calls.map(([text]) => text);
    };
    const pending = (isPending: (protocol: unknown) => boolean | undefined): Circumstances => ({
      made: (type, _, { protocol }) =>
        type.endsWith(":TopicSubscription") ? { outputs: { pendingConfirmation: isPending(protocol) } } : {},
    });

    it("is warned of: each by topic and place, without its address, and with what to do", async () => {
      const told = await warned(pending(() => true));
      const places = told.map(
        (text) => /alarms of (\S+ at \S+): .*Request confirmation.*--refresh/.exec(text)?.[1],
      );
      expect(places.sort()).toEqual([
        "garage-live-page at emails[0]",
        "garage-live-page at emails[1]",
        "garage-live-page at webhooks[0]",
        "garage-live-warn at emails[0]",
      ]);
      expect(told.join()).not.toMatch(/example\.com|a-key-in-it/);
    });

    it("is warned of alone", async () => {
      expect(await warned(pending((protocol) => protocol === "https"))).toHaveLength(1);
    });

    it.each([
      ["all have said yes", pending(() => false)],
      ["the provider does not tell", pending(() => undefined)],
      ["it is not known yet, in the preview of new ones", { ...pending(() => true), preview: true }],
    ])("is no word said of where %s", async (_, around) => {
      expect(await warned(around)).toEqual([]);
    });
  });

  it("without a URL's key in clear text, a name or an output", async () => {
    const { registrations } = await registered({ spec: { recipients } });
    const open = registrations.map(({ name, inputs }) => [
      name,
      ...Object.values(inputs).filter((input) => !isSecret(input)),
    ]);
    expect(JSON.stringify(open)).not.toContain("a-key-in-it");
  });

  it("in a Slack channel, by a bot that may do nothing else", async () => {
    const site = await registered({ spec: { recipients } });
    expect(site.named("monitoring-page-slack").inputs).toMatchObject({
      ...{ slackTeamId: "T1", slackChannelId: "C1", region: "us-east-2" },
      snsTopicArns: ["arn:aws:sns:eu-central-1:123456789012:monitoring-page"],
      guardrailPolicyArns: ["arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"],
    });
    expect(site.ofType("RolePolicy").map(({ name }) => name)).toEqual(["monitoring-publish"]);
    expect(site.named("monitoring-page-slack-role").inputs).toMatchObject({
      permissionsBoundary: SPEC.permissionsBoundary,
    });
    expect(site.ofType("SlackChannelConfiguration")).toHaveLength(1);
  });

  it("each by a name of their own: one who goes takes nobody else along", async () => {
    const names = async (emails: readonly string[]) => {
      const page = { ...recipients.page, emails };
      const { ofType } = await registered({ spec: { recipients: { ...recipients, page } } });
      return ofType("TopicSubscription").map(({ name }) => name);
    };
    const both = await names(recipients.page.emails);
    const rest = await names(["second@example.com"]);
    expect(new Set(both).size).toBe(both.length);
    expect(both.filter((name) => !rest.includes(name))).toHaveLength(1);
  });
});

it("draws the dashboard with the site's own limits, beside everything else", async () => {
  const site = await usual();
  const { dashboardName, dashboardBody } = site.named("monitoring-dashboard").inputs;
  expect(dashboardName).toBe("garage-live");
  expect(dashboardBody).toContain('"PaymentsProcessed"');
  expect(dashboardBody).toContain('"value":5000');
  expect(before(site, "monitoring-dashboard")).toEqual(new Set());
});
