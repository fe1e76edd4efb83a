import type { Socket } from "node:net";
import { monotonicNow } from "../../clock";
import { Generator } from "../../generator";
import { type LoadOptions, planLoad } from "../../options";
import type { LoadReport } from "../../report";
import { answer, type Behaviour, rawServer, type RawServer } from "./raw-server";

/** Longer than an answer takes on a busy machine; and what a test waits for where none comes. */
const PATIENCE_MS = 60_000;
const IMPATIENCE_MS = 10_000;

let server: RawServer;
let generators: Generator[] = [];

/** A generator that a failed test leaves running would keep Jest from ending. */
afterEach(async () => {
  const stopped = Promise.all(generators.map((generator) => generator.stop()));
  await server.close();
  await stopped;
  generators = [];
});

/** Runs `count` requests against a server that behaves so; one connection unless the options say otherwise. */
async function load(
  behave: Behaviour,
  count: number,
  options: Partial<LoadOptions> = {},
): Promise<LoadReport> {
  server = await rawServer(behave);
  const generator = await started(server.port, options);
  await generator.afterRequests(count);
  return generator.stop();
}

async function started(port: number, options: Partial<LoadOptions> = {}): Promise<Generator> {
  const generator = new Generator(
    planLoad({
      protocol: "http1",
      address: "127.0.0.1",
      port,
      rate: 200,
      connections: 1,
      timeoutMs: PATIENCE_MS,
      ...options,
    }),
  );
  await generator.start();
  generators.push(generator);
  return generator;
}

/** Misbehaves on the third request, answers the others. */
function onThird(misbehave: (socket: Socket) => void): Behaviour {
  return (socket, number) => {
    if (number === 3) misbehave(socket);
    else socket.write(answer());
  };
}

/** Every count that is not zero. */
function failures(report: LoadReport): Record<string, number> {
  return Object.fromEntries(Object.entries(report.total.failures).filter(([, count]) => count > 0));
}

function consistent({ total }: LoadReport): void {
  expect(total.inFlight).toBe(0);
  expect(total.sent).toBe(total.ok + total.failed - total.failures.connect);
}

test("right answers are counted by colour and version, and the server saw each request once", async () => {
  const report = await load(
    (socket, number) => socket.write(answer(number % 4 === 0 ? "green" : "blue")),
    40,
  );
  consistent(report);
  expect(report.total.failed).toBe(0);
  expect(report.total.sent).toBe(server.requests.length);
  expect(report.total.answers.byColour.green).toBe(Math.floor(report.total.sent / 4));
  expect(report.total.answers.byVersion).toEqual({ v1: report.total.sent });
  expect(report.total.connections).toEqual({
    opened: 1,
    closedIdle: 0,
    closedInFlight: 0,
    closedAnnounced: 0,
    goaways: {},
  });
});

test.each<[string, (socket: Socket) => void, Record<string, number>, Record<string, number>]>([
  ["closes instead of answering", (s) => s.end(), { closed: 1 }, { opened: 2, closedInFlight: 1 }],
  [
    "resets instead of answering",
    (s) => s.resetAndDestroy(),
    { closed: 1 },
    { opened: 2, closedInFlight: 1 },
  ],
  [
    "closes within the head",
    (s) => s.end("HTTP/1.1 200"),
    { truncated: 1 },
    { opened: 2, closedInFlight: 1 },
  ],
  [
    "closes within the body",
    (s) => s.end(answer().slice(0, -3)),
    { truncated: 1 },
    { opened: 2, closedInFlight: 1 },
  ],
  ["does not answer", () => undefined, { timeout: 1 }, { opened: 2 }],
  ["answers half, then nothing", (s) => s.write(answer().slice(0, -3)), { timeout: 1 }, { opened: 2 }],
  [
    "answers 502",
    (s) => s.write("HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n"),
    { status5xx: 1 },
    { opened: 1 },
  ],
  [
    "is closed to users",
    (s) =>
      s.write('HTTP/1.1 503 No\r\nRetry-After: 120\r\ncontent-length: 23\r\n\r\n{"error":"maintenance"}'),
    { maintenance: 1 },
    { opened: 1 },
  ],
  [
    "answers 404",
    (s) => s.write("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"),
    { status4xx: 1 },
    { opened: 1 },
  ],
  [
    "redirects",
    (s) => s.write("HTTP/1.1 302 F\r\ncontent-length: 0\r\n\r\n"),
    { status3xx: 1 },
    { opened: 1 },
  ],
  [
    "answers another body",
    (s) => s.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
    { badBody: 1 },
    { opened: 1 },
  ],
  ["talks no HTTP", (s) => s.write("SSH-2.0-x\r\n\r\n"), { malformed: 1 }, { opened: 2 }],
  [
    "answers with Connection: close",
    (s) => s.end(answer("blue", "v1", "connection: close\r\n")),
    {},
    { opened: 2, closedAnnounced: 1 },
  ],
  ["answers twice", (s) => s.write(answer() + answer()), {}, { opened: 2, closedIdle: 1 }],
  [
    "answers up to the end of the connection",
    (s) => s.end('HTTP/1.1 200 OK\r\n\r\n{"colour":"blue","version":"v1"}'),
    {},
    { opened: 2, closedAnnounced: 1 },
  ],
])("a server that %s", async (_, misbehave, expectedFailures, expectedConnections) => {
  const timeoutMs = "timeout" in expectedFailures ? IMPATIENCE_MS : PATIENCE_MS;
  const report = await load(onThird(misbehave), 10, { timeoutMs });
  consistent(report);
  expect(failures(report)).toEqual(expectedFailures);
  expect(report.total.connections).toEqual({
    closedIdle: 0,
    closedInFlight: 0,
    closedAnnounced: 0,
    goaways: {},
    ...expectedConnections,
  });
  // Nothing is sent a second time: what the client says it sent is what arrived.
  expect(server.requests).toHaveLength(report.total.sent);
  expect(report.total.ok).toBe(
    report.total.sent - Object.values(expectedFailures).reduce((sum, n) => sum + n, 0),
  );
});

test("a connection that the server closes while it is idle costs no request", async () => {
  server = await rawServer((socket) => socket.write(answer()));
  const generator = await started(server.port, { rate: 0.25 });
  await until(() => generator.snapshot().ok === 1);
  server.sockets[0]?.end();
  await generator.afterRequests(1);
  const report = await generator.stop();
  consistent(report);
  expect(report.total).toMatchObject({
    failed: 0,
    connections: { opened: 2, closedIdle: 1, closedInFlight: 0 },
  });
});

test("every failure of many is counted: one request in five is cut off", async () => {
  const report = await load(
    (socket, number) => (number % 5 === 0 ? socket.destroy() : socket.write(answer())),
    400,
    { connections: 20, rate: 1000 },
  );
  consistent(report);
  expect(report.total.sent).toBe(server.requests.length);
  expect(failures(report)).toEqual({ closed: Math.floor(report.total.sent / 5) });
  expect(report.total.incidents).toHaveLength(20);
});

test("requests that find no server are counted as such, and not as sent", async () => {
  server = await rawServer((socket) => socket.write(answer()));
  const generator = await started(server.port, { connections: 3 });
  await generator.afterRequests(10);
  await server.close();
  generator.mark("down");
  await generator.afterRequests(30);
  const report = await generator.stop();
  // A request may be on its way on each connection that the server closes: that one was sent.
  const connect = report.segments[1]?.failures.connect ?? 0;
  expect(connect).toBeGreaterThanOrEqual(27);
  expect(report.total.failures.connect).toBe(connect);
  expect(report.total.sent).toBe(report.total.ok + report.total.failed - connect);
  expect(report.total.incidents.at(-1)?.detail).toContain("ECONNREFUSED");
});

test("a segment counts the requests sent in it, wherever their answers come", async () => {
  const held: Socket[] = [];
  server = await rawServer((socket, number) => (number === 1 ? held.push(socket) : socket.write(answer())));
  const generator = await started(server.port);
  await until(() => held.length === 1);
  expect(generator.snapshot()).toMatchObject({ label: "start", sent: 1, ok: 0, inFlight: 1 });
  generator.mark("second");
  expect(generator.snapshot()).toMatchObject({ label: "second", sent: 0, inFlight: 0 });
  held[0]?.write(answer("green"));
  await generator.afterRequests(5);
  const { segments } = await generator.stop();
  expect(segments.map(({ label }) => label)).toEqual(["start", "second"]);
  expect(segments[0]).toMatchObject({ sent: 1, ok: 1, answers: { byColour: { green: 1 } } });
  expect(segments[1]?.answers.byColour.green).toBeUndefined();
});

test("a stalled server makes latency from the due time long, and requests no fewer", async () => {
  const stalled: Socket[] = [];
  let open = false;
  server = await rawServer((socket) => (open ? socket.write(answer()) : stalled.push(socket)));
  const generator = await started(server.port);
  await until(() => stalled.length === 1);
  const begun = performance.now();
  await until(() => performance.now() - begun > 250);
  open = true;
  stalled[0]?.write(answer());
  await generator.afterRequests(55);
  const report = await generator.stop();
  // 50 requests were due in the 250 ms, of which one was sent; half of them waited over 100 ms.
  expect(report.total.sent).toBeGreaterThanOrEqual(50);
  expect(report.total.latencyMs.p50).toBeGreaterThan(100);
  expect(report.total.serviceMs.p50).toBeLessThan(50);
  expect(report.total.serviceMs.max).toBeGreaterThan(200);
});

test("a client that is held up tells so, and does not make latencies look better", async () => {
  server = await rawServer((socket) => socket.write(answer()));
  const generator = await started(server.port);
  const begun = performance.now();
  while (performance.now() - begun < 200);
  await generator.afterRequests(1);
  const report = await generator.stop();
  expect(report.client.latestMs).toBeGreaterThan(150);
  expect(report.total.latencyMs.max).toBeGreaterThan(150);
});

test("what is due and not sent at the end is told", async () => {
  server = await rawServer(() => undefined);
  const generator = await started(server.port, { timeoutMs: IMPATIENCE_MS });
  await until(() => generator.snapshot().endedAtMs - generator.snapshot().startedAtMs > 200);
  const report = await generator.stop();
  expect(report.total).toMatchObject({ sent: 1, ok: 0, failures: { timeout: 1 } });
  expect(report.unsent).toBeGreaterThanOrEqual(35);
});

test("users keep the cookies they are given, each its own", async () => {
  let issued = 0;
  const report = await load(
    (socket, _, request) => {
      const known = /^cookie: vs_id=(\d+)\r$/m.exec(request)?.[1];
      const id = Number(known ?? (issued += 1));
      const cookie = known === undefined ? `set-cookie: vs_id=${id}; Path=/; HttpOnly\r\n` : "";
      socket.write(answer(id % 2 === 0 ? "green" : "blue", "v1", cookie));
    },
    100,
    { connections: 2, users: 10 },
  );
  consistent(report);
  expect(report.total.users.byColour).toEqual({ blue: 5, green: 5 });
  expect(report.total.users.moves).toEqual({});
  const cookies = server.requests.map((request) => /^cookie: (.*)\r$/m.exec(request)?.[1]);
  expect(cookies.filter((cookie) => cookie === undefined)).toHaveLength(10);
  expect(new Set(cookies).size).toBe(11);
});

test("users that keep no cookies send none", async () => {
  await load((socket) => socket.write(answer("blue", "v1", "set-cookie: vs_id=1\r\n")), 20, {
    cookies: "none",
  });
  expect(server.requests.filter((request) => /^cookie:/m.test(request))).toEqual([]);
});

test("a user's change of colour is counted by direction, in the segment where it happens", async () => {
  let colour = "blue";
  server = await rawServer((socket) => socket.write(answer(colour)));
  const generator = await started(server.port, { connections: 4 });
  await generator.afterRequests(8);
  colour = "green";
  generator.mark("moved");
  await generator.afterRequests(8);
  colour = "blue";
  generator.mark("back");
  await generator.afterRequests(8);
  const report = await generator.stop();
  expect(report.total.users.moves).toEqual({ "blue>green": 4, "green>blue": 4 });
  expect(report.total.users.byColour).toEqual({ blue: 4 });
});

test("the last request to a version is found by when it was sent, not by when its answer came", async () => {
  const held: { socket: Socket; arrivedMs: number }[] = [];
  server = await rawServer((socket, number) => {
    if (number === 9) held.push({ socket, arrivedMs: monotonicNow() });
    else socket.write(answer(number < 9 ? "blue" : "green", number < 9 ? "v1" : "v2"));
  });
  const generator = await started(server.port);
  const sinceMs = generator.snapshot().startedAtMs;
  await until(() => held[0] !== undefined && monotonicNow() - held[0].arrivedMs > 50);
  const asked = generator.lastSentTo("v1", sinceMs);
  held[0]?.socket.write(answer("blue", "v1"));
  const last = await asked;
  expect(last).toBeGreaterThan(sinceMs);
  expect(last).toBeLessThanOrEqual(held[0]?.arrivedMs ?? 0);

  await generator.afterRequests(1);
  expect(await generator.lastSentTo("green", sinceMs)).toBeGreaterThanOrEqual((held[0]?.arrivedMs ?? 0) + 50);
  expect(await generator.lastSentTo("v1", (last ?? 0) + 0.001)).toBeNull();
  expect(await generator.lastSentTo("v3", sinceMs)).toBeNull();
});

test("what has been forgotten is not guessed", async () => {
  server = await rawServer((socket) => socket.write(answer()));
  const generator = await started(server.port, { remember: 10 });
  await generator.afterRequests(30);
  await expect(generator.lastSentTo("blue", 0)).rejects.toThrow("only the last 10 answers are remembered");
  await generator.stop();
});

/** Waits for a condition that only the passing of events can bring about. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
