import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { allDone, waitFor } from "../../sandbox/processes";
import { SandboxPostgres } from "../../sandbox/postgres";
import { type Delivery, deliveriesOf, newEvent } from "../../sandbox/stripe/deliveries";
import { StripeStandIn } from "../../sandbox/stripe/stand-in";
import { installStripeMock, StripeMock } from "../../sandbox/stripe/stripe-mock";
import { worldNamed } from "../../sandbox/world";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Stripe's events at a real Next.js application while its endpoint and its signing secret are replaced: the endpoint made by the
 * stack, each event sent as Stripe sends it, to every endpoint that is on, through the front door.
 */

jest.setTimeout(4 * SLOW_MS);

/** Made here, so that none stands in the repository. */
const KEY = ["sk", "test", "0123456789abcdef0123"].join("_");

/** Pause between two events, in milliseconds. */
const EVENT_MS = 250;

/** Longest wait for events, or for answers to them, in seconds. */
const WAIT_SECONDS = 120;

/** What each event puts into the wallet. */
const AMOUNT = 7;

let directory: string;
let mock: StripeMock;
let standIn: StripeStandIn;
let world: TestWorld;
let postgres: SandboxPostgres;
let stream: Stream;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "stripe-rotation-"));
  const startStripe = async (): Promise<void> => {
    mock = await StripeMock.start(await installStripeMock(), join(directory, "mock.sock"));
    standIn = await StripeStandIn.start({ key: KEY, mock });
  };
  [world] = await allDone([TestWorld.create("stripe-rotation", { application: "next" }), startStripe()]);
  await world.source.addTag("v0.9.9", (source) => {
    // Its types are no part of what is tried, and each colour's build would check them.
    const file = join(source, "next.config.mjs");
    const text = readFileSync(file, "utf8");
    const edited = text.replace("poweredByHeader: false,", "$& typescript: { ignoreBuildErrors: true },");
    expect(edited).not.toBe(text);
    writeFileSync(file, edited);
  });
  const postgresDirectory = mkdtempSync(join(tmpdir(), "stripe-rotation-postgres-"));
  postgres = await SandboxPostgres.start(worldNamed(), {
    directory: postgresDirectory,
    address: world.host.gateway,
  });
  await world.project.setAll(
    {
      ...{ "stripe.mode": "test", "stripe.apiUrl": standIn.url, "stripe.webhook.generation": "1" },
      "site.drainSeconds": "5",
      // What is tried is who knows which secret, not how fast an application begins beside a build.
      ...{ "application.instances": "1", "application.health.deadlineSeconds": "300" },
    },
    { "variables.DATABASE_URL": postgres.url, stripeApiKey: KEY },
  );
}, 2 * SLOW_MS);

afterAll(async () => {
  await stream.stop();
  await world.remove();
  await postgres.remove();
  await standIn.stop();
  await mock.stop();
  rmSync(directory, { recursive: true });
  expect(standIn.unknown).toEqual([]);
});

/** An answer to a delivery. */
interface Receipt {
  readonly event: string;
  readonly status: number;
  readonly duplicate: boolean;
}

/** Events, one after the other, each sent to all endpoints that listen for it when it comes about. */
class Stream {
  readonly receipts: Receipt[] = [];
  readonly events = new Set<string>();
  private going = true;
  private readonly ended: Promise<void>;

  constructor() {
    this.ended = this.run();
  }

  /** Waits until so many further events were sent. */
  async further(count: number): Promise<void> {
    const wanted = this.events.size + count;
    await waitFor(`${String(count)} further events`, WAIT_SECONDS, () =>
      this.events.size >= wanted ? true : undefined,
    );
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.ended;
  }

  private async run(): Promise<void> {
    const sent: Promise<void>[] = [];
    while (this.going) {
      const event = newEvent("payment_intent.succeeded", { object: "payment_intent", amount: AMOUNT });
      this.events.add(event.id);
      for (const delivery of deliveriesOf(event, standIn.state.endpoints))
        sent.push(this.send(event.id, delivery));
      await pause(EVENT_MS);
    }
    await Promise.all(sent);
  }

  private async send(event: string, delivery: Delivery): Promise<void> {
    const { status, body } = await post(delivery);
    const { duplicate = false } = (status === 200 ? JSON.parse(body) : {}) as { duplicate?: boolean };
    this.receipts.push({ event, status, duplicate });
  }
}

/** Sends a delivery to the site, whose name resolves nowhere. */
async function post({ url, headers, body }: Delivery): Promise<{ status: number; body: string }> {
  const { address, host = "", tls } = world.loadTarget();
  const { pathname, hostname } = new URL(url);
  expect(hostname).toBe(host);
  const options = {
    host: address,
    servername: host,
    ca: tls.ca,
    agent: false,
    method: "POST",
    path: pathname,
  };
  const outgoing = request({ ...options, headers: { host, ...headers } }).end(body);
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of incoming.setEncoding("utf8")) text += String(chunk);
  return { status: incoming.statusCode ?? 0, body: text };
}

const statuses = () =>
  standIn.state.endpoints.map(({ metadata, status }) => `${metadata["generation"] ?? ""} ${status}`);

test("the first release knows the secret of the endpoint that the stack made with it", async () => {
  const { stdout } = await world.up({ blueVersion: "v0.9.9" });
  expect(statuses()).toEqual(["1 enabled"]);
  expect(stdout).toContain(`https://${world.domain}/api/business/stripe/callback`);
  stream = new Stream();
  // Sent is not answered yet.
  await waitFor("answers", WAIT_SECONDS, () => (stream.receipts.length >= 10 ? true : undefined));
  expect(new Set(stream.receipts.map(({ status }) => status))).toEqual(new Set([200]));
});

test("the next endpoint is made, and both secrets go to the other colour", async () => {
  await world.setGroupValue("stripe.webhook.next", "2");
  await world.up({ greenVersion: "v0.9.9" });
  expect(statuses()).toEqual(["2 disabled", "1 enabled"]);
  await stream.further(10);
});

test("promoted, the other colour takes what the old endpoint sends", async () => {
  await world.up({ stable: "green" });
  expect((await world.status()).traffic).toMatchObject({ stable: "green" });
  await stream.further(10);
});

test("in force, the new endpoint sends what the old one does, and each event counts once", async () => {
  await world.project.pulumi(["config", "rm", "--path", "stripe.webhook.next"]);
  await world.setGroupValue("stripe.webhook.generation", "2");
  await world.setGroupValue("stripe.webhook.keep[0]", "1");
  const before = stream.receipts.length;
  // The colour that users left knows the old secret alone: nobody's turn to stand in, nor to be built once more.
  await world.up({ blueVersion: "" });
  expect(statuses()).toEqual(["2 enabled", "1 enabled"]);
  await waitFor("events that both endpoints sent", WAIT_SECONDS, () =>
    stream.receipts.slice(before).filter(({ duplicate }) => duplicate).length >= 9 ? true : undefined,
  );
});

test("the old endpoint goes", async () => {
  await world.project.pulumi(["config", "rm", "--path", "stripe.webhook.keep[0]"]);
  await world.up();
  expect(statuses()).toEqual(["2 enabled"]);
  await stream.further(10);
});

test("no event was refused in all this, and none counted twice", async () => {
  await stream.stop();
  expect(stream.receipts.filter(({ status }) => status !== 200)).toEqual([]);
  const taken = stream.receipts.filter(({ duplicate }) => !duplicate).map(({ event }) => event);
  expect(new Set(taken)).toEqual(stream.events);
  expect(taken).toHaveLength(stream.events.size);
  const [rows, sum] = postgres.asSuperuser("select count(*), sum(amount) from stripe_events").split("|");
  expect([Number(rows), Number(sum)]).toEqual([stream.events.size, AMOUNT * stream.events.size]);
});

test("a release that knows neither secret of an endpoint would have been seen", async () => {
  const [endpoint] = standIn.state.endpoints;
  const event = newEvent("payment_intent.succeeded", { object: "payment_intent", amount: AMOUNT });
  const strange = { ...endpoint!, secret: `whsec_${"0".repeat(32)}` };
  for (const delivery of deliveriesOf(event, [strange])) expect((await post(delivery)).status).toBe(400);
});
