import { once } from "node:events";
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { Generator } from "../../generator";
import { type LoadOptions, planLoad } from "../../options";
import type { LoadReport } from "../../report";

/** Longer than an answer takes on a busy machine; and what a test waits for where none comes. */
const PATIENCE_MS = 60_000;
const IMPATIENCE_MS = 10_000;

let server: Http2Server;
let requests: IncomingHttpHeaders[];
let sockets: Socket[];
let generators: Generator[] = [];

type Behaviour = (stream: ServerHttp2Stream, number: number, headers: IncomingHttpHeaders) => void;

function answer(stream: ServerHttp2Stream, colour = "blue", headers = {}): void {
  stream.respond({ ":status": 200, ...headers });
  stream.end(JSON.stringify({ colour, version: "v1" }));
}

async function listen(behave: Behaviour): Promise<number> {
  requests = [];
  sockets = [];
  server = createServer();
  server.on("connection", (socket: Socket) => sockets.push(socket));
  server.on("stream", (stream, headers) => {
    const number = requests.push(headers);
    stream.on("error", () => undefined);
    // Once the body is there, so that the order of requests does not hang on the order of their bodies' frames.
    stream.resume().on("end", () => behave(stream, number, headers));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A generator that a failed test leaves running would keep Jest from ending. */
afterEach(async () => {
  const stopped = Promise.all(generators.map((generator) => generator.stop()));
  generators = [];
  for (const socket of sockets) socket.destroy();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
  await stopped;
});

async function started(port: number, options: Partial<LoadOptions> = {}): Promise<Generator> {
  const generator = new Generator(
    planLoad({
      protocol: "http2",
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

async function load(
  behave: Behaviour,
  count: number,
  options: Partial<LoadOptions> = {},
): Promise<LoadReport> {
  const generator = await started(await listen(behave), options);
  await generator.afterRequests(count);
  return generator.stop();
}

function failures(report: LoadReport): Record<string, number> {
  return Object.fromEntries(Object.entries(report.total.failures).filter(([, count]) => count > 0));
}

test("many users share a session, each with cookies of its own", async () => {
  let issued = 0;
  const behave: Behaviour = (stream, _, headers) => {
    const known = /vs_id=(\d+)/.exec(headers.cookie ?? "")?.[1];
    const id = Number(known ?? (issued += 1));
    answer(stream, id % 2 === 0 ? "green" : "blue", known ? {} : { "set-cookie": `vs_id=${id}` });
  };
  const report = await load(behave, 200, { users: 20, connections: 2, rate: 500 });
  expect(report.total).toMatchObject({ failed: 0, inFlight: 0, connections: { opened: 2 } });
  expect(report.total.sent).toBe(requests.length);
  expect(report.total.ok).toBe(requests.length);
  expect(report.total.users).toEqual({ byColour: { blue: 10, green: 10 }, moves: {} });
  expect(requests.filter(({ cookie }) => cookie === undefined)).toHaveLength(20);
  expect(requests[0]).toMatchObject({ ":method": "POST", ":path": "/api/orders", ":authority": "127.0.0.1" });
});

test.each<[string, Behaviour, Record<string, number>, object]>([
  [
    "answers 502",
    (s) => {
      s.respond({ ":status": 502 });
      s.end();
    },
    { status5xx: 1 },
    { opened: 1 },
  ],
  [
    "is closed to users",
    (s) => {
      s.respond({ ":status": 503, "retry-after": "120" });
      s.end('{"error":"maintenance"}');
    },
    { maintenance: 1 },
    { opened: 1 },
  ],
  [
    "answers 404",
    (s) => {
      s.respond({ ":status": 404 });
      s.end();
    },
    { status4xx: 1 },
    { opened: 1 },
  ],
  [
    "answers another body",
    (s) => {
      s.respond();
      s.end("{}");
    },
    { badBody: 1 },
    { opened: 1 },
  ],
  ["does not answer", () => undefined, { timeout: 1 }, { opened: 1 }],
  [
    "answers half, then nothing",
    (s) => {
      s.respond();
      s.write("{");
    },
    { timeout: 1 },
    { opened: 1 },
  ],
  ["refuses the stream", (s) => s.close(constants.NGHTTP2_REFUSED_STREAM), { refused: 1 }, { opened: 1 }],
  ["resets the stream", (s) => s.close(constants.NGHTTP2_INTERNAL_ERROR), { reset: 1 }, { opened: 1 }],
  [
    "resets the stream within the answer",
    (s) => {
      s.respond();
      s.write("{", () => s.destroy(new Error("broken")));
    },
    { reset: 1 },
    { opened: 1 },
  ],
  ["drops the session", (s) => s.session?.destroy(), { closed: 1 }, { opened: 2, goaways: { NO_ERROR: 1 } }],
  ["cuts the connection", () => sockets[0]?.destroy(), { closed: 1 }, { opened: 2, closedInFlight: 1 }],
  [
    "cuts the connection within the answer",
    (s) => {
      s.respond();
      s.write("{", () => setTimeout(() => sockets[0]?.destroy(), 20));
    },
    { truncated: 1 },
    { opened: 2, closedInFlight: 1 },
  ],
  [
    "says goodbye and answers",
    (s) => {
      s.session?.goaway();
      answer(s);
    },
    {},
    { opened: 2, goaways: { NO_ERROR: 1 } },
  ],
  [
    "closes gracefully",
    (s) => {
      s.session?.close();
      answer(s);
    },
    {},
    { opened: 2, goaways: { NO_ERROR: 1 } },
  ],
  [
    "says goodbye without having processed the request",
    (s) => s.session?.goaway(constants.NGHTTP2_NO_ERROR, 3),
    { refused: 1 },
    { opened: 2, goaways: { NO_ERROR: 1 } },
  ],
  [
    "says goodbye with an error",
    (s) => s.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM),
    { closed: 1 },
    { opened: 2, goaways: { ENHANCE_YOUR_CALM: 1 } },
  ],
  [
    // A code that Node has other constants of the same value for.
    "finds fault with the protocol",
    (s) => s.session?.goaway(constants.NGHTTP2_PROTOCOL_ERROR),
    { closed: 1 },
    { opened: 2, goaways: { PROTOCOL_ERROR: 1 } },
  ],
])("a server that %s", async (_, misbehave, expectedFailures, expectedConnections) => {
  const report = await load(
    (s, number, headers) => (number === 3 ? misbehave(s, number, headers) : answer(s)),
    10,
    { timeoutMs: "timeout" in expectedFailures ? IMPATIENCE_MS : PATIENCE_MS },
  );
  expect(failures(report)).toEqual(expectedFailures);
  expect(report.total.connections).toEqual({
    closedIdle: 0,
    closedInFlight: 0,
    closedAnnounced: 0,
    goaways: {},
    ...expectedConnections,
  });
  expect(report.total.sent).toBe(report.total.ok + report.total.failed);
  // Nothing is sent a second time: what the client says it sent is what arrived.
  expect(requests).toHaveLength(report.total.sent);
});

test("a session that ends idle is counted, and costs no request", async () => {
  const generator = await started(await listen((stream) => answer(stream)), { rate: 0.25 });
  await generator.afterRequests(1);
  sockets[0]?.destroy();
  await generator.afterRequests(1);
  const report = await generator.stop();
  expect(report.total).toMatchObject({
    failed: 0,
    connections: { opened: 2, closedIdle: 1, closedInFlight: 0 },
  });
});

test("all the streams that a lost connection carried are counted", async () => {
  const held: ServerHttp2Stream[] = [];
  const behave: Behaviour = (stream, number) => {
    if (number > 12) answer(stream);
    else if (held.push(stream) === 12) sockets[0]?.destroy();
  };
  const report = await load(behave, 30, { users: 12, rate: 500 });
  expect(failures(report)).toEqual({ closed: 12 });
  expect(report.total.connections).toMatchObject({ opened: 2, closedInFlight: 1 });
});

test("requests that find no server are counted as such, and not as sent", async () => {
  const generator = await started(await listen((stream) => answer(stream)), { users: 5 });
  await generator.afterRequests(5);
  for (const socket of sockets) socket.destroy();
  server.close();
  await generator.afterRequests(20);
  const report = await generator.stop();
  expect(report.total.failures.connect).toBeGreaterThanOrEqual(15);
  expect(report.total.sent).toBe(report.total.ok + report.total.failed - report.total.failures.connect);
  // A request may have come whose answer went down with its connection.
  expect(requests.length).toBeGreaterThanOrEqual(report.total.ok);
  expect(requests.length).toBeLessThanOrEqual(report.total.sent);
});

test("a server that speaks no HTTP/2 is an error at the start", async () => {
  const port = await listen((stream) => answer(stream));
  server.removeAllListeners("connection").on("connection", (socket: Socket) => {
    sockets.push(socket);
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  await expect(started(port)).rejects.toThrow(
    /cannot connect to 127.0.0.1 port \d+: Error: no HTTP\/2 session/,
  );
});
