import { MalformedResponse, type ParsedResponse, ResponseParser } from "../../response-parser";

const plain = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 4\r\n\r\nbody";
const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n";
const trailer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n";
const interim = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${plain}`;
const noReason = "HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nbody";

/** Pushes the text in pieces of `size` bytes; returns what each push gave. */
function push(parser: ResponseParser, text: string, size: number): (ParsedResponse | null)[] {
  const results: (ParsedResponse | null)[] = [];
  for (let at = 0; at < text.length; at += size)
    results.push(parser.push(Buffer.from(text.slice(at, at + size))));
  return results;
}

describe.each([
  ["with a length", plain],
  ["in chunks", chunked],
  ["in chunks with a trailer", trailer],
  ["after interim answers", interim],
  ["without a reason phrase", noReason],
])("an answer %s", (_, text) => {
  test.each([1, 2, 3, 7, 1000])("is read from pieces of %i bytes, and not before its last", (size) => {
    const parser = new ResponseParser("POST");
    const results = push(parser, text, size);
    expect(results.at(-1)).toMatchObject({ status: 200, body: "body", close: false });
    expect(results.slice(0, -1).every((result) => result === null)).toBe(true);
    expect(parser.untouched).toBe(true);
    expect(push(parser, plain, size).at(-1)).toMatchObject({ body: "body" });
  });
});

test("cookies keep their order", () => {
  expect(new ResponseParser("GET").push(Buffer.from(plain))?.setCookies).toEqual(["a=1", "b=2"]);
});

test.each([
  ["HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n"],
  ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 40\r\n\r\n"],
])("%s: an answer that can have no body ends with its head: %j", (method, text) => {
  expect(new ResponseParser(method).push(Buffer.from(text))).toMatchObject({ body: "" });
});

test.each([
  ["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", true],
  ["HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\ncontent-length: 0\r\n\r\n", true],
  ["HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", true],
  ["HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", false],
  ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false],
])("%j: closes afterwards: %s", (text, close) => {
  expect(new ResponseParser("GET").push(Buffer.from(text))?.close).toBe(close);
});

test("an answer without a length is complete when the connection ends", () => {
  const parser = new ResponseParser("GET");
  expect(parser.push(Buffer.from("HTTP/1.1 200 OK\r\n\r\nbo"))).toBeNull();
  expect(parser.push(Buffer.from("dy"))).toBeNull();
  expect(parser.end()).toMatchObject({ body: "body", close: true });
});

test.each([plain, chunked, trailer])(
  "the end of the connection does not complete what has a length: %j",
  (text) => {
    const parser = new ResponseParser("GET");
    parser.push(Buffer.from(text.slice(0, -1)));
    expect(parser.end()).toBeNull();
    expect(parser.untouched).toBe(false);
  },
);

test("what follows an answer is noticed", () => {
  const parser = new ResponseParser("GET");
  parser.push(Buffer.from(`${plain}H`));
  expect(parser.untouched).toBe(false);
});

test.each([
  ["no status line", "220 mail ready\r\n\r\n"],
  ["another protocol's version", "HTTP/2 200\r\n\r\n"],
  ["a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: 4x\r\n\r\n"],
  ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n"],
  ["a chunk size that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
  ["a head without an end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}`],
])("%s is malformed", (_, text) => {
  expect(() => new ResponseParser("GET").push(Buffer.from(text))).toThrow(MalformedResponse);
});
