import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { parseAct } from "./acts";
import { InvalidAct, Refused } from "./faults";
import { name, type Conductor } from "./conductor";
import { ExitCode } from "./protocol";
import { ENVIRONMENT_BYTES } from "./releases/variables";

/** Longest act, in bytes: an environment of the largest size, each byte of it escaped in JSON, or years of migrations. */
const ACT_LIMIT = Math.max(6 * ENVIRONMENT_BYTES, 32 * 1024 * 1024) + 1024 * 1024;

/** Pause between two signs of life, in milliseconds; the client waits for some 15 s before it gives a connection up. */
const HEARTBEAT_MS = 5000;

/** A sign of life, long enough for the client's `--speed-limit` of one byte a second. */
const HEARTBEAT = `alive ${".".repeat(20)}\n`;

/**
 * The conductor's door: `POST /acts` with an act as the body. The answer comes line by line, so that a shell script can
 * read it: `progress TEXT` any number of times, `alive` every few seconds, then one of `result JSON` and `error EXITCODE TEXT`, where TEXT has
 * its line ends as `\n` and its backslashes doubled (`printf %b` reads it back). `GET /metrics` is Prometheus text.
 */
export function createConductorServer(
  conductor: Conductor,
  log: (line: string) => void,
  heartbeatMs = HEARTBEAT_MS,
): Server {
  return createServer((request, response) => {
    if (request.method === "GET" && request.url === "/metrics") {
      void tellMetrics(conductor, response);
      return;
    }
    if (request.method !== "POST" || request.url !== "/acts") {
      response.writeHead(404).end("error 4 POST /acts and GET /metrics are all there is\n");
      return;
    }
    // Before the first sign of life: a body may take longer than that.
    response.setHeader("content-type", "text/plain; charset=utf-8");
    const heartbeat = setInterval(() => response.write(HEARTBEAT), heartbeatMs);
    response.on("close", () => clearInterval(heartbeat));
    void answer(conductor, request, response, log);
  });
}

async function tellMetrics(conductor: Conductor, response: ServerResponse): Promise<void> {
  try {
    const text = await conductor.metrics();
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(text);
  } catch (error) {
    response.writeHead(503).end(`the front door does not answer: ${(error as Error).message}\n`);
  }
}

/** A door that answers every act with the same fault. */
export function createRefusingServer(fault: string): Server {
  return createServer((request, response) => {
    request.resume();
    response.end(`error ${ExitCode.failed} ${escape(fault)}\n`);
  });
}

async function answer(
  conductor: Conductor,
  request: IncomingMessage,
  response: ServerResponse,
  log: (line: string) => void,
): Promise<void> {
  const write = (kind: string, text: string): void => void response.write(`${kind} ${text}\n`);
  let what = "act";
  try {
    const act = parseAct(await readBody(request));
    what = name(act);
    const result = await conductor.take(act, (line) => {
      log(`${what}: ${line}`);
      write("progress", escape(line));
    });
    write("result", JSON.stringify(result));
  } catch (error) {
    const { message } = error as Error;
    log(`${what}: ${message}`);
    write(`error ${exitCodeOf(error)}`, escape(`${what}: ${message}`));
  }
  response.end();
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function exitCodeOf(error: unknown): number {
  if (error instanceof InvalidAct) {
    return ExitCode.invalid;
  }
  return error instanceof Refused ? ExitCode.refused : ExitCode.failed;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read to its end, for a client is not answered on a connection that it still sends on; but not kept.
    if (bytes <= ACT_LIMIT) {
      chunks.push(chunk);
    }
  }
  if (bytes > ACT_LIMIT) {
    throw new InvalidAct(`the act is longer than ${ACT_LIMIT} bytes`);
  }
  return Buffer.concat(chunks).toString("utf8");
}
