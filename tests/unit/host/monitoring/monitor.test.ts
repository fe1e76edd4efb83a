import { failureOf } from "../../../../host/monitoring/api-failure";
import { Complaints } from "../../../../host/monitoring/complaints";
import type { Sources } from "../../../../host/monitoring/figures/measure";
import { Monitor, type LogShipper } from "../../../../host/monitoring/monitor";
import type { MonitoringSettings } from "../../../../host/monitoring/protocol";
import { Publisher } from "../../../../host/monitoring/publisher";
import { Spool } from "../../../../host/monitoring/spool";
import { removeDirectories, temporaryDirectory } from "../support/fixtures";

afterAll(removeDirectories);

const silent = (): void => undefined;
const NOW = Date.parse("2026-05-05T05:05:00Z");
const settings: MonitoringSettings = {
  ...{ namespace: "Garage", stack: "test", intervalSeconds: 60, region: "eu-central-1" },
  ...{ endpoint: null, authority: null, credentials: null, business: {}, logGroups: {} },
};
const answer = (name: string, status: number): Error =>
  Object.assign(new Error("no"), { name, $metadata: { httpStatusCode: status } });
const DENIED = answer("AccessDenied", 403);

/** A host that knows of its disk alone. */
const nothing = (): Promise<never> => Promise.reject(new Error("not asked"));
const sources: Sources = {
  ...{ isUp: nothing, frontDoor: nothing, system: nothing, restarts: nothing },
  site: () => Promise.resolve(null),
  usage: () => Promise.resolve([{ name: "DiskUtilization", unit: "Percent", value: 1, colour: null }]),
  webhooks: () => Promise.resolve(null),
  database: () => Promise.resolve(null),
  lastBackup: () => Promise.resolve(null),
  certificateEnd: () => Promise.resolve(null),
};

/** What comes of a first try where the metrics' API answers as `puts` say, and the logs' as `streams` do; then both take all. */
async function firstTry(puts: Error[], streams: Error[] = [], deadlineMs = 5000) {
  const complaints = new Complaints(silent);
  const spool = await Spool.open(temporaryDirectory(), complaints);
  const told: string[] = [];
  let taken = 0;
  const put = () => {
    const error = puts.shift();
    if (error !== undefined) return Promise.reject(error);
    taken++;
    return Promise.resolve();
  };
  const shipper: LogShipper = {
    prepare: () => {
      const error = streams.shift();
      return Promise.resolve(error === undefined ? null : failureOf("shipping logs", error, settings));
    },
    ship: () => Promise.resolve(),
  };
  const monitor = new Monitor({
    ...{ intervalSeconds: 60, sources, spool, shipper, complaints, tell: silent, now: () => NOW },
    publisher: new Publisher(settings, spool, complaints, put, () => new Date(NOW)),
  });
  const fault = await monitor.firstTry((waitingFor) => told.push(waitingFor), { deadlineMs, everyMs: 1 });
  return { fault, told, taken };
}

it("measures no end twice: a pause that took too long may have come nearer to the next one", async () => {
  const complaints = new Complaints(silent);
  const spool = await Spool.open(temporaryDirectory(), complaints);
  const ends: number[] = [];
  const over = new Error("over");
  // What was to wake at 120 s does so at 155 s, nearer to the next end, and so does the one for that end.
  const wakes = [61, 155, 179, 180.5];
  let now = NOW;
  const monitor = new Monitor({
    ...{ intervalSeconds: 60, spool, complaints, tell: silent, now: () => now },
    sources,
    shipper: { prepare: () => Promise.resolve(null), ship: () => Promise.resolve() },
    publisher: new Publisher(
      settings,
      spool,
      complaints,
      () => Promise.resolve(),
      () => new Date(now),
    ),
  });
  const measure = monitor.measure.bind(monitor);
  jest.spyOn(monitor, "measure").mockImplementation((at) => {
    ends.push((at - NOW) / 1000);
    return measure(at);
  });
  const pause = (): Promise<void> => {
    const wake = wakes.shift();
    if (wake === undefined) return Promise.reject(over);
    now = NOW + wake * 1000;
    return Promise.resolve();
  };
  await expect(monitor.run(pause)).rejects.toBe(over);
  expect(ends).toEqual([60, 180]);
});

describe("the first try", () => {
  it("is over where everything is taken at once", async () => {
    expect(await firstTry([])).toEqual({ fault: null, told: [], taken: 1 });
  });

  it("waits until the role's new rights are known, tells so once, and publishes each value once", async () => {
    const { fault, told, taken } = await firstTry([DENIED, DENIED, DENIED]);
    expect([fault, taken]).toEqual([null, 1]);
    expect(told).toEqual([expect.stringMatching(/AccessDenied.*Let the host's role do cloudwatch:Put/)]);
  });

  it("waits for those of the logs, too", async () => {
    const denied = answer("AccessDeniedException", 400);
    const { fault, told } = await firstTry([], [denied, denied]);
    expect([fault, told]).toEqual([null, [expect.stringContaining("shipping logs: AccessDenied")]]);
  });

  it("fails by what the API answers where the rights do not come", async () => {
    const { fault, told } = await firstTry(
      Array.from({ length: 100_000 }, () => DENIED),
      [],
      30,
    );
    expect(fault).toMatch(/AccessDenied/);
    expect(told).toHaveLength(1);
  });

  it.each([
    ["InvalidClientTokenId", 403],
    ["ServiceUnavailable", 503],
    ["InvalidParameterValue", 400],
  ])("waits for nothing that does not come by itself: %s", async (name, status) => {
    const { fault, told } = await firstTry([answer(name, status)]);
    expect([fault, told]).toEqual([expect.stringContaining(name), []]);
  });
});
