import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Complaints } from "../../host/monitoring/complaints";
import { cloudWatchLogs } from "../../host/monitoring/logs/cloudwatch-logs";
import { fileSource } from "../../host/monitoring/logs/log-source";
import { Positions } from "../../host/monitoring/logs/positions";
import { Shipper } from "../../host/monitoring/logs/shipper";
import type { MonitoringSettings } from "../../host/monitoring/protocol";
import { Publisher } from "../../host/monitoring/publisher";
import { Spool } from "../../host/monitoring/spool";
import { waitFor } from "../../sandbox/processes";
import { TestCloudWatch } from "./support/cloudwatch";

/* Publishing and shipping against an API that checks signatures, policies and certificates; without a host. */

jest.setTimeout(120_000);

let directory: string;
let cloud: TestCloudWatch;
const told: string[] = [];

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "monitoring-"));
  cloud = await TestCloudWatch.start(directory);
}, 120_000);

afterAll(async () => {
  await cloud.remove();
  fs.rmSync(directory, { recursive: true });
});

beforeEach(() => void told.splice(0));

const NO_COUNTS = { frontDoor: null, system: null, restarts: null, databaseClock: null };
let count = 0;
const own = (): string => path.join(directory, String(++count));
const complaintsOf = (): Complaints => new Complaints((line) => told.push(line));

async function spoolOf(complaints: Complaints, at = own()): Promise<Spool> {
  return Spool.open(path.join(at, "spool"), complaints);
}

/** Keeps an interval with one value. */
async function keep(spool: Spool, name: string, at: number, value: number): Promise<void> {
  const figures = [{ name, unit: "Count" as const, value, colour: "blue" as const }];
  await spool.add({ at, figures }, { at, ...NO_COUNTS });
}

describe("values", () => {
  test("arrive with their own times, each once, also those that had to wait", async () => {
    const complaints = complaintsOf();
    const at = own();
    const spool = await spoolOf(complaints, at);
    const start = Math.floor(Date.now() / 1000) * 1000 - 600_000;
    const publisher = new Publisher(cloud.settings(), spool, complaints);
    await keep(spool, "Late", start, 1);
    expect(await publisher.publish()).toBeNull();
    await cloud.server.stop();
    for (const n of [1, 2, 3]) {
      await keep(spool, "Late", start + n * 60_000, n + 1);
      expect((await publisher.publish())?.reason).toMatch(/ECONNREFUSED.*Check the endpoint/);
    }
    expect(told).toEqual([expect.stringContaining("ECONNREFUSED")]);
    // Another process: what waits is on the disk.
    const next = await spoolOf(complaints, at);
    expect(next.pending).toBe(3);
    await cloud.server.resume();
    expect(await new Publisher(cloud.settings(), next, complaints).publish()).toBeNull();
    expect(await cloud.points("Late", "blue")).toEqual(
      [0, 1, 2, 3].map((n) => ({ at: start + n * 60_000, sum: n + 1, count: 1 })),
    );
    expect(told).toEqual([expect.anything(), "publishing: well again"]);
    expect(fs.readdirSync(path.join(at, "spool"))).toEqual(["baseline"]);
  });

  const refusals: [string, (settings: MonitoringSettings) => Partial<MonitoringSettings>, RegExp][] = [
    [
      "a key that is not known",
      () => ({ credentials: { accessKeyId: "AKIANOBODY", secretAccessKey: "x" } }),
      /status 403.*Check monitoring's access key/,
    ],
    [
      "a secret of another key",
      ({ credentials }) => ({ credentials: { ...credentials!, secretAccessKey: "none of these" } }),
      /status 403.*access key/,
    ],
    ["no authority", () => ({ authority: null }), /certificate is not trusted/],
    [
      "an endpoint that is not there",
      () => ({ endpoint: "https://127.0.0.1:1" }),
      /ECONNREFUSED.*Check the endpoint/,
    ],
    [
      "a name that is none",
      () => ({ endpoint: "https://monitoring.invalid" }),
      /(ENOTFOUND|EAI_AGAIN).*Check the endpoint/,
    ],
  ];
  test.each(refusals)(
    "are not taken by %s: the answer, the way out, and no key",
    async (_, change, reason) => {
      const settings = cloud.settings();
      const complaints = complaintsOf();
      const spool = await spoolOf(complaints);
      await keep(spool, "Refused", Date.now(), 1);
      const broken = { ...settings, ...change(settings) };
      const fault = (await new Publisher(broken, spool, complaints).publish())?.reason;
      expect(fault).toMatch(reason);
      for (const { accessKeyId, secretAccessKey } of [cloud.keys, broken.credentials!]) {
        if (secretAccessKey.length > 1) expect(fault).not.toContain(secretAccessKey);
        expect(fault).not.toContain(accessKeyId);
      }
      expect(spool.pending).toBe(1);
    },
  );
});

describe("logs", () => {
  async function shipperOf(
    at: string,
    complaints: Complaints,
    group: string,
    files: readonly string[] = ["app.log"],
  ): Promise<Shipper> {
    const settings = cloud.settings({ logGroups: { application: group } });
    return new Shipper({
      settings,
      hostName: "web:1",
      sources: files.map((file) => fileSource("application", file, path.join(at, file))),
      positions: await Positions.open(path.join(at, "positions.json")),
      api: cloudWatchLogs(settings),
      mask: (_source, text) => text.replaceAll("hunter22", "[PASSWORD]"),
      refreshMask: () => Promise.resolve(),
      complaints,
    });
  }

  test("arrive once, in order, over both kinds of rotation and over a death, without what they held before", async () => {
    await cloud.makeGroups("/garage/rotated");
    const complaints = complaintsOf();
    const at = own();
    fs.mkdirSync(at);
    const log = path.join(at, "app.log");
    let line = 0;
    const expected: string[] = [];
    const write = (lines: number): void => {
      for (let n = 0; n < lines; n++) {
        const text = `2026-01-02 03:04:05 +00:00: line ${String(++line)}`;
        expected.push(text);
        fs.appendFileSync(log, `${text}\n`);
      }
    };
    // Nobody has written to the rotated one for long.
    const leave = (): void => fs.utimesSync(`${log}.1`, 0, 0);
    fs.writeFileSync(log, "of yesterday\n");
    let shipper = await shipperOf(at, complaints, "/garage/rotated");
    expect(await shipper.prepare()).toBeNull();
    write(3);
    await shipper.ship();
    // Copied and cut, as PM2's logs are; what was not shipped yet is in the copy.
    write(2);
    fs.copyFileSync(log, `${log}.1`);
    fs.truncateSync(log);
    leave();
    write(30);
    await shipper.ship();
    // Another name, as Nginx' logs get.
    write(2);
    fs.renameSync(log, `${log}.1`);
    write(2);
    leave();
    shipper = await shipperOf(at, complaints, "/garage/rotated");
    await shipper.ship();
    await shipper.ship();
    write(1);
    fs.appendFileSync(log, "half a line");
    await shipper.ship();
    fs.appendFileSync(log, " and its end: hunter22\n");
    expected.push("half a line and its end: [PASSWORD]");
    await shipper.ship();
    expect(await cloud.lines("/garage/rotated", "web-1/app.log")).toEqual(expected);
    expect(told).toEqual([]);
  });

  test("wait while the API is away, and one that is refused keeps no other from being shipped", async () => {
    await cloud.makeGroups("/garage/waiting");
    const complaints = complaintsOf();
    const at = own();
    fs.mkdirSync(at);
    const shipper = await shipperOf(at, complaints, "/garage/waiting", ["app.log", "other.log"]);
    expect(await shipper.prepare()).toBeNull();
    await cloud.server.stop();
    const lines = Array.from({ length: 25_000 }, (_, n) => `line ${String(n)}`);
    fs.writeFileSync(path.join(at, "app.log"), `${lines.join("\n")}\n`);
    fs.writeFileSync(path.join(at, "other.log"), "another\n");
    await shipper.ship();
    await shipper.ship();
    await cloud.server.resume();
    await shipper.ship();
    expect(await cloud.lines("/garage/waiting", "/app.log")).toEqual(lines);
    expect(await cloud.lines("/garage/waiting", "/other.log")).toEqual(["another"]);
    expect(told.filter((text) => text.includes("app.log"))).toEqual([
      expect.stringMatching(/ECONNREFUSED/),
      "the log app.log: well again",
    ]);
  });

  test("of a group that is not there: told before anything is shipped", async () => {
    const at = own();
    fs.mkdirSync(at);
    const shipper = await shipperOf(at, complaintsOf(), "/garage/none");
    expect((await shipper.prepare())?.reason).toMatch(
      /\/garage\/none.*ResourceNotFoundException.*log groups/,
    );
  });
});

test("what the API of these tests has taken is still there after a stop, however close that came", async () => {
  const group = "/stopped";
  await cloud.makeGroups(group);
  const settings = cloud.settings();
  await cloudWatchLogs(settings).makeStream(group, "host/access");
  const taken: string[] = [];
  // One connection each, as a host has for each of its APIs.
  const write = async (writer: number): Promise<void> => {
    const api = cloudWatchLogs(settings);
    for (let n = 0; ; n++) {
      const message = `line ${String(n)} of ${String(writer)} before stop ${String(stops)}`;
      await api.put(group, "host/access", [{ timestamp: Date.now(), message, position: n }]);
      taken.push(message);
    }
  };
  let stops = 0;
  for (; stops < 5; stops++) {
    const enough = taken.length + 20;
    const writers = Promise.allSettled([0, 1, 2, 3].map(write));
    await waitFor("lines to be taken", 60, () => (taken.length >= enough ? true : undefined));
    await cloud.server.stop();
    for (const { status } of await writers) expect(status).toBe("rejected");
    await cloud.server.resume();
    const found = new Set(await cloud.lines(group));
    // Some will do, where thousands are gone.
    expect(taken.filter((message) => !found.has(message)).slice(-3)).toEqual([]);
  }
});
