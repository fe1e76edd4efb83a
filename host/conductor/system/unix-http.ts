import { request, type IncomingHttpHeaders } from "node:http";

/** An answer over a unix socket. */
export interface UnixAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One HTTP request over a unix socket. */
export interface UnixRequest {
  readonly socket: string;
  readonly method?: "GET" | "PUT";
  readonly path: string;
  readonly body?: string;
  /** Value of the Host header; default `localhost`. */
  readonly host?: string;
  /** Longest wait for the whole answer, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Sends a request over a unix socket and reads the answer whole.
 * @throws Error where nobody listens, or where the answer is not whole within the time limit.
 */
export function requestUnix(options: UnixRequest): Promise<UnixAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: options.socket,
        method: options.method ?? "GET",
        path: options.path,
        headers: { host: options.host ?? "localhost", connection: "close" },
        signal: AbortSignal.timeout(options.timeoutMs),
      },
      (incoming) => {
        let body = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => (body += chunk));
        incoming.on("end", () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body }),
        );
        incoming.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(options.body);
  });
}
