import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request, type RequestOptions } from "node:https";
import type { Duplex, Readable } from "node:stream";
import { dirname, join } from "node:path";
import type { Act } from "../../host/conductor/protocol";
import { startLoad } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { editConfig } from "./support/config-file";
import { lossesIn, TIMEOUT_MS, Users, type UsersOptions } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * What the front door does of its own, on a booted host: failover, counters, draining of streams, maintenance, limits,
 * headers, the operator's snippet. Requests from the host itself are a client's like any other; those from outside come
 * from the network that the sandbox exempts from limits.
 */

jest.setTimeout(SLOW_MS);

let world: TestWorld;
let secret: string;

beforeAll(async () => {
  world = await TestWorld.create("front-door");
  editConfig(world.project, {
    "site.drainSeconds": 1,
    "application.health": { path: "/api/health", intervalMs: 100 },
  });
  await world.up({ blueVersion: "v0.9.9", greenVersion: "v1.0.0", canaryWeight: 0 });
  secret = await world.project.getConfig("testerSecret");
}, SLOW_MS);

afterAll(() => world.remove());

/** Longest wait for a condition, in seconds. */
const WAIT_SECONDS = 60;
const MAINTENANCE_FILE = "/var/www/vehicleservice/MAINTENANCE_MODE";
const WEBHOOK = "/api/business/wallet/webhook";

function act(content: Act): Promise<unknown> {
  return world.host.exec(["vehicleservice-conductor", "act"], { stdin: JSON.stringify(content) });
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

function options(path: string, more: RequestOptions = {}): RequestOptions {
  const { address, host, tls } = world.loadTarget();
  const headers = { host: String(host), ...(more.headers as Record<string, string> | undefined) };
  return { agent: false, ...more, host: address, servername: String(host), ca: tls.ca, path, headers };
}

/** Sends a request from outside, as a user without a cookie, and reads the whole answer. */
async function ask(path: string, more: RequestOptions = {}): Promise<Answer> {
  const outgoing = request(options(path, more)).end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of incoming.setEncoding("utf8")) body += String(chunk);
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body };
}

const tester = (colour: string) => ({ headers: { "x-vs-tester": `${colour}:${secret}` } });

/** Status and colour of `count` answers, each of a user of its own, with how often it came. */
async function answersTo(path: string, method: string, count: number): Promise<Record<string, number>> {
  const answers: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { status, body } = await ask(path, { method });
    const { colour } = JSON.parse(body) as { colour: string };
    const key = `${status} ${colour}`;
    answers[key] = (answers[key] ?? 0) + 1;
  }
  return answers;
}

/** How steady users of both protocols are answered, until 200 requests of each have ended: colours and kinds of failure. */
async function met(options: UsersOptions): Promise<readonly string[]> {
  const users = await Users.start(world.loadTarget(), { http1: 100, http2: 100, users: 50, ...options });
  await users.afterRequests(200);
  const reports = await users.stop();
  const kinds = reports.flatMap(({ total: { answers, failures } }) => [
    ...Object.keys(answers.byColour),
    ...Object.entries(failures).flatMap(([failure, count]) => (count > 0 ? [failure] : [])),
  ]);
  return [...new Set(kinds)].sort();
}

/** What the front door counted, by name with labels. */
async function metrics(): Promise<Map<string, number>> {
  const stdout = await waitFor("counts", WAIT_SECONDS, async () => {
    const asked = await world.host.exec(["vehicleservice-conductor", "metrics"], { check: false });
    return asked.exitCode === 0 ? asked.stdout : undefined;
  });
  const lines = stdout.split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(lines.map((line) => [line.replace(/ \S+$/, ""), Number(line.replace(/^.* /, ""))]));
}

/** Waits until a count that ends with the log phase is as expected. */
async function waitForCount(name: string, expected: number): Promise<void> {
  await waitFor(`${name} to be ${expected}`, WAIT_SECONDS, async () =>
    (await metrics()).get(name) === expected ? true : undefined,
  );
}

/** Returns the cookie of a new user whom the front door has put on a colour. */
async function cookieOfUserOn(colour: string): Promise<string> {
  return waitFor(`a user of ${colour}`, WAIT_SECONDS, async () => {
    const { body, headers } = await ask("/api/whoami");
    if ((JSON.parse(body) as { colour: string }).colour !== colour) return undefined;
    return headers["set-cookie"]?.map((cookie) => cookie.replace(/;.*/, "")).join("; ");
  });
}

/** Waits for a condition that the conductor brings about. */
async function waitForStatus(
  holds: (colours: Awaited<ReturnType<TestWorld["status"]>>["colours"]) => boolean,
) {
  await waitFor("the colours to be as expected", WAIT_SECONDS, async () =>
    holds((await world.status()).colours) ? true : undefined,
  );
}

describe("more users at once than files that a program may have by default", () => {
  test("each worker may have as many as its connections need, as far as the host allows it", async () => {
    const script = "for pid in $(pgrep nginx); do grep '^Max open files' /proc/$pid/limits; done";
    const { stdout } = await world.host.exec(["sh", "-c", script]);
    const limits = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/).slice(3, 5).map(Number));
    expect(limits.length).toBeGreaterThan(1);
    for (const [soft, hard] of limits) expect(soft).toBe(Math.min(hard!, 65_536));
  });

  // Each takes two files of a worker's: the user's connection, and the one to the instance.
  test("1500 who wait together for slow answers get them", async () => {
    const load = await startLoad({
      ...{ ...world.loadTarget(), protocol: "http1", path: "/api/orders?ms=3000" },
      ...{ connections: 1500, rate: 500, timeoutMs: TIMEOUT_MS },
    });
    await load.afterRequests(2000);
    expect(lossesIn((await load.stop()).total)).toEqual([]);
  });
});

describe("failover", () => {
  afterAll(async () => {
    await act({ act: "ack" });
    await act({ act: "traffic", stable: "blue", weight: 0 });
  });

  test.each(["GET", "POST"])("%s: a candidate at 0 gets nothing while stable answers 502", async (method) => {
    expect(await answersTo("/api/whoami?fail=blue", method, 10)).toEqual({ "502 blue": 10 });
    const [failing, others] = await Promise.all([
      met({ method, path: "/api/whoami?fail=blue" }),
      met({ method, path: "/api/whoami" }),
    ]);
    expect({ failing, others }).toEqual({ failing: ["status5xx"], others: ["blue"] });
  });

  test("an admitted candidate takes what may be retried, and nothing that was sent and may not", async () => {
    await act({ act: "traffic", stable: "blue", weight: 5 });
    expect(await answersTo(`${WEBHOOK}?fail=blue`, "POST", 10)).toEqual({ "502 blue": 10 });
    const [repeated, sentOnce, others] = await Promise.all([
      met({ method: "GET", path: "/api/whoami?fail=blue" }),
      // The webhook's path stays on stable, so that each of these meets it.
      met({ method: "POST", path: `${WEBHOOK}?fail=blue` }),
      // One 502 sends nobody else away.
      met({ method: "POST", path: WEBHOOK }),
    ]);
    expect({ repeated, sentOnce, others }).toEqual({
      ...{ repeated: ["green"], sentOnce: ["status5xx"], others: ["blue"] },
    });
  });

  test("a POST whose connection failed was never sent, and goes to the admitted candidate", async () => {
    await act({ act: "traffic", stable: "blue", weight: 5 });
    const resolve = ["--resolve", `${world.domain}:443:127.0.0.1`];
    const post = ["curl", "--silent", "--insecure", "--request", "POST", ...resolve];
    await world.host.exec(["systemctl", "kill", "--signal=KILL", "vehicleservice@blue"]);
    // Who is killed takes connections until it is gone; and PM2 does not come back before the request is sent.
    await world.host.exec(["systemctl", "stop", "vehicleservice@blue"]);
    const { stdout } = await world.host.exec([...post, `https://${world.domain}${WEBHOOK}`]);
    await world.host.exec(["systemctl", "start", "vehicleservice@blue"]);
    expect(JSON.parse(stdout)).toMatchObject({ colour: "green" });
    // A tester of blue meets nobody but blue.
    await waitFor("blue to be back", WAIT_SECONDS, async () =>
      (await ask("/api/whoami", tester("blue"))).status === 200 ? true : undefined,
    );
    await waitForStatus(({ blue }) => blue.healthy);
  });

  test("an aborted candidate gets nothing while stable answers 502", async () => {
    await act({ act: "traffic", stable: "blue", weight: 50 });
    await act({ act: "abort", reason: "a test" });
    const [got, posted, others] = await Promise.all([
      met({ method: "GET", path: "/api/whoami?fail=blue" }),
      met({ method: "POST", path: "/api/whoami?fail=blue" }),
      met({ method: "POST", path: "/api/whoami" }),
    ]);
    expect({ got, posted, others }).toEqual({
      ...{ got: ["status5xx"], posted: ["status5xx"], others: ["blue"] },
    });
  });
});

describe("a path that stays on the stable colour", () => {
  afterAll(() => act({ act: "traffic", stable: "blue", weight: 0 }));

  test.each([
    // Of so few users perhaps none is among the 5 percent.
    [5, expect.arrayContaining(["blue"])],
    [50, ["blue", "green"]],
    [100, ["green"]],
  ])("does so at %i percent", async (weight, colours) => {
    await act({ act: "traffic", stable: "blue", weight });
    const [webhook, others] = await Promise.all([met({ path: WEBHOOK }), met({})]);
    expect(webhook).toEqual(["blue"]);
    expect(others).toEqual(colours);
  });
});

describe("counters", () => {
  const green2xx = 'front_door_requests_total{colour="green",class="2xx"}';
  const green5xx = 'front_door_requests_total{colour="green",class="5xx"}';

  test("tell each colour's answers, and outlive a reload", async () => {
    await waitForCount('front_door_requests_in_flight{colour="green"}', 0);
    const before = await metrics();
    for (let i = 0; i < 20; i++) await ask("/api/whoami", tester("green"));
    for (let i = 0; i < 7; i++) await ask("/api/whoami?fail=green", tester("green"));
    // The last of them is counted after its answer was sent.
    await waitForCount(green5xx, (before.get(green5xx) ?? 0) + 7);
    await waitForCount('front_door_requests_in_flight{colour="green"}', 0);
    const after = await metrics();
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(grown(green2xx)).toBe(20);
    expect(grown(green5xx)).toBe(7);
    expect(grown('front_door_request_duration_seconds_bucket{colour="green",le="+Inf"}')).toBe(27);
    expect(grown('front_door_request_duration_seconds_count{colour="green"}')).toBe(27);
    expect(after.get('front_door_requests_in_flight{colour="green"}')).toBe(0);
    await world.host.exec(["systemctl", "reload", "nginx"]);
    await ask("/api/whoami", tester("green"));
    await waitForCount(green2xx, (after.get(green2xx) ?? 0) + 1);
  });
});

describe("the access log", () => {
  interface Line {
    readonly colour: string;
    readonly method: string;
    readonly status: number;
    readonly seconds: number;
  }

  /** The lines of such requests, which nobody else sends, as soon as there are any: they are written once a second. */
  async function linesOf(method: string, uri: string): Promise<Line[]> {
    const file = "/var/log/nginx/access.json";
    const text = `"method":"${method}","uri":"${uri}"`;
    return waitFor(`a line of ${uri}`, WAIT_SECONDS, async () => {
      const { stdout } = await world.host.exec(["grep", "-F", text, file], { check: false });
      const lines = stdout.split("\n").filter((line) => line !== "");
      return lines.length === 0 ? undefined : lines.map((line) => JSON.parse(line) as Line);
    });
  }

  test("tells of a request its colour, method, status and seconds, in one line", async () => {
    const took = expect.any(Number) as number;
    const common = { protocol: "HTTP/1.1", request: expect.stringMatching(/^[0-9a-f]{32}$/), seconds: took };
    await ask("/no-such-page-on-green?of=a-user", { method: "POST", ...tester("green") });
    expect(await linesOf("POST", "/no-such-page-on-green")).toMatchObject([
      { ...common, colour: "green", method: "POST", status: 404, upstream_status: "404" },
    ]);
    await ask("/no-such-page-on-blue");
    expect(await linesOf("GET", "/no-such-page-on-blue")).toMatchObject([
      { ...common, colour: "blue", method: "GET", status: 404, upstream_status: "404" },
    ]);
    await ask("/business/../api/whoami?ms=1510", { method: "PUT", ...tester("green") });
    const slow = await linesOf("PUT", "/api/whoami");
    expect(slow).toMatchObject([{ colour: "green", status: 200 }]);
    expect(slow[0]!.seconds).toBeGreaterThanOrEqual(1.5);
  });
});

describe("a colour that is withdrawn", () => {
  /** Opens a WebSocket by hand, for Node's own takes no certificate authority; sends `hello` and returns what comes back. */
  async function openWebSocket(colour: string): Promise<{ socket: Duplex; echo: string }> {
    const headers = {
      ...tester(colour).headers,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": Buffer.from("a key of sixteen").toString("base64"),
    };
    const outgoing = request(options("/api/echo", { headers })).end();
    const [answer, socket] = (await once(outgoing, "upgrade")) as [IncomingMessage, Duplex];
    expect(answer.statusCode).toBe(101);
    const mask = Buffer.from([1, 2, 3, 4]);
    const masked = Buffer.from("hello").map((byte, index) => byte ^ mask[index % 4]!);
    socket.write(Buffer.concat([Buffer.from([0x81, 0x85]), mask, masked]));
    const [frame] = (await once(socket, "data")) as [Buffer];
    return { socket, echo: frame.subarray(2).toString() };
  }

  /** Resolves when the other side has ended a connection, in order or not. */
  async function closing(open: Readable): Promise<void> {
    await new Promise((resolve) => open.on("error", resolve).on("close", resolve).resume());
  }

  /** What the conductor said since the test began. */
  async function said(since: string): Promise<string> {
    const unit = "vehicleservice-conductor";
    return (await world.host.exec(["journalctl", "--unit", unit, "--output", "cat", "--since", since]))
      .stdout;
  }
  async function waitForWords(what: string, words: string, from: () => Promise<string>): Promise<void> {
    await waitFor(what, WAIT_SECONDS, async () => ((await from()).includes(words) ? true : undefined));
  }

  const now = async (): Promise<string> => (await world.host.exec(["date", "+%F %T"])).stdout.trim();
  const inFlight = 'front_door_requests_in_flight{colour="green"}';

  test("is drained of an idle WebSocket and an endless stream for drainSeconds; then they are closed", async () => {
    const since = await now();
    const { socket, echo } = await openWebSocket("green");
    expect(echo).toBe("green hello");
    const stream = request(options("/api/stream?seconds=600", tester("green"))).end();
    const [events] = (await once(stream, "response")) as [IncomingMessage];
    await once(events, "data");
    await waitForCount(inFlight, 2);
    const closed = [socket, events].map((open) => closing(open));
    await world.up({ greenVersion: "v1.1.0" });
    await Promise.all(closed);
    expect(await said(since)).toMatch(
      /green: 2 still open, waiting up to 1 s[^]*green: closing 2 still open after 1 s[^]*green: starting v1\.1\.0/,
    );
    await waitForCount(inFlight, 0);
  });

  test("is drained of a request that failed over to it", async () => {
    await world.setGroupValue("site.drainSeconds", "60");
    await world.up({ canaryWeight: 5 });
    const since = await now();
    const gate = "/tmp/gate";
    await world.host.exec(["mkdir", gate]);
    const open = (colour: string): Promise<unknown> => world.host.exec(["touch", `${gate}/${colour}`]);
    const held = (colour: string): Promise<void> =>
      waitForWords(`${colour} to hold the request`, `${colour}: a request is held at ${gate}`, () =>
        world.host.exec(["cat", `/var/log/vehicleservice/${colour}_out.log`]).then(({ stdout }) => stdout),
      );
    // Of new users, one in twenty would not meet blue at all.
    const headers = { cookie: await cookieOfUserOn("blue") };
    const slow = ask(`/api/whoami?fail=blue&gate=${gate}`, { headers });
    await held("blue");
    const release = world.up({ greenVersion: "v1.0.0" });
    const waits = "green: 1 still open, waiting up to 60 s";
    await waitForWords("green to be drained", waits, () => said(since));
    await open("blue");
    await held("green");
    // As blue's, for it is counted where it came from.
    await waitForCount('front_door_requests_in_flight{colour="blue"}', 1);
    expect(await said(since)).not.toMatch(/green: (drained|closing)/);
    await open("green");
    const [answer] = await Promise.all([slow, release]);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ colour: "green", version: "v1.1.0" });
    expect(await said(since)).toMatch(/green: 1 still open, waiting up to 60 s[^]*green: drained/);
  });
});

describe("maintenance", () => {
  async function expectClosed(): Promise<void> {
    const page = await ask("/");
    expect(page.status).toBe(503);
    expect(page.headers).toMatchObject({ "content-type": "text/html; charset=utf-8", "retry-after": "120" });
    expect(page.body).toContain("We will be back shortly");
    const api = await ask("/api/orders", { method: "POST" });
    expect(api.status).toBe(503);
    expect(api.headers).toMatchObject({ "content-type": "application/json", "retry-after": "120" });
    expect(JSON.parse(api.body)).toEqual({ error: "maintenance" });
    expect((await ask(WEBHOOK, { method: "POST" })).status).toBe(503);
    expect((await ask("/api/health")).status).toBe(200);
    expect((await ask("/", tester("green"))).status).toBe(200);
  }

  test("the guide's file closes the site at once, for whoever may make it, with the conductor dead", async () => {
    await world.host.exec([
      "systemctl",
      "stop",
      "vehicleservice-conductor.socket",
      "vehicleservice-conductor",
    ]);
    await world.host.exec(["runuser", "-u", "www-data", "--", "touch", MAINTENANCE_FILE]);
    await expectClosed();
    await world.host.exec([
      "systemctl",
      "start",
      "vehicleservice-conductor.socket",
      "vehicleservice-conductor",
    ]);
    // The file wins over the conductor, who is not asked to close anything.
    await act({ act: "maintenance", on: false });
    await expectClosed();
    await world.host.exec(["rm", MAINTENANCE_FILE]);
    expect((await ask("/")).status).toBe(200);
  });

  test("config closes the site before the plan and opens it after the traffic, without a reload", async () => {
    // Without those of before an earlier reload, which end by and by.
    const serving = (): number[] => world.host.pidsOf(/^nginx: worker process$/);
    const workers = serving();
    await world.project.setConfig("maintenance", "true");
    await world.up();
    await expectClosed();
    expect(await world.status()).toMatchObject({ maintenance: true, closed: true });
    // What serves is changed, and proven, behind the closed door.
    await world.up({ canaryWeight: 25 });
    await expectClosed();
    expect(await world.status()).toMatchObject({ effectiveWeight: 25 });
    await world.up({}, ["--expect-no-changes"]);
    await world.project.setConfig("maintenance", "false");
    await world.up({ canaryWeight: 0 });
    expect((await ask("/")).status).toBe(200);
    expect(serving()).toEqual(workers);
  });

  test("config opens the site again that an `up` closed which failed behind the door", async () => {
    await world.project.setConfig("maintenance", "true");
    const { exitCode } = await world.tryUp({ greenVersion: "v9.9.9" });
    expect(exitCode).not.toBe(0);
    await expectClosed();
    await world.project.setConfig("maintenance", "false");
    await world.up({ greenVersion: "v1.0.0" });
    expect((await ask("/")).status).toBe(200);
    await world.up({}, ["--expect-no-changes"]);
  });

  test("lets pass health and webhooks, where config says so", async () => {
    editConfig(world.project, {
      "site.maintenance": { passPaths: ["/api/health", WEBHOOK] },
      maintenance: true,
    });
    await world.up();
    expect(await answersTo(WEBHOOK, "POST", 10)).toEqual({ "200 blue": 10 });
    expect((await ask("/api/health")).status).toBe(200);
    expect((await ask("/")).status).toBe(503);
    expect((await ask("/api/orders", { method: "POST" })).status).toBe(503);
    editConfig(world.project, { "site.maintenance": {}, maintenance: false });
    await world.up();
    expect((await ask("/")).status).toBe(200);
  });

  test("holds over a start of Nginx", async () => {
    await act({ act: "maintenance", on: true });
    await world.host.exec(["systemctl", "restart", "nginx"]);
    await expectClosed();
    await world.host.exec(["vehicleservice-conductor", "maintenance", "off"]);
    expect((await ask("/")).status).toBe(200);
  });
});

test("what a Nginx is told that has read its files, and does not listen yet, holds when it does", async () => {
  const drop = "/run/systemd/system/nginx.service.d/late.conf";
  const [go, file] = ["/run/nginx-may-go", "/etc/nginx/vehicleservice/traffic-fallback"];
  const late = `[Service]\nExecStartPre=/bin/sh -c 'until [ -e ${go} ]; do sleep 0.02; done'\n`;
  await world.host.exec(["mkdir", "-p", dirname(drop)]);
  await world.host.exec(["tee", drop], { stdin: late });
  await act({ act: "traffic", stable: "blue", weight: 50 });
  const { stdout: before } = await world.host.exec(["cat", file]);
  try {
    await world.host.exec(["systemctl", "daemon-reload"]);
    await world.host.exec(["systemctl", "stop", "nginx"]);
    await world.host.exec(["systemctl", "start", "--no-block", "nginx"]);
    const told = world.host.exec(["vehicleservice-conductor", "abort", "payments fail"], { check: false });
    await waitFor("the route to be in the file", WAIT_SECONDS, async () =>
      (await world.host.exec(["cat", file])).stdout === before ? undefined : true,
    );
    // As if it had been read before.
    await world.host.exec(["tee", file], { stdin: before });
    await world.host.exec(["touch", go]);
    expect(await told).toMatchObject({ exitCode: 0 });
    expect(Object.keys(await answersTo("/api/whoami", "GET", 200))).toEqual(["200 blue"]);
  } finally {
    await world.host.exec(["rm", "-f", drop, go]);
    await world.host.exec(["systemctl", "daemon-reload"]);
    await act({ act: "traffic", stable: "blue", weight: 0 });
    await world.host.exec(["vehicleservice-conductor", "ack"]);
  }
});

describe("limits", () => {
  /** Statuses of requests from an address of the host's own, by how often each came. */
  async function fromHost(address: string, path: string): Promise<Record<string, number>> {
    const target = address.includes(":") ? "[::1]" : "127.0.0.1";
    const url = `https://${world.domain}${path}`;
    const { stdout } = await world.host.exec([
      ...["curl", "--silent", "--insecure", "--interface", address, "--output", "/dev/null"],
      ...["--resolve", `${world.domain}:443:${target}`, "--write-out", "%{http_code}\n", url],
    ]);
    const statuses: Record<string, number> = {};
    for (const line of stdout.trim().split("\n")) statuses[line] = (statuses[line] ?? 0) + 1;
    return statuses;
  }

  test("hold for a client, and for nobody else", async () => {
    for (const address of ["2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1"])
      await world.host.exec(["ip", "address", "add", `${address}/128`, "dev", "lo", "nodad"]);
    const {
      200: passed = 0,
      429: refused = 0,
      ...others
    } = await fromHost("2001:db8:1::1", "/api/whoami?[1-600]");
    expect(others).toEqual({});
    expect(passed).toBeGreaterThan(200);
    expect(refused).toBeGreaterThan(200);
    // The same subscriber, then another one, and what is exempt.
    expect(await fromHost("2001:db8:1::2", "/api/whoami?[1-50]")).toHaveProperty("429");
    expect(await fromHost("2001:db8:2::1", "/api/whoami?[1-50]")).toEqual({ 200: 50 });
    expect(await fromHost("2001:db8:1::1", "/api/health?[1-50]")).toEqual({ 200: 50 });
    expect(await fromHost("127.0.0.1", "/api/whoami?[1-50]")).toEqual({ 200: 50 });
  });

  test("do not hold for networks that config exempts", async () => {
    expect(await answersTo("/api/whoami", "GET", 300)).toEqual({ "200 blue": 300 });
  });
});

test("every answer has the security headers", async () => {
  for (const path of ["/", "/api/whoami?fail=blue", "/no-such-page"]) {
    expect((await ask(path)).headers).toMatchObject({
      "strict-transport-security": "max-age=31536000; includeSubDomains",
      "x-content-type-options": "nosniff",
      "x-frame-options": "SAMEORIGIN",
      "referrer-policy": "strict-origin-when-cross-origin",
      "permissions-policy": "camera=(), geolocation=(), microphone=()",
    });
  }
});

test("files of the last releases come from disk, for good; what is not there is the application's", async () => {
  const directory = "/var/www/vehicleservice-assets/_next/static/chunks";
  await world.host.exec(["mkdir", "-p", directory]);
  await world.host.exec(["tee", `${directory}/old.js`], { stdin: "old();\n" });
  const old = await ask("/_next/static/chunks/old.js");
  expect([old.status, old.body]).toEqual([200, "old();\n"]);
  expect(old.headers).toMatchObject({
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
  });
  expect(old.headers).not.toHaveProperty("set-cookie");
  const other = await ask("/_next/static/chunks/other.js");
  expect([other.status, JSON.parse(other.body)]).toEqual([
    404,
    { error: expect.stringContaining("no such path") },
  ]);
  expect(other.headers).not.toHaveProperty("cache-control", "public, max-age=31536000, immutable");
});

describe("the operator's snippet", () => {
  const file = (): string => join(world.project.directory, "snippet.conf");

  test("stands in the site's server block", async () => {
    writeFileSync(file(), 'location = /robots.txt {\n    return 200 "Disallow: /\\n";\n}\n');
    await world.setGroupValue("site.nginxSnippet", "snippet.conf");
    await world.up();
    expect(await ask("/robots.txt")).toMatchObject({ status: 200, body: "Disallow: /\n" });
  });

  test.each([
    [
      "a directive that is none",
      "# fine\nno_such_directive on;\n",
      /unknown directive "no_such_directive".*:2/,
    ],
    ["the end of the server block", "}\nserver {\n", /unexpected "}".*:1/],
  ])("with %s is refused with Nginx's own line, and nothing is changed", async (_, text, message) => {
    const before = await world.status();
    writeFileSync(file(), text);
    const users = await Users.start(world.loadTarget());
    await users.afterRequests(100);
    const { exitCode, stdout, stderr } = await world.tryUp({ canaryWeight: 10 });
    await users.afterRequests(100);
    for (const { total } of await users.stop()) {
      // Nothing was reloaded: not even a connection ended.
      expect(lossesIn(total)).toEqual([]);
      expect(total.ok).toBe(total.sent);
      expect(total.connections).toMatchObject({
        closedIdle: 0,
        closedInFlight: 0,
        closedAnnounced: 0,
        goaways: {},
      });
    }
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toContain("front-door-act");
    expect(stdout + stderr).toMatch(message);
    expect(stdout + stderr).toMatch(/the previous one serves on/);
    expect(await world.status()).toEqual(before);
    expect(await ask("/robots.txt")).toMatchObject({ status: 200 });
    // What lies on the disk is what was tested, so that a restart at any time finds it sound.
    await world.host.exec(["nginx", "-t", "-q"]);
  });

  test("taken out of the config, is gone by the next `up`", async () => {
    editConfig(world.project, { "site.nginxSnippet": undefined });
    await world.up();
    expect(await world.status()).toMatchObject({ effectiveWeight: 10 });
    expect(await ask("/robots.txt")).toMatchObject({ status: 404 });
    await world.up({}, ["--expect-no-changes"]);
  });
});
