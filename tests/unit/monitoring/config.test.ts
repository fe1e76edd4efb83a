import { validate } from "../../../config";
import type { Path } from "../../../config/faults";
import { GUIDE_QUERIES } from "../../../config/monitoring-queries";
import { changed, faultsOf, machineWith, rawConfig, settings } from "../support/configuration";
import { makePair } from "../host/support/fake-certificates";

/* The group `monitoring`: what of it is refused, all at once, and what the component is given. */

/** A stack that is watched; without a database, whose own rules are tested elsewhere. */
const watched = () => ({
  ...settings(),
  monitoring: {
    enabled: true,
    region: "eu-central-1",
    page: { emails: ["oncall@example.com"] },
    warn: { emails: ["team@example.com"] },
  },
});

/** The same with a database. */
const withDatabase = () => ({
  ...watched(),
  databaseUrl: "postgres://postgres:secret@db.example.com/postgres",
  backups: { bucket: "garage-backups" },
  database: { lintAfter: "001" },
});
const databaseFiles = Object.fromEntries([
  ["/project/migrations/001_a.sql", "select 1"],
  ...["v0.9.9", "v1.0.0"].map((version) => [
    `/project/releases/${version}.yaml`,
    "schema: { first: '001', last: null, needs: [] }",
  ]),
]) as Record<string, string>;
const machine = machineWith(databaseFiles);

const specOf = (values: Record<string, unknown>) => validate(rawConfig(values), machine).monitoring;
const keysOf = (values: Record<string, unknown>) => faultsOf(values, machine).map(({ key }) => key);
const inMonitoring = (path: string) => `vehicleservice:monitoring.${path}`;

it("is not there unless it is switched on, whatever else is said", () => {
  expect(specOf(settings())).toBeNull();
  expect(specOf(changed(watched(), ["monitoring", "enabled"], false))).toBeNull();
  expect(keysOf(changed(settings(), ["monitoring", "page"], { emails: [] }))).toEqual([]);
});

it("has the guide's values as defaults", () => {
  expect(specOf(withDatabase())).toEqual({
    app: "vehicleservice",
    prefix: "vehicleservice-test",
    namespace: "vehicleservice",
    stack: "test",
    region: "eu-central-1",
    endpoint: null,
    authority: null,
    intervalSeconds: 60,
    credentials: null,
    business: GUIDE_QUERIES,
    hasDatabase: true,
    webhookPath: null,
    permissionsBoundary: null,
    recipients: {
      page: { emails: ["oncall@example.com"], webhooks: [], slack: null },
      warn: { emails: ["team@example.com"], webhooks: [], slack: null },
    },
    limits: expect.objectContaining({
      errorRate: { percent: 5, periodSeconds: 60, periods: 3 },
      errorRateWarning: { percent: 1, periodSeconds: 60, periods: 5 },
      responseTime: { milliseconds: 5000, periodSeconds: 60, periods: 3 },
      responseTimeWarning: { milliseconds: 2000, periodSeconds: 60, periods: 5 },
      cpu: { percent: 80, periodSeconds: 300, periods: 3 },
      memory: { percent: 85, periodSeconds: 300, periods: 2 },
      disk: { percent: 90, periodSeconds: 300, periods: 1 },
      backupOverdue: { hours: 26, periodSeconds: 300, periods: 1 },
      certificateExpiring: { days: 3, periodSeconds: 300, periods: 1 },
      certificateExpiringWarning: { days: 14, periodSeconds: 300, periods: 1 },
    }),
    logs: "/vehicleservice/test",
    logRetentionDays: 90,
  });
});

it("asks a site without a database for none of the business's figures", () => {
  expect(specOf(watched())).toMatchObject({ business: {}, hasDatabase: false });
});

it("adds queries to the guide's, puts others in their place, and takes away what is empty", () => {
  const business = { OrdersPlaced: "select 1", WebhookEvents: "select 2", AutoRecharges: "" };
  const spec = specOf(changed(withDatabase(), ["monitoring", "business"], business));
  expect(spec?.business).toEqual({
    PaymentsProcessed: GUIDE_QUERIES.PaymentsProcessed,
    PaymentsFailed: GUIDE_QUERIES.PaymentsFailed,
    OAuthConnections: GUIDE_QUERIES.OAuthConnections,
    WebhookEvents: "select 2",
    OrdersPlaced: "select 1",
  });
});

it("publishes by the keys that are given, to the endpoint that is, whose authority it knows", async () => {
  const { chain } = await makePair(["cloudwatch.example.com"]);
  const files = { ...databaseFiles, "/project/authority.pem": chain };
  const values = {
    ...watched(),
    monitoringAccessKeyId: "id",
    monitoringSecretAccessKey: "key",
  };
  const more = { endpoint: "https://cloudwatch.example.com", authorityFile: "authority.pem" };
  const monitoring = { ...values.monitoring, ...more };
  expect(validate(rawConfig({ ...values, monitoring }), machineWith(files)).monitoring).toMatchObject({
    credentials: { accessKeyId: "id", secretAccessKey: "key" },
    endpoint: "https://cloudwatch.example.com",
    authority: expect.stringContaining("BEGIN CERTIFICATE"),
  });
});

it("gives names without dots to what may have none", () => {
  const raw = { ...rawConfig(watched()), stack: "eu.live_1" };
  expect(validate(raw, machine).monitoring).toMatchObject({
    prefix: "vehicleservice-eu-live_1",
    stack: "eu.live_1",
    logs: "/vehicleservice/eu.live_1",
  });
});

describe("is refused", () => {
  it.each<[string, Path, unknown, string]>([
    ["an alarm that pages nobody", ["page"], {}, "page.emails"],
    ["an alarm that warns nobody", ["warn"], { emails: [] }, "warn.emails"],
    ["a mail address without domain", ["page", "emails", 0], "oncall", "page.emails[0]"],
    ["the guide's placeholder", ["warn", "emails", 0], "[team-email]", "warn.emails[0]"],
    ["an address twice", ["warn", "emails"], ["a@example.com", "a@example.com"], "warn.emails"],
    ["a URL without TLS", ["page", "webhooks", 0], "http://alarms.example.com/", "page.webhooks[0]"],
    ["a URL with a user", ["page", "webhooks", 0], "https://a:b@example.com/", "page.webhooks[0]"],
    ["a URL with a placeholder", ["page", "webhooks", 0], "https://yourdomain.com/", "page.webhooks[0]"],
    [
      "a Slack channel's name",
      ["warn", "slack"],
      { teamId: "T1", channelId: "#ops" },
      "warn.slack.channelId",
    ],
    ["a period of 45 s", ["alarms", "cpu", "periodSeconds"], 45, "alarms.cpu.periodSeconds"],
    ["a period of 90 s", ["alarms", "disk", "periodSeconds"], "90", "alarms.disk.periodSeconds"],
    [
      "a period shorter than the interval",
      ["alarms", "cpu", "periodSeconds"],
      30,
      "alarms.cpu.periodSeconds",
    ],
    ["more than a day", ["alarms", "memory"], { periodSeconds: 3600, periods: 25 }, "alarms.memory.periods"],
    ["more than all", ["alarms", "errorRate", "percent"], 101, "alarms.errorRate.percent"],
    ["a built-in metric's name", ["business", "ErrorRate"], "select 1", "business.ErrorRate"],
    ["a name that CloudWatch does not take", ["business", "a b"], "select 1", 'business["a b"]'],
    ["a region that there cannot be", ["region"], "frankfurt", "region"],
    ["no region at all", ["region"], undefined, "region"],
    ["an endpoint that anybody reads", ["endpoint"], "http://cloudwatch.example.com", "endpoint"],
    ["Amazon's own namespace", ["namespace"], "AWS/EC2", "namespace"],
    ["a retention that there is not", ["logRetentionDays"], 100, "logRetentionDays"],
    ["an alarm that nobody knows", ["alarms", "cpus"], {}, "alarms.cpus"],
    ["an authority that is not there", ["authorityFile"], "none.pem", "authorityFile"],
    [
      "an alarm about a query that is taken away",
      ["business"],
      { PaymentsFailed: "" },
      "alarms.paymentFailures.metric",
    ],
    [
      "an alarm about payments that go through, whose query is taken away",
      ["business"],
      { PaymentsProcessed: "" },
      "alarms.paymentsAllFailed.processed",
    ],
    [
      "more queries than the host takes",
      ["business"],
      Object.fromEntries(Array.from({ length: 48 }, (_, n) => [`Q${String(n)}`, "select 1"])),
      "business",
    ],
  ])("%s", (_, path, value, key) => {
    expect(keysOf(changed(withDatabase(), ["monitoring", ...path], value))).toEqual([inMonitoring(key)]);
  });

  it.each([
    ["monitoringAccessKeyId", "monitoringSecretAccessKey"],
    ["monitoringSecretAccessKey", "monitoringAccessKeyId"],
  ])("%s without %s", (given, missing) => {
    expect(keysOf({ ...watched(), [given]: "half" })).toEqual([`vehicleservice:${missing}`]);
  });

  it("all of it at once", () => {
    const monitoring = {
      enabled: true,
      region: "nowhere",
      page: { emails: ["oncall"], webhooks: ["http://alarms.example.com"] },
      alarms: { cpu: { periodSeconds: 45 }, disk: { periodSeconds: 10 } },
      business: { Requests: "select 1" },
    };
    expect(keysOf({ ...withDatabase(), monitoring }).sort()).toEqual(
      [
        ...["region", "page.emails[0]", "page.webhooks[0]", "warn.emails"],
        ...["alarms.cpu.periodSeconds", "alarms.disk.periodSeconds", "business.Requests"],
      ]
        .map(inMonitoring)
        .sort(),
    );
  });
});

// days before its end that a certificate is renewed, days of the two alarms, which of them are refused
it.each([
  [30, {}, []],
  [14, {}, ["certificateExpiringWarning"]],
  [15, {}, []],
  [3, {}, ["certificateExpiring", "certificateExpiringWarning"]],
  [3, { certificateExpiring: { days: 0 }, certificateExpiringWarning: { days: "2" } }, []],
  [30, { certificateExpiring: { days: 31 } }, ["certificateExpiring"]],
  [null, { certificateExpiring: { days: 365 } }, []],
])("of a certificate that is renewed %p days before its end %p is refused: %p", (days, alarms, refused) => {
  const values = changed(watched(), ["monitoring", "alarms"], alarms);
  const tls = days === null ? {} : { acme: { renewBeforeDays: days } };
  const keys = keysOf(changed(values, ["site", "tls"], tls));
  expect(keys).toEqual(refused.map((name) => inMonitoring(`alarms.${name}.days`)));
});

it("is in the provider's region, unless it says so itself, and never in another one", () => {
  const inRegion = (awsRegion: string, region?: string) => ({
    ...rawConfig(changed(watched(), ["monitoring", "region"], region)),
    awsRegion,
  });
  expect(validate(inRegion("eu-west-1"), machine).monitoring?.region).toBe("eu-west-1");
  expect(validate(inRegion("eu-west-1", "eu-west-1"), machine).monitoring?.region).toBe("eu-west-1");
  expect(() => validate(inRegion("eu-west-1", "eu-central-1"), machine)).toThrow(
    /monitoring\.region\n.*eu-central-1.*\n.*eu-west-1, which aws:region names/,
  );
});

it("takes periods of less than a minute where values come as often", () => {
  const often = changed(watched(), ["monitoring", "intervalSeconds"], "10");
  expect(keysOf(changed(often, ["monitoring", "alarms", "cpu", "periodSeconds"], 10))).toEqual([]);
});
