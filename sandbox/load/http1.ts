import type { Socket } from "node:net";
import { judge } from "./judge";
import type { Lane, LaneContext } from "./lane";
import type { DueRequest, Exchange } from "./recorder";
import { type ParsedResponse, ResponseParser } from "./response-parser";

/**
 * One keep-alive connection of HTTP/1.1, one request at a time. A connection that ended is made anew when the next
 * request is due; the request that was under way on it has failed, and is not sent again.
 */
export class Http1Lane implements Lane {
  private waitingRequests: DueRequest[] = [];
  private socket: Socket | null = null;
  private connecting = false;
  private exchange: Exchange | null = null;
  private timer: NodeJS.Timeout | undefined;
  private parser: ResponseParser;
  private readonly requests = new Map<number, Buffer>();

  constructor(private readonly context: LaneContext) {
    this.parser = new ResponseParser(context.plan.method);
  }

  get waiting(): number {
    return this.waitingRequests.length;
  }

  async open(): Promise<void> {
    this.attach(await this.context.dial());
  }

  submit(request: DueRequest): void {
    this.waitingRequests.push(request);
    this.next();
  }

  forget(): void {
    this.waitingRequests = [];
  }

  close(): void {
    const { socket } = this;
    this.socket = null;
    socket?.destroy();
  }

  private next(): void {
    if (this.exchange !== null || this.connecting || this.waitingRequests.length === 0) return;
    if (this.socket === null) {
      this.reconnect();
      return;
    }
    const request = this.waitingRequests.shift() as DueRequest;
    this.exchange = this.context.recorder.begin(request);
    this.socket.write(this.requestOf(request.user));
    this.timer = setTimeout(() => this.timeOut(), this.context.plan.timeoutMs);
  }

  private reconnect(): void {
    this.connecting = true;
    this.context.dial().then(
      (socket) => {
        this.connecting = false;
        this.attach(socket);
        this.next();
      },
      (error: unknown) => {
        this.connecting = false;
        if (this.waitingRequests.shift() !== undefined) this.context.recorder.notSent(String(error));
        this.next();
      },
    );
  }

  private attach(socket: Socket): void {
    this.context.recorder.opened();
    this.socket = socket;
    this.parser = new ResponseParser(this.context.plan.method);
    let reason = "the server closed the connection";
    socket.on("data", (data) => this.receive(socket, data));
    socket.on("error", (error) => (reason = String(error)));
    // `end` comes first where the server closes in good order; a request sent after it would be our own mistake.
    socket.on("end", () => this.ended(socket, reason));
    socket.on("close", () => this.ended(socket, reason));
  }

  private receive(socket: Socket, data: Buffer): void {
    if (socket !== this.socket) return;
    try {
      const response = this.parser.push(data);
      if (this.exchange === null)
        throw new Error(`unasked: ${JSON.stringify(data.toString("latin1").slice(0, 80))}`);
      if (response !== null) this.answer(this.exchange, response);
    } catch (error) {
      this.malformed(socket, String(error));
    }
  }

  private answer(exchange: Exchange, response: ParsedResponse): void {
    clearTimeout(this.timer);
    this.exchange = null;
    this.takeCookies(exchange.user, response.setCookies);
    const { recorder, plan } = this.context;
    const verdict = judge(plan, response);
    if (verdict.ok) recorder.answered(exchange, verdict.identity);
    else recorder.failed(exchange, verdict.failure, verdict.detail);
    if (!this.parser.untouched) {
      // What follows an answer unasked would be taken for the answer to the next request.
      recorder.closed("closedIdle", "more than one answer to a request");
      this.close();
    } else if (response.close) {
      recorder.closed("closedAnnounced", "Connection: close");
      this.close();
    }
    this.next();
  }

  private malformed(socket: Socket, detail: string): void {
    this.socket = null;
    socket.destroy();
    const { exchange } = this;
    clearTimeout(this.timer);
    this.exchange = null;
    if (exchange !== null) this.context.recorder.failed(exchange, "malformed", detail);
    else this.context.recorder.closed("closedIdle", detail);
    this.next();
  }

  private ended(socket: Socket, reason: string): void {
    if (socket !== this.socket) return;
    const { exchange } = this;
    const { recorder } = this.context;
    if (exchange === null) {
      this.close();
      recorder.closed("closedIdle", reason);
      return;
    }
    const response = this.parser.end();
    if (response !== null) {
      this.answer(exchange, response);
      return;
    }
    this.close();
    clearTimeout(this.timer);
    this.exchange = null;
    recorder.closed("closedInFlight", reason);
    recorder.failed(exchange, this.parser.untouched ? "closed" : "truncated", reason);
    this.next();
  }

  private timeOut(): void {
    const exchange = this.exchange as Exchange;
    this.exchange = null;
    this.close();
    this.context.recorder.failed(exchange, "timeout", `no answer within ${this.context.plan.timeoutMs} ms`);
    this.next();
  }

  private takeCookies(user: number, setCookies: readonly string[]): void {
    const jar = this.context.jars[user];
    // Each has to be taken, so no `some`, which stops at the first that changes something.
    if (jar && setCookies.filter((cookie) => jar.take(cookie)).length > 0) this.requests.delete(user);
  }

  /** The bytes of a user's request; they change only with the user's cookies. */
  private requestOf(user: number): Buffer {
    const known = this.requests.get(user);
    if (known !== undefined) return known;
    const { plan, body, jars } = this.context;
    const cookie = jars[user]?.header() ?? "";
    const lines = [
      `${plan.method} ${plan.path} HTTP/1.1`,
      `host: ${plan.host}`,
      ...Object.entries(plan.headers).map(([name, value]) => `${name}: ${value}`),
      ...(cookie === "" ? [] : [`cookie: ${cookie}`]),
      ...(body.length === 0 ? [] : ["content-type: application/octet-stream"]),
      ...(body.length === 0 && plan.method !== "POST" ? [] : [`content-length: ${body.length}`]),
    ];
    const bytes = Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]);
    this.requests.set(user, bytes);
    return bytes;
  }
}
