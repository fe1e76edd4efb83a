import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Socket } from "node:net";
import { judge } from "./judge";
import type { Lane, LaneContext } from "./lane";
import type { DueRequest, Exchange } from "./recorder";

const { NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

/** Names of the HTTP/2 error codes, by code (RFC 9113, section 7). */
const CODE_NAMES = [
  ...["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"],
  ...["STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR"],
  ...["ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"],
];

/** The name of an HTTP/2 error code, e.g. `NO_ERROR`. */
function codeName(code: number): string {
  return CODE_NAMES[code] ?? String(code);
}

/** A session, and what became of it. */
interface Session {
  readonly session: ClientHttp2Session;
  /** A request ended because the connection did. */
  cut: boolean;
  /** Code of the GOAWAY that came, if one did. */
  goaway: number | null;
}

/** What arrived on one stream. */
interface Arrived {
  status: number;
  retryAfter: string | undefined;
  body: string;
  ended: boolean;
  timedOut: boolean;
}

/**
 * One HTTP/2 session that many users share, each with one request under way at a time. A session that ended, or that
 * the server said goodbye on, is made anew when the next request is due.
 */
export class Http2Lane implements Lane {
  private readonly waitingByUser = new Map<number, DueRequest[]>();
  private readonly busyUsers = new Set<number>();
  private current: Session | null = null;
  private connecting = false;
  private closing = false;

  constructor(private readonly context: LaneContext) {}

  get waiting(): number {
    let count = 0;
    for (const requests of this.waitingByUser.values()) count += requests.length;
    return count;
  }

  async open(): Promise<void> {
    await this.attach(await this.context.dial());
  }

  submit(request: DueRequest): void {
    const requests = this.waitingByUser.get(request.user);
    if (requests === undefined) this.waitingByUser.set(request.user, [request]);
    else requests.push(request);
    this.next(request.user);
  }

  forget(): void {
    this.waitingByUser.clear();
  }

  close(): void {
    this.closing = true;
    this.current?.session.destroy();
    this.current = null;
  }

  private next(user: number): void {
    const requests = this.waitingByUser.get(user);
    if (requests === undefined || requests.length === 0 || this.busyUsers.has(user) || this.connecting)
      return;
    // The end of a stream is told before that of the session which caused it.
    if (this.current?.session.destroyed === true) this.current = null;
    if (this.current === null) {
      this.reconnect();
      return;
    }
    this.send(this.current, requests.shift() as DueRequest);
  }

  private everyoneNext(): void {
    for (const user of this.waitingByUser.keys()) this.next(user);
  }

  private reconnect(): void {
    this.connecting = true;
    this.context
      .dial()
      .then((socket) => this.attach(socket))
      .then(
        () => {
          this.connecting = false;
          this.everyoneNext();
        },
        (error: unknown) => {
          this.connecting = false;
          this.failOneOfEach(String(error));
          this.everyoneNext();
        },
      );
  }

  /** A failed attempt to connect is each waiting user's own. */
  private failOneOfEach(detail: string): void {
    for (const requests of this.waitingByUser.values()) {
      if (requests.shift() !== undefined) this.context.recorder.notSent(detail);
    }
  }

  /** Resolves once the server's settings are there, for they say how many streams it takes. */
  private attach(socket: Socket): Promise<void> {
    const { plan, recorder } = this.context;
    const authority = `${plan.tls ? "https" : "http"}://${plan.host}`;
    const session = connect(authority, { createConnection: () => socket });
    const state: Session = { session, cut: false, goaway: null };
    let reason = "the server closed the connection";
    session.on("error", (error: Error) => (reason = String(error)));
    session.on("goaway", (code: number) => {
      if (this.current === state) this.current = null;
      // A graceful end can take two frames; one session that ends is one event.
      if (state.goaway !== code) recorder.goaway(codeName(code));
      state.goaway = code;
      session.close();
    });
    return new Promise((resolve, reject) => {
      session.once("remoteSettings", () => {
        recorder.opened();
        this.current = state;
        session.once("close", () => this.ended(state, reason));
        resolve();
      });
      session.once("close", () => reject(new Error(`no HTTP/2 session: ${reason}`)));
    });
  }

  private ended(state: Session, reason: string): void {
    if (this.closing) return;
    if (this.current === state) this.current = null;
    // A session that said goodbye is counted by that.
    if (state.goaway !== null) return;
    this.context.recorder.closed(state.cut ? "closedInFlight" : "closedIdle", reason);
  }

  private send(state: Session, request: DueRequest): void {
    const { plan, recorder, body, jars } = this.context;
    const cookie = jars[request.user]?.header() ?? "";
    this.busyUsers.add(request.user);
    const exchange = recorder.begin(request);
    const stream = state.session.request(
      {
        ":method": plan.method,
        ":path": plan.path,
        ":authority": plan.host,
        ...plan.headers,
        ...(cookie === "" ? {} : { cookie }),
        ...(body.length === 0
          ? {}
          : { "content-type": "application/octet-stream", "content-length": body.length }),
      },
      { endStream: body.length === 0 },
    );
    if (body.length > 0) stream.end(body);
    this.follow(state, stream, exchange);
  }

  private follow(state: Session, stream: ClientHttp2Stream, exchange: Exchange): void {
    const arrived: Arrived = { status: 0, retryAfter: undefined, body: "", ended: false, timedOut: false };
    let error: Error | null = null;
    const timer = setTimeout(() => {
      arrived.timedOut = true;
      stream.close(NGHTTP2_CANCEL);
    }, this.context.plan.timeoutMs);
    stream.setEncoding("utf8");
    stream.on("response", (headers) => {
      arrived.status = headers[":status"] ?? 0;
      arrived.retryAfter = headers["retry-after"];
      for (const cookie of headers["set-cookie"] ?? []) this.context.jars[exchange.user]?.take(cookie);
    });
    stream.on("data", (text: string) => (arrived.body += text));
    stream.on("end", () => (arrived.ended = true));
    stream.on("error", (streamError: Error) => (error = streamError));
    stream.on("close", () => {
      clearTimeout(timer);
      this.settle(exchange, arrived, { state, code: stream.rstCode, error });
      this.busyUsers.delete(exchange.user);
      this.next(exchange.user);
    });
  }

  private settle(
    exchange: Exchange,
    arrived: Arrived,
    end: { readonly state: Session; readonly code: number; readonly error: Error | null },
  ): void {
    const { recorder, plan } = this.context;
    const detail = `${codeName(end.code)}${end.error === null ? "" : `: ${end.error.message}`}`;
    if (arrived.timedOut) {
      recorder.failed(exchange, "timeout", `no answer within ${plan.timeoutMs} ms`);
    } else if (end.code === NGHTTP2_NO_ERROR && arrived.ended && arrived.status > 0) {
      const verdict = judge(plan, arrived);
      if (verdict.ok) recorder.answered(exchange, verdict.identity);
      else recorder.failed(exchange, verdict.failure, verdict.detail);
    } else if (end.code === NGHTTP2_REFUSED_STREAM) {
      recorder.failed(exchange, "refused", detail);
    } else if (end.state.session.destroyed) {
      end.state.cut = true;
      recorder.failed(exchange, arrived.status === 0 ? "closed" : "truncated", detail);
    } else {
      recorder.failed(exchange, "reset", detail);
    }
  }
}
