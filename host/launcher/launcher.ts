/**
 * What PM2 starts in every instance, in the application's place.
 *
 * In cluster mode all instances share one port, so that nobody outside can tell which of them answered. The launcher
 * gives each instance a private unix socket beside it: requests on it are answered by this instance's own HTTP server,
 * with a header that tells what runs here. Then it runs the application's script as if PM2 had.
 *
 * Inputs, all from PM2's ecosystem file (paths, ports and names only; PM2 writes its environment to disk):
 *   PORT                     TCP port that the application listens on
 *   CONDUCTOR_SCRIPT         the application's script, an absolute path
 *   CONDUCTOR_ARGUMENTS      its arguments, a JSON list of texts
 *   CONDUCTOR_HEALTH         directory of this colour's private sockets
 *   CONDUCTOR_ENVIRONMENT    file with the application's own variables: a JSON object of texts
 *   CONDUCTOR_ERROR_LOG      the colour's error log; none: only PM2 logs what ends an instance
 *   APP_VERSION, APP_COMMIT, APP_COLOUR, NODE_APP_INSTANCE
 */
import { subscribe } from "node:diagnostics_channel";
import { appendFileSync, readFileSync, rmSync } from "node:fs";
import { createServer, Server, type IncomingMessage, type ServerResponse } from "node:http";
import { runMain } from "node:module";
import type { ListenOptions } from "node:net";
import { join } from "node:path";
import { ENDING_IDLE_MS, INSTANCE_IDLE_MS } from "./connection-times";
import { RELEASE_HEADER } from "./release-header";

/** How often one looks whether the process runs, and what is more than a busy machine's delay, in milliseconds. */
const [TURN_MS, STANDSTILL_MS] = [100, 1000];

const port = Number(required("PORT"));
const script = required("CONDUCTOR_SCRIPT");
let application: Server | undefined;

subscribe("tracing:net.server.listen:asyncStart", (message) => {
  const { server, options } = message as { server: unknown; options: ListenOptions };
  if (server instanceof Server && Number(options.port) === port && application === undefined) {
    application = server as Server;
    server.keepAliveTimeout = Math.max(server.keepAliveTimeout, INSTANCE_IDLE_MS);
    endGently(application);
  }
});

logFatalErrors(process.env["CONDUCTOR_ERROR_LOG"]);
setVariables(required("CONDUCTOR_ENVIRONMENT"));
openPrivateSocket();
// All of them are replaced: in cluster mode PM2 puts those of `pm2-runtime` itself first.
process.argv.splice(
  1,
  process.argv.length,
  script,
  ...(JSON.parse(required("CONDUCTOR_ARGUMENTS")) as string[]),
);
// `runMain` without an argument runs process.argv[1], be it CommonJS or an ES module, as `node script` does.
runMain();

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") {
    throw new Error(`${name} is not set; the launcher is started by PM2 with the conductor's ecosystem file`);
  }
  return value;
}

/** PM2 writes what ended an instance to a stream, and ends the process before the stream has written it. */
function logFatalErrors(file: string | undefined): void {
  if (file === undefined) {
    return;
  }
  process.on("uncaughtExceptionMonitor", (error) => {
    appendFileSync(
      file,
      `${new Date().toISOString()}: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
  });
}

/** Sets the application's variables, every value byte for byte as it was configured. */
function setVariables(file: string): void {
  const text = readFileSync(file, "utf8");
  let variables: Record<string, string>;
  try {
    variables = JSON.parse(text) as Record<string, string>;
  } catch {
    // Not what the parser says: it repeats what it reads, and this is a log that many may read.
    throw new Error(`${file} is damaged; \`pulumi up\` writes it anew`);
  }
  for (const [name, value] of Object.entries(variables)) {
    process.env[name] = value;
  }
}

/**
 * Has the server, once it is told to close, go on answering on the connections that it has, say with each answer that it
 * closes the connection, and leave it to Nginx to close those that are idle. Closed at once, as Node does it, they would
 * fail a request that Nginx is just sending, and may not send again.
 */
function endGently(server: Server): void {
  const closeIdleConnections = server.closeIdleConnections.bind(server);
  let closing = false;
  server.prependListener("request", (_request: IncomingMessage, response: ServerResponse) => {
    if (closing) response.shouldKeepAlive = false;
  });
  // `close` calls it when nobody can connect any more.
  server.closeIdleConnections = () => {
    closing = true;
    afterRunning(ENDING_IDLE_MS, closeIdleConnections);
  };
}

/** Does `then` when the process ran for so long: after a standstill of the machine Nginx, which stood still as well, has all of its time. */
function afterRunning(milliseconds: number, then: () => void): void {
  let ran = 0;
  let last = performance.now();
  // Connections keep the process, the clock does not.
  const clock = setInterval(() => {
    const passed = performance.now() - last;
    last += passed;
    ran = passed > STANDSTILL_MS ? 0 : ran + passed;
    if (ran < milliseconds) return;
    clearInterval(clock);
    then();
  }, TURN_MS).unref();
}

function openPrivateSocket(): void {
  const path = join(required("CONDUCTOR_HEALTH"), `${process.env["NODE_APP_INSTANCE"] ?? "0"}.sock`);
  // A killed instance leaves its socket behind.
  rmSync(path, { force: true });
  const server = createServer(answer);
  server.keepAliveTimeout = INSTANCE_IDLE_MS;
  // Without `exclusive` the cluster's primary would listen, and hand connections to any instance.
  server.listen({ path, exclusive: true });
  // The application decides how long the process lives, not this socket.
  server.unref();
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader(
    RELEASE_HEADER,
    `${process.env["APP_VERSION"] ?? ""} ${process.env["APP_COMMIT"] ?? ""}`,
  );
  if (application?.listening === true) {
    application.emit("request", request, response);
  } else {
    response.writeHead(503).end(`nothing listens on port ${port} yet`);
  }
}
