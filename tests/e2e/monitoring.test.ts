import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MonitoringAct, MonitoringSettings, MonitoringStatus } from "../../host/monitoring/protocol";
import type { CommandResult } from "../../sandbox/command";
import { SandboxDatabase } from "../../sandbox/database";
import { startLoad, type LoadRun } from "../../sandbox/load/run";
import { allDone, waitFor } from "../../sandbox/processes";
import { worldNamed } from "../../sandbox/world";
import { argumentsDuring } from "./support/argument-watch";
import { TestCloudWatch } from "./support/cloudwatch";
import { SLOW_MS, TestWorld } from "./support/world";

/* What a host publishes of itself, whole: front door, conductor, publisher, an API that checks who asks. */

jest.setTimeout(2 * SLOW_MS);

const GROUPS = {
  access: "/vehicleservice/test/access",
  error: "/vehicleservice/test/error",
  application: "/vehicleservice/test/application",
  conductor: "/vehicleservice/test/conductor",
};
const PUBLISHER = /vehicleservice\/monitoring\.js/;
const CONDUCTOR = /vehicleservice\/conductor\.js/;
const WAIT_SECONDS = 120;
const WEBHOOK = "/api/business/wallet/webhook";
const SECRET = "not-for-any-log-1234";

let world: TestWorld;
let database: SandboxDatabase;
let cloud: TestCloudWatch;
let directory: string;

beforeAll(async () => {
  world = await TestWorld.create("monitoring");
  directory = mkdtempSync(join(tmpdir(), "monitoring-"));
  // Postgres runs as a user of its own.
  chmodSync(directory, 0o711);
  const address = world.host.gateway;
  await world.project.setSecret("variables.LOGGED", SECRET, { path: true });
  [database, cloud] = await allDone([
    SandboxDatabase.start(worldNamed(), { directory: join(directory, "database"), address }),
    TestCloudWatch.start(directory, address),
    world.up({ blueVersion: "v0.9.9" }),
  ]);
  await cloud.makeGroups(...Object.values(GROUPS));
}, SLOW_MS);

afterAll(async () => {
  await world.remove();
  await cloud.remove();
  await database.remove();
  rmSync(directory, { recursive: true, force: true });
});

const BUSINESS = {
  WebhookEvents: "select count(*) from public.webhook_events where received_at >= $1 and received_at < $2",
  Broken: "select 1 / 0",
};

function settings(change: Partial<MonitoringSettings> = {}): MonitoringSettings {
  return cloud.settings({ business: BUSINESS, logGroups: GROUPS, webhookPath: WEBHOOK, ...change });
}

async function act(wanted: MonitoringSettings | null, check = true): Promise<CommandResult> {
  const stdin = JSON.stringify({ act: "monitoring", settings: wanted } satisfies MonitoringAct);
  return world.host.exec(["vehicleservice-conductor", "act"], { stdin, check });
}

async function status(): Promise<MonitoringStatus | undefined> {
  return (await world.status()).monitoring;
}

/** Waits until so many requests were published, and returns how many were. */
async function published(requests: number, colour = "all"): Promise<number> {
  let sum = 0;
  await waitFor(`${String(requests)} published requests`, WAIT_SECONDS, async () => {
    sum = await cloud.sum("Requests", colour);
    return sum >= requests ? true : undefined;
  });
  return sum;
}

function load(): Promise<LoadRun> {
  return startLoad({ ...world.loadTarget(), protocol: "http1", rate: 50, connections: 20 });
}

let sent = 0;

/** Lines of all requests that were sent, as the API has them, which may be more than once. */
async function requestLines(): Promise<string[]> {
  let shipped = 0;
  try {
    return await waitFor("the access log", WAIT_SECONDS, async () => {
      const found = (await cloud.lines(GROUPS.access)).filter((line) => line.includes('"/api/orders"'));
      shipped = new Set(found).size;
      return shipped >= sent ? found : undefined;
    });
  } catch (cause) {
    // Whether they were written, and what who ships them complained of.
    const written = [
      "sh",
      "-c",
      "cat /var/log/nginx/access.json* | grep -c /api/orders; ls -li /var/log/nginx",
    ];
    const { stdout: files } = await world.host.exec(written, { check: false });
    const { stdout: told } = await world.host.exec(["journalctl", "-u", "vehicleservice-*", "-n", "100"]);
    throw new Error(`${String(shipped)} of ${String(sent)} lines came; on the host:\n${files}\n${told}`, {
      cause,
    });
  }
}

/** Ends a load, and counts what it sent. */
async function end(run: LoadRun): Promise<void> {
  const { total } = await run.stop();
  expect(total.failed).toBe(0);
  sent += total.sent;
}

async function kill(pattern: RegExp): Promise<void> {
  const [pid] = await waitFor("a process to kill", WAIT_SECONDS, () => {
    const pids = world.host.pidsOf(pattern);
    return pids.length > 0 ? pids : undefined;
  });
  process.kill(pid!, "SIGKILL");
}

/** Kills one of the two while no interval waits: what CloudWatch has taken, and nobody has put away, would be published again. */
async function killAtRest(pattern: RegExp): Promise<void> {
  const spool = "/var/lib/vehicleservice/monitoring/spool";
  await waitFor("a publisher at rest", WAIT_SECONDS, async () => {
    const [publisher] = world.host.pidsOf(PUBLISHER);
    if (publisher === undefined) return undefined;
    process.kill(publisher, "SIGSTOP");
    const { stdout } = await world.host.exec(["find", spool, "-name", "*.json"]);
    // Who stands still is ended with the conductor all the same: systemd wakes what it ends.
    if (stdout === "") await kill(pattern);
    else process.kill(publisher, "SIGCONT");
    return stdout === "" ? true : undefined;
  });
}

test("the act is done when the API took a first set of values; the key is in no argument list, and for root alone", async () => {
  const found = await argumentsDuring(cloud.keys.secretAccessKey, async () => {
    expect(JSON.parse((await act(settings())).stdout)).toEqual({ publishing: true });
  });
  expect(found).toEqual([]);
  expect(await cloud.sum("ApplicationUp")).toBeGreaterThanOrEqual(1);
  const file = "/var/lib/vehicleservice/monitoring/settings.json";
  const { stdout } = await world.host.exec(["stat", "--format=%a %U", file]);
  expect(stdout.trim()).toBe("600 root");
  expect(await status()).toMatchObject({ lastPublished: expect.any(String) as string, dropped: 0 });
});

test("a site without a database publishes all the rest; the one that it gets is measured from then on", async () => {
  for (const name of ["ApplicationUp", "HostPublishes"])
    await waitFor(`${name} of a second set of values`, WAIT_SECONDS, async () =>
      (await cloud.sum(name)) >= 2 ? true : undefined,
    );
  expect(await cloud.points("DatabaseReachable")).toEqual([]);
  await database.configure(world.project);
  await world.up();
  await waitFor("values of the database", WAIT_SECONDS, async () =>
    (await cloud.sum("DatabaseReachable")) > 0 ? true : undefined,
  );
});

test("a load is published as it was: requests, errors, users; and the host and the database beside it", async () => {
  const run = await load();
  await run.afterRequests(300);
  database.postgres.asSuperuser(
    "insert into public.webhook_events (id, type, livemode, payload) select 'evt_' || n, 'test', false, '{}' from generate_series(1, 3) n",
  );
  await end(run);
  expect(await published(sent)).toBe(sent);
  expect(await cloud.sum("Requests", "blue")).toBe(sent);
  expect(await cloud.sum("Requests", "green")).toBe(0);
  expect(await cloud.sum("ErrorRate", "all")).toBe(0);
  // Each connection is a user, who comes back with the id that the first answer gave.
  expect(Math.max(...(await cloud.points("ActiveUsers")).map(({ sum }) => sum))).toBe(20);
  await waitFor("the events", WAIT_SECONDS, async () =>
    (await cloud.sum("WebhookEvents")) >= 3 ? true : undefined,
  );
  expect(await cloud.sum("WebhookEvents")).toBe(3);
  expect(await cloud.points("Broken")).toEqual([]);
  for (const name of ["LatencyP50", "LatencyP95", "LatencyP99"]) {
    expect((await cloud.points(name, "blue")).length).toBeGreaterThan(0);
  }
  for (const name of ["CpuUtilization", "MemoryUtilization", "DiskUtilization"]) {
    const points = await cloud.points(name);
    expect(points.length).toBeGreaterThan(0);
    for (const { sum, count } of points) expect(sum / count).toBeLessThanOrEqual(100);
  }
  expect(await cloud.sum("NetworkInBytes")).toBeGreaterThan(sent * 256);
  expect(await cloud.sum("DatabaseReachable")).toBeGreaterThan(0);
  expect(await cloud.sum("DatabaseSize")).toBeGreaterThan(1_000_000);
  expect(await cloud.sum("Healthy", "blue")).toBeGreaterThan(0);
  expect(await cloud.points("Healthy", "green")).toEqual([]);
});

test("restarts of instances that PM2 counted are published", async () => {
  const before = await cloud.sum("ProcessRestarts");
  // The release's own processes, not PM2's.
  await kill(/node .*launcher\.js/);
  await waitFor("a restart", WAIT_SECONDS, async () =>
    (await cloud.sum("ProcessRestarts")) === before + 1 ? true : undefined,
  );
});

test.each([
  ["the publisher", PUBLISHER],
  ["the conductor", CONDUCTOR],
])("a death of %s loses no request, and counts none twice", async (_, pattern) => {
  const run = await load();
  await run.afterRequests(50);
  await killAtRest(pattern);
  await run.afterRequests(100);
  await end(run);
  expect(await published(sent)).toBe(sent);
});

test("an API that is away is told once, and gets everything with its own times", async () => {
  await cloud.server.stop();
  const run = await load();
  await run.afterRequests(1);
  // What waits from before has no request in it, perhaps.
  const from = Date.now();
  const pending = async (): Promise<number> => (await status())?.pending ?? 0;
  const before = await pending();
  await waitFor("more than three intervals that wait", WAIT_SECONDS, async () =>
    (await pending()) > before + 3 ? true : undefined,
  );
  expect((await status())?.lastFailure?.reason).toMatch(/ECONNREFUSED/);
  // What waits outlives both.
  await kill(PUBLISHER);
  await kill(CONDUCTOR);
  await end(run);
  await cloud.server.resume();
  expect(await published(sent)).toBe(sent);
  await waitFor("nothing to wait", WAIT_SECONDS, async () =>
    (await status())?.pending === 0 ? true : undefined,
  );
  const points = (await cloud.points("Requests", "all")).filter(({ at, sum }) => at >= from && sum > 0);
  expect(points.length).toBeGreaterThanOrEqual(3);
});

test("logs are rotated once an hour, and what the application writes from then on is in the new file", async () => {
  const shown = ["--property=ActiveState", "--property=TimersCalendar", "--property=Result"];
  const { stdout: timer } = await world.host.exec(["systemctl", "show", "logrotate.timer", ...shown]);
  expect(timer).toMatch(/^ActiveState=active$/m);
  expect(timer).toMatch(/^Result=success$/m);
  // The only one: the distribution's `daily` is none beside it.
  expect(timer.match(/OnCalendar=[^;]*/g)).toEqual(["OnCalendar=*-*-* *:00:00 "]);
  const limits = await world.host.exec(["grep", "-c", "maxsize 100M", "-r", "/etc/logrotate.d"]);
  expect(limits.stdout).toMatch(/vehicleservice:2\n/);
  expect(limits.stdout).toMatch(/nginx:1\n/);
  // At midnight it would rotate what the tests rotate.
  await world.host.exec(["systemctl", "stop", "logrotate.timer"]);
  const log = "/var/log/vehicleservice/blue_out.log";
  const text = async (): Promise<string> => (await world.host.exec(["cat", log])).stdout;
  const instance = /node .*launcher\.js/;
  await waitFor("a first line", WAIT_SECONDS, async () => ((await text()) === "" ? undefined : true));
  await world.host.exec(["systemctl", "start", "logrotate.service"]);
  await world.host.exec(["logrotate", "--force", "/etc/logrotate.d/vehicleservice"]);
  expect((await world.host.exec(["cat", `${log}.1`])).stdout).toMatch(/sample v0\.9\.9 \(blue\) listens/);
  expect(await text()).toBe("");
  // What starts anew says so, by way of PM2, which has had the file open since before.
  await kill(instance);
  const line = /^\S+ \S+ \S+: sample v0\.9\.9 \(blue\) listens on port \d+\n$/;
  await waitFor("a line in the new file", WAIT_SECONDS, async () =>
    line.test(await text()) ? true : undefined,
  );
});

test("an operator sees a colour's processes and what they print, and changes none of them", async () => {
  const pm2 = (...words: string[]): Promise<CommandResult> =>
    world.host.exec(["vehicleservice-pm2", ...words], { check: false });
  expect((await pm2("blue", "list")).stdout).toMatch(/vehicleservice-production-blue .*online/);
  const logs = await pm2("blue", "logs", "--nostream", "--lines", "20");
  expect(logs.stdout).toMatch(/sample v0\.9\.9 \(blue\) listens/);
  const before = world.host.pidsOf(/node .*launcher\.js/);
  expect(await pm2("blue", "stop", "all")).toMatchObject({ exitCode: 3 });
  expect(await pm2("green", "list")).toMatchObject({ exitCode: 5 });
  expect(world.host.pidsOf(/node .*launcher\.js/)).toEqual(before);
});

test("every request's line is shipped, and over a rotation once; no line holds a secret", async () => {
  // A publisher that dies, or gets no answer, sends a batch once more: what was written before may be there twice.
  const before = new Set(await requestLines());
  expect(before.size).toBe(sent);
  await world.host.exec(["logrotate", "--force", "/etc/logrotate.d/vehicleservice"]);
  const run = await load();
  await run.afterRequests(50);
  await end(run);
  // Nginx writes to the new one, a second later.
  await waitFor("the new log", WAIT_SECONDS, async () => {
    const log = ["test", "-s", "/var/log/nginx/access.json"];
    return (await world.host.exec(log, { check: false })).exitCode === 0 ? true : undefined;
  });
  const lines = await requestLines();
  expect(new Set(lines).size).toBe(sent);
  expect(lines.filter((line) => !before.has(line))).toHaveLength(sent - before.size);
  // As an application may write it, and Nginx a URL.
  await world.host.exec([
    "sh",
    "-c",
    `echo 'connecting as ${SECRET}' >>/var/log/vehicleservice/blue_out.log`,
  ]);
  const url = `request: "GET /reset?token=${SECRET} HTTP/1.1"`;
  await world.host.exec(["sh", "-c", `echo '2026/01/01 00:00:00 [error] ${url}' >>/var/log/nginx/error.log`]);
  await waitFor("the application's log", WAIT_SECONDS, async () =>
    (await cloud.lines(GROUPS.application)).some((line) => line === "connecting as [LOGGED]")
      ? true
      : undefined,
  );
  const errors = await waitFor("the error log", WAIT_SECONDS, async () => {
    const found = await cloud.lines(GROUPS.error);
    return found.some((line) => line.includes("/reset?[...]")) ? found : undefined;
  });
  const conductor = await waitFor("the journal", WAIT_SECONDS, async () => {
    const found = await cloud.lines(GROUPS.conductor);
    return found.length > 0 ? found : undefined;
  });
  const all = [...lines, ...errors, ...conductor, ...(await cloud.lines(GROUPS.application))].join("\n");
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain(cloud.keys.secretAccessKey);
});

test("settings by which nothing can be published fail, with the reason, and the host goes on by those before", async () => {
  const wrong = { accessKeyId: cloud.keys.accessKeyId, secretAccessKey: "of-somebody-else" };
  const { exitCode, stderr } = await act(settings({ credentials: wrong }), false);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/nothing can be published.*Check monitoring's access key/);
  expect(stderr).not.toContain("of-somebody-else");
  const without = await act(settings({ logGroups: { access: "/vehicleservice/none" } }), false);
  expect(without.stderr).toMatch(/\/vehicleservice\/none.*log groups/);
  const run = await load();
  await run.afterRequests(50);
  await end(run);
  expect(await published(sent)).toBe(sent);
});

test("a reboot: it publishes again, and a site that does not answer is down", async () => {
  await world.host.reboot();
  const since = Date.now();
  const upSince = async (value: number): Promise<true | undefined> =>
    (await cloud.points("ApplicationUp")).some(({ at, sum, count }) => at > since && sum / count === value)
      ? true
      : undefined;
  await waitFor("the site to be up", WAIT_SECONDS, () => upSince(1));
  await world.host.exec(["systemctl", "stop", "nginx"]);
  await waitFor("the site to be down", WAIT_SECONDS, () => upSince(0));
  await world.host.exec(["systemctl", "start", "nginx"]);
});

test("events of Stripe's that are refused are counted in a row, and probes without a signature are not", async () => {
  // The sample takes what comes, unless it is asked to fail.
  const url = `https://${world.domain}${WEBHOOK}?fail=blue`;
  const post = ["curl", "-sk", "-o", "/dev/null", "--resolve", `${world.domain}:443:127.0.0.1`, "-d", "{}"];
  const signed = ["-H", "stripe-signature: t=1,v1=0"];
  for (let n = 0; n < 3; n++) await world.host.exec([...post, ...signed, url]);
  await world.host.exec([...post, url]);
  // Another path, as signed as it is, is no event.
  await world.host.exec([...post, ...signed, `https://${world.domain}/api/health`]);
  await waitFor("the refused events", WAIT_SECONDS, async () =>
    (await cloud.sum("WebhooksRefused")) >= 3 ? true : undefined,
  );
  expect(await cloud.sum("WebhooksRefused")).toBe(3);
  expect((await cloud.points("WebhooksRefusedInARow")).at(-1)?.sum).toBe(3);
});

test("a backup that grows old, and a certificate near its end, are published as what they are", async () => {
  const latest = async (name: string): Promise<number> => {
    const { sum, count } = (await cloud.points(name)).at(-1)!;
    return sum / count;
  };
  // The `up` that brought the schema made one.
  expect(await latest("BackupAgeHours")).toBeLessThan(1);
  expect(await latest("CertificateDaysToExpiry")).toBeGreaterThan(30);
  const taken = new Date(Date.now() - 30 * 3600_000).toISOString();
  const state = "/var/lib/vehicleservice/database/state.json";
  await world.host.exec(["sed", "--in-place", `s/"takenAt":"[^"]*"/"takenAt":"${taken}"/g`, state]);
  const files = [
    "-keyout",
    "/etc/ssl/vehicleservice/privkey.pem",
    "-out",
    "/etc/ssl/vehicleservice/fullchain.pem",
  ];
  const pair = ["-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=near its end", "-days", "5"];
  await world.host.exec(["openssl", "req", ...pair, ...files]);
  await waitFor("the age of the backup", WAIT_SECONDS, async () =>
    (await latest("BackupAgeHours")) > 29.9 ? true : undefined,
  );
  // What lies on the disk is what nobody is shown yet.
  expect(await latest("CertificateDaysToExpiry")).toBeGreaterThan(30);
  await world.host.exec(["systemctl", "reload", "nginx"]);
  await waitFor("the end of the certificate", WAIT_SECONDS, async () =>
    (await latest("CertificateDaysToExpiry")) < 5 ? true : undefined,
  );
});

test("the metadata service is for root alone", async () => {
  const address = "169.254.169.254";
  const asked = await world.host.exec(["ip", "route", "get", address, "uid", "0"]);
  expect(asked.stdout).toContain("via");
  const dial = `require("net").connect(80, "${address}").on("error", (error) => console.log(error.code))`;
  const { stdout } = await world.host.exec(["runuser", "-u", "www-data", "--", "node", "-e", dial]);
  expect(stdout.trim()).toBe("EACCES");
});

test("no settings end it, and nothing of it stays", async () => {
  expect(JSON.parse((await act(null)).stdout)).toEqual({ publishing: false });
  expect(world.host.pidsOf(PUBLISHER)).toEqual([]);
  expect(await status()).toBeUndefined();
  const { exitCode } = await world.host.exec(["test", "-e", "/var/lib/vehicleservice/monitoring"], {
    check: false,
  });
  expect(exitCode).toBe(1);
});
