import { mkdirSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { join } from "node:path";
import { Failed } from "../../../host/conductor/faults";
import { launcherProber, proveHealthy, type Prober } from "../../../host/conductor/processes/prober";
import type { SiteSettings } from "../../../host/conductor/protocol";
import { pathsUnder, removeDirectories, runningOf, SETTINGS, temporaryDirectory } from "./support/fixtures";
import { UnixServers } from "./support/unix-server";

const servers = new UnixServers();
afterEach(() => servers.close());
afterAll(removeDirectories);

const release = runningOf("v1.0.0");
const HEADER = { "x-conductor-release": "v1.0.0 commit-of-v1.0.0" };
const PASSWORD = "word-of-the-database";
const environments = { read: () => Promise.resolve({ PASSWORD }) };
const well: RequestListener = (_, response) => void response.writeHead(200, HEADER).end("ok");

/** Private sockets of green's instances, one for each listener; a `null` leaves its instance out. */
async function instances(
  ...listeners: (RequestListener | null)[]
): Promise<(settings?: SiteSettings) => Promise<string | null>> {
  const paths = pathsUnder(temporaryDirectory());
  const directory = join(paths.health, "green");
  mkdirSync(directory, { recursive: true });
  for (const [instance, listener] of listeners.entries()) {
    if (listener !== null) {
      await servers.listen(createServer(listener), join(directory, `${instance}.sock`));
    }
  }
  return (settings = SETTINGS) => launcherProber(paths, environments).probe("green", release, settings);
}

const answering = (status: number, headers: Record<string, string>, body = ""): RequestListener => {
  return (_, response) => void response.writeHead(status, headers).end(body);
};

const hanging: RequestListener = () => undefined;

describe("a probe", () => {
  it("tells the name of a value of the environment that an instance quotes, not the value", async () => {
    const quoting = answering(503, HEADER, `${"x".repeat(185)} ${PASSWORD}`);
    const fault = await (await instances(quoting))();
    expect(fault).toContain("[PASSWORD]");
    expect(fault).not.toContain(PASSWORD.slice(0, 8));
  });

  it("asks every instance for the health path, as a user of the site would", async () => {
    const asked: string[] = [];
    const note: RequestListener = (request, response) => {
      asked.push(`${request.method ?? ""} ${request.headers.host ?? ""}${request.url ?? ""}`);
      well(request, response);
    };
    const probe = await instances(note, note);
    expect(await probe()).toBeNull();
    expect(asked).toEqual(["GET shop.example.com/api/health", "GET shop.example.com/api/health"]);
  });

  it.each([200, 204, 299])("passes with %i", async (status) => {
    expect(await (await instances(answering(status, HEADER), well))()).toBeNull();
  });

  it.each<[string, RequestListener | null, RegExp]>([
    [
      "answers 500",
      answering(500, HEADER, "no database"),
      /^instance 1 answers \/api\/health with 500: "no database"$/,
    ],
    ["redirects", answering(302, { ...HEADER, location: "/" }), /with 302/],
    [
      "runs another version",
      answering(200, { "x-conductor-release": "v0.9.9 abc" }),
      /^instance 1 runs v0.9.9 abc, not v1.0.0 commit-of-v1.0.0$/,
    ],
    ["runs another commit", answering(200, { "x-conductor-release": "v1.0.0 other" }), /runs v1.0.0 other/],
    ["does not say what it runs", answering(200, {}), /^instance 1 runs undefined/],
    ["is not there", null, /^instance 1 does not answer: .*ENOENT/],
    ["hangs", hanging, /^instance 1 does not answer: /],
    ["breaks off", (request) => void request.socket.destroy(), /^instance 1 does not answer: /],
  ])("fails where one instance %s", async (_, listener, fault) => {
    const probe = await instances(well, listener);
    // Only for one that hangs is the limit waited for; the other one has to answer within it.
    const timeoutMs = listener === hanging ? 10_000 : SETTINGS.health.timeoutMs;
    expect(await probe({ ...SETTINGS, health: { ...SETTINGS.health, timeoutMs } })).toMatch(fault);
  });

  it("asks as many as the release was started with", async () => {
    const probe = await instances(well, well, answering(500, HEADER));
    expect(await probe({ ...SETTINGS, instances: 3 })).toBeNull();
  });

  it("tells little of a long answer", async () => {
    const probe = await instances(answering(503, HEADER, "x".repeat(100_000)), well);
    expect((await probe())!.length).toBeLessThan(300);
  });
});

/** A prober that answers with each of `faults` in turn, and with the last one for ever. */
function sequence(faults: readonly (string | null)[]): { prober: Prober; asked: () => number } {
  let asked = 0;
  const probe: Prober["probe"] = () => Promise.resolve(faults[Math.min(asked++, faults.length - 1)] ?? null);
  return { prober: { probe }, asked: () => asked };
}

const settings: SiteSettings = {
  ...SETTINGS,
  health: { ...SETTINGS.health, intervalMs: 1, passes: 3, deadlineSeconds: 60 },
};

describe("proof of health", () => {
  it("needs the passes in a row", async () => {
    const { prober, asked } = sequence(["starting", null, null, "hiccup", null, null, null]);
    const progress: string[] = [];
    await proveHealthy(prober, "green", release, settings, (line) => progress.push(line));
    expect(asked()).toBe(7);
    expect(progress).toEqual([
      "green: starting",
      "green: hiccup",
      "green: every instance passed 3 times in a row",
    ]);
  });

  it("tells a fault once, however often it is seen", async () => {
    const progress: string[] = [];
    const { prober } = sequence(["starting", "starting", "starting", null]);
    await proveHealthy(prober, "green", release, settings, (line) => progress.push(line));
    expect(progress.filter((line) => line === "green: starting")).toHaveLength(1);
  });

  it("fails at the deadline with the last fault", async () => {
    const short = { ...settings, health: { ...settings.health, deadlineSeconds: 0.05 } };
    // The clock at the start, after the first probe, and after the second one.
    const clock = jest.spyOn(performance, "now");
    for (const milliseconds of [0, 0, 50]) clock.mockReturnValueOnce(milliseconds);
    const proof = proveHealthy(sequence(["a", "b"]).prober, "green", release, short, () => undefined);
    await expect(proof).rejects.toThrow(Failed);
    clock.mockRestore();
    await expect(proof).rejects.toThrow("v1.0.0 on green did not become healthy within 0.05 s; last: b");
  });
});
