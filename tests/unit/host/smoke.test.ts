import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import Stripe from "stripe";
import { Failed, Refused } from "../../../host/conductor/faults";
import type { SmokeTest } from "../../../host/conductor/protocol";
import { httpSmokeTests, requireSmoke, smoke } from "../../../host/conductor/releases/smoke";
import { emptySite } from "../../../host/conductor/site";
import {
  pathsUnder,
  removeDirectories,
  runningOf,
  serving,
  SETTINGS,
  siteOf,
  temporaryDirectory,
} from "./support/fixtures";

const open: Server[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => once(server.close(), "close")));
});
afterAll(removeDirectories);

const test = (change: Partial<SmokeTest> = {}): SmokeTest => ({
  name: "home",
  path: "/",
  method: "GET",
  status: [200],
  contains: null,
  ...change,
});

/** Two instances of green and its port, answered by these, in this order; returns what the tests say of them. */
async function run(
  listeners: readonly [RequestListener, RequestListener, RequestListener],
  smokeTests: readonly SmokeTest[],
  variables: Readonly<Record<string, string>> = {},
): Promise<{ passed: boolean; details: string[]; progress: string[] }> {
  const paths = pathsUnder(temporaryDirectory());
  const sockets = join(paths.health, "green");
  mkdirSync(sockets, { recursive: true });
  const [first, second, onPort] = listeners.map((listener) => createServer(listener));
  for (const [server, where] of [
    [first, join(sockets, "0.sock")],
    [second, join(sockets, "1.sock")],
    [onPort, 0],
  ] as const) {
    open.push(server!);
    await once(server!.listen(where as number), "listening");
  }
  const port = (onPort!.address() as AddressInfo).port;
  const settings = { ...SETTINGS, ports: { blue: 1, green: port }, smokeTests };
  const progress: string[] = [];
  const result = await httpSmokeTests(paths, { read: () => Promise.resolve({ ...variables }) }).ofColour(
    "green",
    runningOf("v1"),
    settings,
    (line) => progress.push(line),
  );
  const details = result.checks.map(({ detail }) => detail.replace(String(port), "PORT"));
  return { passed: result.passed, details, progress };
}

const answer =
  (status: number, body = ""): RequestListener =>
  (_, response) =>
    response.writeHead(status).end(body);
const well = answer(200, "Vehicle service");

it("asks every instance and the port, and ends with the words that the guide expects", async () => {
  const { passed, details, progress } = await run([well, well, well], [test({ contains: "Vehicle" })]);
  expect(passed).toBe(true);
  expect(details).toEqual(["GET / answered 200"]);
  expect(progress).toEqual([
    "green: smoke test home passed: GET / answered 200",
    "green: ALL SMOKE TESTS PASSED",
  ]);
});

it.each<[string, [RequestListener, RequestListener, RequestListener], string]>([
  ["one instance", [well, answer(500), well], "GET / at instance 1 answered 500, not 200"],
  ["the port", [well, well, answer(404)], "GET / at port PORT answered 404, not 200"],
  [
    "an answer without the text",
    [answer(200, "Login"), well, well],
    'GET / at instance 0 answered 200 without "Vehicle" in the body',
  ],
  [
    "no answer",
    [well, (request) => request.socket.destroy(), well],
    "GET / at instance 1 got no answer: socket hang up",
  ],
])("fails for %s, and goes on to the next one", async (_, listeners, detail) => {
  const { passed, details, progress } = await run(listeners, [
    test({ contains: "Vehicle" }),
    test({ name: "any", status: [200, 404, 500] }),
  ]);
  expect(passed).toBe(false);
  expect(details[0]).toBe(detail);
  expect(details).toHaveLength(2);
  expect(progress.at(-1)).toMatch(/^green: SMOKE TESTS FAILED: home/);
});

it("takes any status of the list, and a redirect for an answer", async () => {
  const redirect: RequestListener = (_, response) => response.writeHead(307, { location: "/login" }).end();
  const { details } = await run([redirect, well, redirect], [test({ status: [200, 307] })]);
  expect(details).toEqual(["GET / answered 307, 200"]);
});

it("comes as the front door does: the site's name, over HTTPS, and a POST with a body of JSON", async () => {
  const seen: unknown[] = [];
  const note: RequestListener = (request, response) => {
    const { host, "x-forwarded-proto": proto, "content-type": type } = request.headers;
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      seen.push([request.method, request.url, host, proto, type, body]);
      response.writeHead(400).end();
    });
  };
  const { passed } = await run([note, note, note], [test({ method: "POST", path: "/hook", status: [400] })]);
  expect(passed).toBe(true);
  expect(seen).toEqual(
    Array(3).fill(["POST", "/hook", "shop.example.com", "https", "application/json", "{}"]),
  );
});

describe("a test that is signed", () => {
  const SECRETS = ["the-newer-secret-of-the-two", "the-older-secret-of-the-two"] as const;
  const signed = test({ name: "signed", path: "/hook", method: "POST", signedWith: "HOOK_SECRET" });

  /** An application that verifies by Stripe's own library, and knows these secrets. */
  const knowing =
    (known: readonly string[], events: Stripe.Event[] = []): RequestListener =>
    (request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const header = String(request.headers["stripe-signature"]);
        for (const secret of known) {
          try {
            events.push(Stripe.webhooks.constructEvent(body, header, secret));
            return void response.writeHead(200).end();
          } catch {
            // The next one may fit.
          }
        }
        // As badly as an application can answer: what it was told stands in it.
        return void response.writeHead(400).end(`${header} ${known.join()}`);
      });
    };

  it("sends each instance one event by each secret, as Stripe's own library takes it", async () => {
    const events: Stripe.Event[] = [];
    const app = knowing(SECRETS, events);
    const { passed, details } = await run([app, app, app], [signed], { HOOK_SECRET: SECRETS.join(", ") });
    expect(details).toEqual(["POST /hook, signed by each of 2 secrets in HOOK_SECRET, answered 200"]);
    expect(passed).toBe(true);
    expect(events).toHaveLength(6);
    // Always the same one, of a type that Stripe never sends.
    expect(new Set(events.map(({ id, type }) => `${id} ${type}`))).toEqual(
      new Set(["evt_smoke_test smoke_test.ping"]),
    );
  });

  it.each([
    ["the newer alone", [SECRETS[0]], 2],
    ["the older alone", [SECRETS[1]], 1],
    ["the whole text for one secret", [SECRETS.join()], 1],
  ])("fails for an application that takes %s", async (_, known, first) => {
    const app = knowing(known);
    const { passed, details, progress } = await run([app, app, app], [signed], {
      HOOK_SECRET: SECRETS.join(),
    });
    expect(passed).toBe(false);
    expect(details).toEqual([
      `POST /hook at instance 0, signed by secret ${first} of 2 in HOOK_SECRET, answered 400, not 200`,
    ]);
    expect(JSON.stringify([details, progress])).not.toMatch(/secret-of-the-two|v1=/);
  });

  it.each([
    ["no such variable", {}],
    ["an empty one", { HOOK_SECRET: " , " }],
  ])("fails where the environment has %s", async (_, variables) => {
    const { passed, details } = await run([well, well, well], [signed], variables);
    expect(passed).toBe(false);
    expect(details[0]).toMatch(/nothing to sign by: .* no HOOK_SECRET/);
  });

  it("says nothing of a secret where nobody answers", async () => {
    const deaf: RequestListener = (request) => request.socket.destroy();
    const { details, progress } = await run([deaf, deaf, deaf], [signed], { HOOK_SECRET: SECRETS[0] });
    expect(details[0]).toMatch(
      /^POST \/hook at instance 0, signed by secret 1 of 1 in HOOK_SECRET, got no answer: /,
    );
    expect(JSON.stringify([details, progress])).not.toMatch(/secret-of-the-two|v1=/);
  });
});

it("does not call nothing a pass of all", async () => {
  const { progress } = await run([well, well, well], []);
  expect(progress).toEqual(["green: no smoke tests are configured"]);
});

it("names what failed as the release's fault, with the way out", () => {
  const checks = [
    { name: "home", passed: true, detail: "", milliseconds: 1 },
    { name: "wallet", passed: false, detail: "answered 500", milliseconds: 1 },
  ];
  const failing = (): void => requireSmoke({ passed: false, checks }, "v3", "green");
  expect(failing).toThrow(Failed);
  expect(failing).toThrow(/^v3 on green failed 1 of 2 smoke tests:\n {2}wallet: answered 500$/);
  expect(() => requireSmoke({ passed: true, checks: checks.slice(0, 1) }, "v3", "green")).not.toThrow();
});

describe("on demand", () => {
  const none = httpSmokeTests(pathsUnder("/nowhere"), { read: () => Promise.resolve({}) });
  it.each([
    ["a site without settings", emptySite("0"), "configure"],
    ["a colour that runs nothing", siteOf({ blue: serving("v1") }), "green runs nothing; what runs is blue"],
  ])("is refused for %s", async (_, site, told) => {
    const asked = smoke(none, site, { act: "smoke", target: "green" }, () => undefined);
    await expect(asked).rejects.toThrow(Refused);
    await expect(asked).rejects.toThrow(told);
  });
});
