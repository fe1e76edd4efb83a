import { type LoadOptions, planLoad } from "../../options";

const good: LoadOptions = { protocol: "http1", address: "127.0.0.1" };

test.each(["127.0.0.1", "127.9.9.9", "::1", "10.77.0.1", "10.77.1.2", "10.77.255.255"])(
  "load may go to %s",
  (address) => {
    expect(planLoad({ ...good, address }).address).toBe(address);
  },
);

test.each([
  "10.78.0.1",
  "10.76.255.255",
  "8.8.8.8",
  "0.0.0.0",
  "192.168.1.1",
  "::",
  "::2",
  "::ffff:8.8.8.8",
  "2001:db8::1",
  "localhost",
  "vehicleservice.test",
  "127.0.0.1.nip.io",
  "127.1",
  "",
])("load may not go to %j", (address) => {
  expect(() => planLoad({ ...good, address })).toThrow(`address ${JSON.stringify(address)} is refused`);
});

test.each<[Partial<LoadOptions>, string]>([
  [{ port: 0 }, "port is 0; it has to be a whole number from 1 to 65535"],
  [{ connections: 0 }, "connections is 0"],
  [{ connections: 10, users: 5 }, "users is 5; it has to be a whole number from 10"],
  [{ rate: 0 }, "rate is 0"],
  [{ rate: Number.NaN }, "rate is NaN"],
  [{ bodyBytes: 1.5 }, "bodyBytes is 1.5"],
  [{ timeoutMs: 0 }, "timeoutMs is 0"],
  [{ method: "POST / HTTP/1.1\r\n" }, "method"],
  [{ path: "api" }, "path"],
  [{ path: "/a b" }, "path"],
  [{ path: "/\r\nx: y" }, "path"],
  [{ host: "a\r\nx: y" }, "host"],
  [{ headers: { "x-y": "a\r\nb: c" } }, "header x-y"],
  [{ headers: { "x y": "a" } }, "header name"],
  [{ protocol: "http2", connections: 1, users: 101 }, "more than 100 a connection"],
])("%j is refused: %s", (options, message) => {
  expect(() => planLoad({ ...good, ...options })).toThrow(message);
});

test("defaults", () => {
  expect(planLoad({ ...good, tls: { ca: "pem" } })).toMatchObject({
    port: 443,
    host: "127.0.0.1",
    rate: 100,
    connections: 100,
    users: 100,
    cookies: "keep",
    method: "POST",
    bodyBytes: 256,
  });
  expect(planLoad({ ...good, method: "GET" })).toMatchObject({ port: 80, bodyBytes: 0, tls: null });
});
