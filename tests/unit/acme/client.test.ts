import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { acmeServer } from "../../../host/acme/client";
import { makePair } from "../host/support/fake-certificates";

/* How a server is spoken to; that what is said makes a certificate is shown on a booted host, against a real one. */

const accountKey = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
const servers: Server[] = [];

afterEach(() =>
  Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  ),
);

/** A server that gives each answer once, the last one for ever. */
async function serverOf(...answers: readonly [number, object, Record<string, string>?][]): Promise<{
  url: string;
  authority: string;
  asked: () => number;
}> {
  const { chain, key } = await makePair(["localhost"]);
  let asked = 0;
  const server = createServer({ cert: chain, key }, (_request, response) => {
    const [status, body, headers] = answers[Math.min(asked, answers.length - 1)]!;
    asked += 1;
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `https://localhost:${port}/dir`, authority: chain, asked: () => asked };
}

/** Reads the directory; what would be waited for is kept. */
const waits: number[] = [];
const hello = (url: string, authority: string): Promise<unknown> =>
  acmeServer(url, accountKey, authority, (milliseconds) => Promise.resolve(waits.push(milliseconds))).hello();
beforeEach(() => waits.splice(0));

const DIRECTORY = { newNonce: "x", meta: { termsOfService: "terms" } };

it("trusts a server by the authority that it is given, and nobody without one", async () => {
  const { url, authority } = await serverOf([200, DIRECTORY]);
  await expect(hello(url, authority)).resolves.toBe("terms");
  const { chain: other } = await makePair(["other"]);
  await expect(hello(url, other)).rejects.toMatchObject({
    code: expect.stringMatching(/CERT/),
  });
});

it("asks a server that is busy again", async () => {
  const { url, authority, asked } = await serverOf([503, {}], [429, {}], [200, DIRECTORY]);
  await expect(hello(url, authority)).resolves.toBe("terms");
  expect(asked()).toBe(3);
  expect(waits).toEqual([1000, 1000]);
});

it.each([
  ["20", 20_000],
  ["86400", 60_000],
  ["Wed, 01 Jan 2026 00:00:00 GMT", 1000],
])("waits as long as it is asked to, within reason: %s", async (asked, milliseconds) => {
  const { url, authority } = await serverOf([429, {}, { "retry-after": asked }], [200, DIRECTORY]);
  await hello(url, authority);
  expect(waits).toEqual([milliseconds]);
});

it("gives up on one that stays busy", async () => {
  const { url, authority, asked } = await serverOf([503, {}]);
  await expect(hello(url, authority)).rejects.toThrow("error 503");
  expect(asked()).toBe(3);
});

it("does not ask again where the answer is no", async () => {
  const { url, authority, asked } = await serverOf([404, {}]);
  await expect(hello(url, authority)).rejects.toThrow("error 404");
  expect(asked()).toBe(1);
});

it("says why a connection failed", async () => {
  const { url, authority } = await serverOf([200, DIRECTORY]);
  await new Promise((resolve) => servers.pop()!.close(resolve));
  await expect(hello(url, authority)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
