import { Complaints } from "../../../../host/monitoring/complaints";
import { failureOf } from "../../../../host/monitoring/api-failure";
import type { FrontDoorCounts } from "../../../../host/monitoring/figures/front-door";
import {
  LONGEST_ANSWER_MS,
  measure,
  type Baseline,
  type Sources,
} from "../../../../host/monitoring/figures/measure";
import { figure, type Figure } from "../../../../host/monitoring/figures/figure";
import { METRICS, type MonitoringSettings } from "../../../../host/monitoring/protocol";
import { serving, siteOf } from "../support/fixtures";

const AT = Date.parse("2026-05-05T05:05:00Z");

const door = (requests: number): FrontDoorCounts => ({
  requests: { blue: { "2xx": requests }, green: {}, none: {} },
  durations: { blue: { bounds: [1], counts: [requests, 0] }, green: { bounds: [1], counts: [0, 0] } },
  activeUsers: 4,
});

/** A host of which everything can be told. */
function sources(change: Partial<Sources> = {}): Sources {
  return {
    site: () => Promise.resolve(siteOf({ blue: serving("v1") })),
    isUp: () => Promise.resolve(true),
    frontDoor: () => Promise.resolve(door(10)),
    system: () =>
      Promise.resolve({
        boot: "one",
        cpu: { busy: 1, total: 2 },
        disk: { read: 0, written: 0 },
        network: { received: 0, sent: 0 },
      }),
    usage: () => Promise.resolve([figure(METRICS.disk, 50)]),
    restarts: () => Promise.resolve({ blue: 0 }),
    webhooks: () => Promise.resolve(null),
    database: () => Promise.resolve(null),
    lastBackup: () => Promise.resolve(null),
    certificateEnd: () => Promise.resolve(null),
    ...change,
  };
}

const told: string[] = [];
const complaints = (): Complaints => new Complaints((line) => told.push(line));
beforeEach(() => void told.splice(0));

async function run(
  some: Partial<Sources>,
  before: Baseline | null,
  at = AT,
  payments?: { failed: string; processed: string },
): Promise<{ figures: readonly Figure[]; baseline: Baseline }> {
  const { interval, baseline } = await measure(
    sources(some),
    { at, before, intervalSeconds: 60, payments },
    complaints(),
  );
  return { figures: interval.figures, baseline };
}

const valueOf = (
  figures: readonly Figure[],
  name: string,
  colour: string | null = null,
): number | undefined => figures.find((one) => one.name === name && one.colour === colour)?.value;

describe("an interval", () => {
  it("without one before it has what is now, and no counts", async () => {
    const { figures, baseline } = await run({}, null);
    const names = new Set(figures.map(({ name }) => name));
    expect([...names].sort()).toEqual([
      "ActiveUsers",
      "ApplicationUp",
      "DiskUtilization",
      "Healthy",
      "HostPublishes",
    ]);
    expect(valueOf(figures, "Healthy", "green")).toBeUndefined();
    expect(baseline.frontDoor).toEqual(door(10));
  });

  it("counts from the one before it", async () => {
    const { baseline } = await run({}, null);
    const { figures } = await run({ frontDoor: () => Promise.resolve(door(15)) }, baseline, AT + 60_000);
    expect(valueOf(figures, "Requests", "all")).toBe(5);
    expect(valueOf(figures, "ProcessRestarts")).toBe(0);
  });

  it("in which the front door could not be asked is counted by the next one", async () => {
    const first = await run({}, null);
    const away = {
      frontDoor: () => Promise.reject(new Error("connect ENOENT")),
      isUp: () => Promise.resolve(false),
    };
    const second = await run(away, first.baseline, AT + 60_000);
    expect(valueOf(second.figures, "Requests", "all")).toBeUndefined();
    expect(valueOf(second.figures, "ApplicationUp")).toBe(0);
    expect(told).toEqual(["the front door's counts: connect ENOENT"]);
    const third = await run({ frontDoor: () => Promise.resolve(door(25)) }, second.baseline, AT + 120_000);
    expect(valueOf(third.figures, "Requests", "all")).toBe(15);
  });

  it("has all the rest where one source hangs, which is told", async () => {
    jest.useFakeTimers();
    try {
      const hung = run({ restarts: () => new Promise(() => undefined) }, null);
      await jest.advanceTimersByTimeAsync(LONGEST_ANSWER_MS);
      const { figures, baseline } = await hung;
      expect(valueOf(figures, "ApplicationUp")).toBe(1);
      expect(baseline).toMatchObject({ frontDoor: door(10), restarts: null });
      expect(told).toEqual(["PM2: no answer within 45 s"]);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it("goes on in the webhook's log where the last one that could be read ended", async () => {
    const asked: unknown[] = [];
    const counts = { position: null, refusedInARow: 3 };
    const webhooks: Sources["webhooks"] = (before) => {
      asked.push(before);
      return Promise.resolve({ figures: [figure(METRICS.webhooksRefusedInARow, 3)], counts });
    };
    const { figures, baseline } = await run({ webhooks }, null);
    expect(valueOf(figures, "WebhooksRefusedInARow")).toBe(3);
    const away = await run({ webhooks: () => Promise.reject(new Error("no log")) }, baseline, AT + 60_000);
    expect(valueOf(away.figures, "WebhooksRefusedInARow")).toBeUndefined();
    await run({ webhooks }, away.baseline, AT + 120_000);
    expect(asked).toEqual([null, counts]);
  });

  it("begins anew behind what a publisher of before kept, which knew no webhook", async () => {
    const asked: unknown[] = [];
    const { at, frontDoor, system, restarts, databaseClock } = (await run({}, null)).baseline;
    const before = { at, frontDoor, system, restarts, databaseClock };
    const webhooks = (from: unknown) => Promise.resolve(void asked.push(from)).then(() => null);
    await run({ webhooks }, before, AT + 60_000);
    expect(asked).toEqual([null]);
  });

  it("counts payments on that fail, at any rate, until one goes through", async () => {
    const payments = { failed: "Failures", processed: "Sales" };
    const count = (name: string, value: number): Figure => ({ name, unit: "Count", value, colour: null });
    let before: Baseline | null = null;
    const minute = async (found: readonly Figure[] | null): Promise<number | undefined> => {
      const database = (): ReturnType<Sources["database"]> =>
        found === null ? Promise.reject(new Error("away")) : Promise.resolve({ figures: found, clock: null });
      const { figures, baseline } = await run({ database }, before, (before?.at ?? AT) + 60_000, payments);
      before = baseline;
      return valueOf(figures, "PaymentsFailedInARow");
    };
    expect(await minute([count("Failures", 1), count("Sales", 0)])).toBe(1);
    expect(await minute([count("Failures", 2), count("Sales", 0)])).toBe(3);
    expect(await minute([count("Failures", 0), count("Sales", 0)])).toBe(3);
    // Who cannot tell whether one went through says nothing, and forgets nothing.
    expect(await minute([count("Failures", 1)])).toBeUndefined();
    expect(await minute([count("Sales", 0)])).toBeUndefined();
    expect(await minute(null)).toBeUndefined();
    expect(await minute([count("Failures", 1), count("Sales", 0)])).toBe(4);
    expect(await minute([count("Failures", 5), count("Sales", 1)])).toBe(0);
  });

  it("counts no payments that nobody wants counted", async () => {
    const database = () => Promise.resolve({ figures: [figure(METRICS.databaseReachable, 1)], clock: null });
    expect(valueOf((await run({ database }, null)).figures, "PaymentsFailedInARow")).toBeUndefined();
  });

  it("after a long time does not hold it all", async () => {
    const { baseline } = await run({}, null);
    const { figures } = await run({ frontDoor: () => Promise.resolve(door(1e6)) }, baseline, AT + 3600_000);
    expect(valueOf(figures, "Requests", "all")).toBeUndefined();
  });

  it("of a site that nobody was promised yet has no word on it", async () => {
    const { figures } = await run({ site: () => Promise.resolve(null) }, null);
    expect(valueOf(figures, "ApplicationUp")).toBeUndefined();
  });

  it.each([
    ["was configured", { ...siteOf({}), traffic: null }],
    ["has a release, and no users", { ...siteOf({ blue: serving("v1") }), traffic: null }],
  ])("of a site that %s: whoever comes meets an error, and nobody is at fault", async (_, site) => {
    const early = { site: () => Promise.resolve(site), isUp: () => Promise.resolve(false) };
    const { baseline } = await run(early, null);
    const frontDoor = () =>
      Promise.resolve({ ...door(10), requests: { blue: { "2xx": 10 }, green: {}, none: { "5xx": 3 } } });
    const { figures } = await run({ ...early, frontDoor }, baseline, AT + 60_000);
    expect(valueOf(figures, "ApplicationUp")).toBeUndefined();
    expect(valueOf(figures, "ErrorRate", "all")).toBeUndefined();
    expect([valueOf(figures, "Requests", "all"), valueOf(figures, "HostPublishes")]).toEqual([3, 1]);
  });

  it("of a site whose state cannot be read has its errors all the same", async () => {
    const { baseline } = await run({}, null);
    const { figures } = await run(
      { site: () => Promise.reject(new Error("damaged")) },
      baseline,
      AT + 60_000,
    );
    expect([valueOf(figures, "ApplicationUp"), valueOf(figures, "ErrorRate", "all")]).toEqual([undefined, 0]);
  });

  it("tells how old the last backup is, and how long the certificate has, behind its end too", async () => {
    const { figures } = await run(
      {
        lastBackup: () => Promise.resolve(new Date("2026-05-04T03:35:00Z")),
        certificateEnd: () => Promise.resolve(new Date("2026-05-12T17:05:00Z")),
      },
      null,
    );
    expect(valueOf(figures, "BackupAgeHours")).toBe(25.5);
    expect(valueOf(figures, "CertificateDaysToExpiry")).toBe(7.5);
    const ended = { certificateEnd: () => Promise.resolve(new Date("2026-05-03T05:05:00Z")) };
    expect(valueOf((await run(ended, null)).figures, "CertificateDaysToExpiry")).toBe(-2);
    expect(told).toEqual([]);
  });

  it("asks the database from its own last time on, or else from the interval's beginning", async () => {
    const asked: string[] = [];
    const database: Sources["database"] = (since) => {
      asked.push(since);
      return Promise.resolve({ figures: [], clock: "2026-05-05T05:05:01.000001Z" });
    };
    const { baseline } = await run({ database }, null);
    const { baseline: next } = await run({ database: () => Promise.reject(new Error("no")) }, baseline);
    await run({ database }, next);
    expect(asked).toEqual(["2026-05-05T05:04:00.000Z", "2026-05-05T05:05:01.000001Z"]);
  });
});

describe("trouble", () => {
  it("is told once by its kind, and its end", () => {
    const one = complaints();
    one.begin("publishing", "refused after 3 s");
    one.begin("publishing", "refused after 4 s");
    one.begin("publishing", "another");
    one.begin("publishing", "refused after 5 s");
    expect(one.current?.reason).toBe("publishing: refused after 5 s");
    one.end("publishing");
    one.end("publishing");
    expect(one.current).toBeNull();
    expect(told).toEqual(["publishing: refused after 3 s", "publishing: another", "publishing: well again"]);
  });
});

describe("a failure of an API", () => {
  const settings: MonitoringSettings = {
    ...{ namespace: "Garage", stack: "test", intervalSeconds: 60, region: "eu-central-1", endpoint: null },
    ...{ authority: null, business: {}, logGroups: {} },
    credentials: { accessKeyId: "AKIDOFGARAGE", secretAccessKey: "secretOfGarage" },
  };
  const error = (name: string, message: string, status?: number): Error =>
    Object.assign(new Error(message), {
      name,
      ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
    });

  it.each([
    [
      error("InvalidClientTokenId", "The security token is invalid", 403),
      /access key, and that it belongs to the region/,
    ],
    [error("ExpiredTokenException", "The token is expired", 403), /Renew monitoring's access key/],
    [error("AccessDenied", "not authorized to perform", 403), /cloudwatch:PutMetricData/],
    [error("AccessDeniedException", "not authorized to perform", 400), /logs:CreateLogStream/],
    [
      error("CredentialsProviderError", "Could not load credentials from any providers"),
      /Give the host a role/,
    ],
    [error("ThrottlingException", "Rate exceeded", 429), /tried again/],
    [error("TimeoutError", "connect timed out"), /the region eu-central-1, and that the host reaches it/],
  ])("%s: the way out", (fault, reason) => {
    expect(failureOf("putting", fault, settings).reason).toMatch(reason);
  });

  it.each([
    ["AccessDenied", 403, true],
    ["AccessDeniedException", 400, true],
    ["InvalidClientTokenId", 403, false],
    ["ExpiredTokenException", 403, false],
    ["InvalidParameterValue", 400, false],
    ["ServiceUnavailable", 503, false],
  ])("%s, %d: it is %p that a right is missing", (name, status, denied) => {
    expect(failureOf("putting", error(name, "no", status), settings).denied).toBe(denied);
  });

  it("repeats no key", () => {
    const { reason } = failureOf(
      "putting",
      error("X", "for AKIDOFGARAGE with secretOfGarage", 400),
      settings,
    );
    expect(reason).toContain("for [accessKeyId] with [secretAccessKey]");
  });
});
