// @ts-check
"use strict";

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { clearInterval, setImmediate, setInterval, setTimeout } = require("node:timers");
const webSocket = require("./websocket.js");

/** @typedef {import("node:http").IncomingMessage} Request */
/** @typedef {import("node:http").ServerResponse} Response */

/**
 * What the running process is. The version is the one that was built, not the one that somebody says was built: an
 * answer proves which code gave it.
 * @typedef {{ version: string, colour: string, commit: string }} Identity
 */

/** Longer than a front door keeps idle upstream connections, so that it is never Node that closes one first. */
const KEEP_ALIVE_MS = 75_000;
/** Node's guard on slow headers has to outlast the keep-alive time. */
const HEADERS_TIMEOUT_MS = KEEP_ALIVE_MS + 1_000;
const STREAM_INTERVAL_MS = 100;
/** Pause between two looks at what a gate waits for. */
const GATE_INTERVAL_MS = 20;
const LONGEST_DELAY_MS = 60_000;
const LONGEST_STREAM_SECONDS = 3_600;

/** True from the first signal on: answers then end their connections. */
let closing = false;

/**
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Identity}
 * @throws {Error} where `npm run build` has not been run
 */
function identityOf(environment) {
  const file = path.join(__dirname, "dist", "build-info.json");
  if (!fs.existsSync(file)) {
    throw new Error(`${file} is missing: run "npm run build" before "npm start"`);
  }
  const { version } = JSON.parse(fs.readFileSync(file, "utf8"));
  return { version, colour: environment.APP_COLOUR ?? "none", commit: environment.APP_COMMIT ?? "unknown" };
}

/**
 * @param {Response} response
 * @param {number} status
 * @param {string} type
 * @param {string} body
 */
function send(response, status, type, body) {
  const headers = {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  };
  response.writeHead(status, closing ? { ...headers, connection: "close" } : headers);
  response.end(body);
}

/**
 * @param {Response} response
 * @param {number} status
 * @param {object} value
 */
function sendJson(response, status, value) {
  send(response, status, "application/json", JSON.stringify(value));
}

/**
 * Reads a number from the query; anything that is no number, or is negative, counts as 0.
 * @param {URL} url
 * @param {string} name
 * @param {number} largest
 */
function queryNumber(url, name, largest) {
  const value = Number(url.searchParams.get(name) ?? 0);
  return value > 0 ? Math.min(value, largest) : 0;
}

/**
 * Holds a request, and says so on standard output, until the gate's directory has a file with the colour's name.
 * @param {Request} request
 * @param {string} gate
 * @param {string} colour
 * @param {() => void} pass not called where the client went away
 */
function atGate(request, gate, colour, pass) {
  process.stdout.write(`${colour}: a request is held at ${gate}\n`);
  const look = () => {
    if (request.socket.destroyed) return;
    if (fs.existsSync(path.join(gate, colour))) pass();
    else setTimeout(look, GATE_INTERVAL_MS);
  };
  look();
}

/**
 * Reads the body to its end, then waits as long as `?ms=` asks, and at the gate that `?gate=` names.
 * @param {Request} request
 * @param {URL} url
 * @param {Identity} identity
 * @param {(bytes: number) => void} answer called with the body's length; not called where the client went away
 */
function afterBody(request, url, { colour }, answer) {
  const delay = queryNumber(url, "ms", LONGEST_DELAY_MS);
  const gate = url.searchParams.get("gate");
  let bytes = 0;
  request.on("data", (chunk) => {
    bytes += chunk.length;
  });
  const waited = () => {
    if (gate === null) answer(bytes);
    else atGate(request, gate, colour, () => answer(bytes));
  };
  request.on("end", () => {
    if (delay === 0) waited();
    else setTimeout(waited, delay);
  });
}

/**
 * Server-sent events, one every 100 ms, for `?seconds=` (10 by default).
 * @param {Response} response
 * @param {URL} url
 * @param {Identity} identity
 */
function stream(response, url, identity) {
  const seconds = url.searchParams.has("seconds") ? queryNumber(url, "seconds", LONGEST_STREAM_SECONDS) : 10;
  const last = Math.floor((seconds * 1000) / STREAM_INTERVAL_MS);
  let number = 0;
  // A front door that buffers would hold the events back.
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    ...(closing ? { connection: "close" } : {}),
  });
  response.flushHeaders();
  const timer = setInterval(() => {
    number += 1;
    if (number <= last) {
      response.write(`id: ${number}\ndata: ${JSON.stringify({ ...identity, number })}\n\n`);
    }
    if (number >= last) {
      clearInterval(timer);
      response.end();
    }
  }, STREAM_INTERVAL_MS);
  response.on("close", () => clearInterval(timer));
}

/**
 * @param {string} title
 * @param {Identity} identity
 */
function page(title, { version, colour }) {
  return `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>${title}</title></head>
  <body><h1>${title}</h1><p>Version ${version}, ${colour}.</p></body>
</html>
`;
}

/**
 * @typedef {object} Exchange
 * @property {Request} request
 * @property {Response} response
 * @property {URL} url
 * @property {Identity} identity
 */

/** @typedef {{ methods: readonly string[] | "any", handle: (exchange: Exchange) => void }} Route */

/**
 * @param {string} title
 * @returns {Route}
 */
function pageRoute(title) {
  return {
    methods: ["GET", "HEAD"],
    handle: ({ response, identity }) =>
      send(response, 200, "text/html; charset=utf-8", page(title, identity)),
  };
}

/**
 * Says who answered, and how many bytes of body arrived; with 502 where `?fail=` names this colour.
 * @param {Route["methods"]} methods
 * @param {object} extra
 * @returns {Route}
 */
function echoRoute(methods, extra = {}) {
  return {
    methods,
    handle: ({ request, response, url, identity }) => {
      const { version, colour } = identity;
      afterBody(request, url, identity, (bytes) => {
        sendJson(response, url.searchParams.get("fail") === colour ? 502 : 200, {
          ...extra,
          version,
          colour,
          pid: process.pid,
          method: request.method,
          bytes,
        });
      });
    },
  };
}

/** @type {Readonly<Record<string, Route>>} */
const ROUTES = {
  "/": pageRoute("Vehicle service"),
  "/business/wallet": pageRoute("Wallet"),
  "/admin": pageRoute("Administration"),
  "/api/health": {
    methods: ["GET", "HEAD"],
    handle: ({ response }) => sendJson(response, 200, { status: "ok" }),
  },
  "/api/whoami": echoRoute("any"),
  "/api/orders": echoRoute(["POST"]),
  "/api/business/wallet/webhook": echoRoute(["POST"], { received: true }),
  "/api/environment": {
    methods: ["GET"],
    handle: ({ response, url }) => {
      const value = process.env[url.searchParams.get("name") ?? ""];
      const sha256 = value === undefined ? null : createHash("sha256").update(value).digest("hex");
      sendJson(response, 200, { sha256 });
    },
  },
  "/api/stream": {
    methods: ["GET"],
    handle: ({ response, url, identity }) => stream(response, url, identity),
  },
};

/**
 * @param {Identity} identity
 * @returns {(request: Request, response: Response) => void}
 */
function router(identity) {
  return (request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const route = Object.hasOwn(ROUTES, url.pathname) ? ROUTES[url.pathname] : undefined;
    if (route === undefined) {
      sendJson(response, 404, { error: `no such path: ${url.pathname}` });
    } else if (route.methods !== "any" && !route.methods.includes(request.method ?? "GET")) {
      response.setHeader("allow", route.methods.join(", "));
      sendJson(response, 405, { error: `${url.pathname} takes ${route.methods.join(" and ")} only` });
    } else {
      route.handle({ request, response, url, identity });
    }
  };
}

/**
 * Stops accepting, ends idle connections and WebSockets, lets requests under way finish, then ends the process.
 * @param {import("node:http").Server} server
 */
function closeGracefully(server) {
  if (closing) return;
  closing = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  webSocket.closeAll();
}

/** @param {NodeJS.ProcessEnv} environment */
function main(environment) {
  const identity = identityOf(environment);
  const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, router(identity));
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.on("request", (request, response) => {
    response.on("close", () => {
      // An answer whose headers were out before the signal (a stream's) leaves its connection open behind it.
      if (closing) setImmediate(() => server.closeIdleConnections());
    });
  });
  server.on("upgrade", (request, socket) => {
    if (request.url === "/api/echo") webSocket.echo(request, socket, identity.colour);
    else socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  });
  server.listen(Number(environment.PORT ?? 3000), environment.HOST ?? "127.0.0.1", () => {
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : address;
    process.stdout.write(`sample ${identity.version} (${identity.colour}) listens on port ${port}\n`);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => closeGracefully(server));
}

main(process.env);
