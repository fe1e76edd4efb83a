/** A complete answer of HTTP/1.1. */
export interface ParsedResponse {
  readonly status: number;
  readonly setCookies: readonly string[];
  /** The header Retry-After; undefined where there is none. */
  readonly retryAfter: string | undefined;
  /** The server will close the connection after this answer. */
  readonly close: boolean;
  readonly body: string;
}

/** What the server sent is no answer of HTTP/1.1. */
export class MalformedResponse extends Error {}

interface Head {
  readonly status: number;
  readonly setCookies: readonly string[];
  readonly retryAfter: string | undefined;
  readonly close: boolean;
  /** Length of the body in bytes; null: chunked; undefined: up to the end of the connection. */
  readonly length: number | null | undefined;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LARGEST_HEAD = 64 * 1024;

function bodyLength(
  status: number,
  method: string,
  lengths: readonly string[],
  chunked: boolean,
): Head["length"] {
  if (method === "HEAD" || status === 204 || status === 304) return 0;
  if (chunked) return null;
  if (lengths.length === 0) return undefined;
  const [length = ""] = lengths;
  if (!/^\d+$/.test(length) || lengths.some((other) => other !== length)) {
    throw new MalformedResponse(`content-length ${JSON.stringify(lengths)}`);
  }
  return Number(length);
}

function parseHead(text: string, method: string): Head {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine);
  if (match === null) throw new MalformedResponse(`status line ${JSON.stringify(statusLine.slice(0, 80))}`);
  const values = (wanted: string): string[] =>
    lines.flatMap((line) => {
      const colon = line.indexOf(":");
      return line.slice(0, colon).toLowerCase() === wanted ? [line.slice(colon + 1).trim()] : [];
    });
  const status = Number(match[2]);
  const connection = values("connection").join(",").toLowerCase();
  const chunked = values("transfer-encoding").join(",").toLowerCase().endsWith("chunked");
  const length = bodyLength(status, method, values("content-length"), chunked);
  const persistent = match[1] === "1" ? !connection.includes("close") : connection.includes("keep-alive");
  return {
    status,
    setCookies: values("set-cookie"),
    retryAfter: values("retry-after")[0],
    close: !persistent || length === undefined,
    length,
  };
}

/**
 * Reads one answer of HTTP/1.1 at a time from whatever pieces the connection delivers.
 *
 * Own code, since Node's client hides what this is for: which connection an answer came on, and what of it had
 * arrived when the connection ended.
 */
export class ResponseParser {
  private received: Buffer = Buffer.alloc(0);
  private head: Head | null = null;
  private chunks: Buffer[] = [];

  /** @param method of the requests; an answer to HEAD has no body whatever its headers say */
  constructor(private readonly method: string) {}

  /** Whether nothing of the next answer has arrived. */
  get untouched(): boolean {
    return this.head === null && this.received.length === 0;
  }

  /**
   * Takes what arrived.
   * @returns the answer, once it is complete
   * @throws MalformedResponse
   */
  push(data: Buffer): ParsedResponse | null {
    this.received = this.received.length === 0 ? data : Buffer.concat([this.received, data]);
    while (this.head === null) {
      if (!this.takeHead()) return null;
    }
    const { length } = this.head;
    if (length === undefined) return null;
    if (length === null) return this.takeChunks() ? this.finish(Buffer.concat(this.chunks)) : null;
    if (this.received.length < length) return null;
    const body = this.received.subarray(0, length);
    this.received = this.received.subarray(length);
    return this.finish(body);
  }

  /** The connection ended: an answer without a length is complete by that. */
  end(): ParsedResponse | null {
    if (this.head === null || this.head.length !== undefined) return null;
    const body = this.received;
    this.received = Buffer.alloc(0);
    return this.finish(body);
  }

  /** Takes a head, if it is all there; that of an interim answer (1xx) is skipped. */
  private takeHead(): boolean {
    const end = this.received.indexOf(HEAD_END);
    if (end < 0) {
      if (this.received.length > LARGEST_HEAD)
        throw new MalformedResponse(`no end of headers in ${LARGEST_HEAD} bytes`);
      return false;
    }
    const head = parseHead(this.received.toString("latin1", 0, end), this.method);
    this.received = this.received.subarray(end + HEAD_END.length);
    if (head.status >= 200) this.head = head;
    return true;
  }

  /** Takes the chunks that are all there; returns whether the last one was among them. */
  private takeChunks(): boolean {
    for (;;) {
      const lineEnd = this.received.indexOf("\r\n");
      if (lineEnd < 0) return false;
      const line = this.received.toString("latin1", 0, lineEnd);
      const size = /^([0-9a-fA-F]{1,8})(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw new MalformedResponse(`chunk size ${JSON.stringify(line.slice(0, 40))}`);
      const begin = lineEnd + 2;
      const length = parseInt(size, 16);
      if (length === 0) return this.takeTrailer(begin);
      if (this.received.length < begin + length + 2) return false;
      this.chunks.push(this.received.subarray(begin, begin + length));
      this.received = this.received.subarray(begin + length + 2);
    }
  }

  /** Trailers end with an empty line; there are none as a rule, and then that line is the next two bytes. */
  private takeTrailer(begin: number): boolean {
    const end = this.received.indexOf(HEAD_END, begin - 2);
    if (end < 0) return false;
    this.received = this.received.subarray(end + HEAD_END.length);
    return true;
  }

  private finish(body: Buffer): ParsedResponse {
    const { status, setCookies, retryAfter, close } = this.head as Head;
    this.head = null;
    this.chunks = [];
    return { status, setCookies, retryAfter, close, body: body.toString("utf8") };
  }
}
