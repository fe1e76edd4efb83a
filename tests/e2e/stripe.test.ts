import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineBundle } from "../../engine/tests/harness";
import { type StoredEndpoint } from "../../sandbox/stripe/endpoints";
import { installStripeMock, StripeMock } from "../../sandbox/stripe/stripe-mock";
import { StripeStandIn } from "../../sandbox/stripe/stand-in";
import { KEY, StripeStack } from "../unit/stripe/support/stack";
import { argumentsDuring } from "./support/argument-watch";

/* The program's component on the embedded engine, each of its calls checked against Stripe's own OpenAPI document. */

jest.setTimeout(300_000);

let directory: string;
let engine: EngineBundle;
let mock: StripeMock;
let standIn: StripeStandIn;
let stack: StripeStack;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "stripe-"));
  engine = await EngineBundle.build();
  mock = await StripeMock.start(await installStripeMock(), join(directory, "mock.sock"));
}, 600_000);
afterAll(async () => {
  engine.remove();
  await mock.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(async () => {
  standIn = await StripeStandIn.start({ key: KEY, mock });
  stack = new StripeStack(engine, standIn);
  await stack.init();
});
afterEach(async () => {
  expect(standIn.unknown).toEqual([]);
  stack.remove();
  await standIn.stop();
});

const only = (): StoredEndpoint => {
  const [one, ...others] = standIn.state.endpoints;
  expect(others).toEqual([]);
  return one!;
};
const NO_CHANGES = "up --yes --skip-preview --expect-no-changes";

it("makes an endpoint, gives its secret to the application, and asks nobody at a second up", async () => {
  const said = await stack.succeed("up --yes");
  const { url, events, description } = stack.wanted;
  expect(only()).toMatchObject({
    url,
    enabled_events: events,
    description,
    status: "enabled",
    livemode: true,
  });
  expect(await stack.signingSecret()).toBe(only().secret);
  expect(said).toContain("https://shop.example.com/api/business/stripe/callback");
  await stack.succeed(NO_CHANGES);
  expect(standIn.calls).toEqual([]);
  for (const text of [said, ...stack.workspace.files(".pulumi").values()])
    for (const secret of [KEY, only().secret]) expect(text).not.toContain(secret);
});

it("changes URL, events and description in place by one call, and the environment not at all", async () => {
  await stack.succeed();
  const { id, secret } = only();
  stack.want({ url: "https://www.example.com/hook", events: ["charge.failed"], description: "another" });
  const preview = await stack.succeed("preview --diff");
  expect(preview).toContain("https://www.example.com/hook");
  expect(preview).not.toContain("environment");
  expect(stack.changes()).toEqual([]);
  await stack.succeed();
  expect(stack.changes()).toEqual([`POST /v1/webhook_endpoints/${id}`]);
  expect(only()).toMatchObject({
    id,
    url: "https://www.example.com/hook",
    enabled_events: ["charge.failed"],
  });
  expect(await stack.signingSecret()).toBe(secret);
});

it("is refused by Stripe's document where an event is none, and changes nothing", async () => {
  await stack.succeed();
  const before = { ...only() };
  stack.want({ events: ["payment_intent.succeded"] });
  expect(await stack.fail()).toMatch(/asked to change webhook endpoint .* answered 400: .*enabled_events/);
  expect(only()).toEqual(before);
});

it("puts right what somebody changed in the dashboard, together with what the config changes", async () => {
  await stack.succeed();
  Object.assign(only(), { enabled_events: ["charge.failed"], status: "disabled" });
  stack.want({ description: "another" });
  await stack.succeed();
  expect(only()).toMatchObject({
    ...{ enabled_events: stack.wanted.events, status: "enabled", description: "another" },
  });
  await stack.succeed(NO_CHANGES);
});

it("tells of an endpoint that was deleted in the dashboard, and makes another one by another generation alone", async () => {
  await stack.succeed();
  const old = only();
  standIn.state.remove(old.id);
  stack.want({ description: "another" });
  for (let time = 0; time < 2; time++) {
    expect(await stack.succeed("up --yes")).toMatch(/was deleted at Stripe, .*stripe\.webhook\.generation 2/);
    expect(stack.changes()).toEqual([]);
  }
  expect(await stack.signingSecret()).toBe(old.secret);

  stack.want({ generation: 2 });
  expect(await stack.fail()).toMatch(/keep it beside generation 2/);
  stack.want({ keep: [1] });
  await stack.succeed();
  expect(await stack.signingSecret()).toBe(`${only().secret},${old.secret}`);
  stack.want({ keep: [] });
  await stack.succeed();
  expect(await stack.signingSecret()).toBe(only().secret);
});

it("adopts an endpoint with its secret from the config, and refuses without, saying how", async () => {
  const one = standIn.state.add({ url: stack.wanted.url, description: "by hand" });
  expect(await stack.fail()).toMatch(
    new RegExp(`webhook endpoint ${one.id} already, .*pulumi config set --secret stripeWebhookSecret`),
  );
  expect(stack.changes()).toEqual([]);
  await stack.secret("adopted", one.secret);
  await stack.succeed();
  expect(only()).toMatchObject({ id: one.id, description: "of a test", enabled_events: stack.wanted.events });
  expect(await stack.signingSecret()).toBe(one.secret);
  await stack.succeed(NO_CHANGES);
});

it("rotates: the next one waits, both secrets are the application's, then it is in force, then the old one goes", async () => {
  await stack.succeed();
  const old = only();
  stack.want({ next: 2 });
  await stack.succeed();
  const [second] = standIn.state.endpoints;
  expect(standIn.state.endpoints.map(({ status }) => status)).toEqual(["disabled", "enabled"]);
  expect(await stack.signingSecret()).toBe(`${second!.secret},${old.secret}`);

  stack.want({ generation: 2, next: 0, keep: [1] });
  expect(await stack.succeed("preview")).not.toContain("environment");
  await stack.succeed();
  expect(stack.changes()).toEqual([`POST /v1/webhook_endpoints/${second!.id}`]);
  expect(standIn.state.endpoints.map(({ status }) => status)).toEqual(["enabled", "enabled"]);

  // The way back of this step, and forward again.
  stack.want({ generation: 1, next: 2, keep: [] });
  await stack.succeed();
  expect(standIn.state.endpoints.map(({ status }) => status)).toEqual(["disabled", "enabled"]);
  stack.want({ generation: 2, next: 0, keep: [1] });
  await stack.succeed();

  stack.want({ keep: [] });
  await stack.succeed();
  expect(stack.changes()).toEqual([`DELETE /v1/webhook_endpoints/${old.id}`]);
  expect(await stack.signingSecret()).toBe(only().secret);
  // The config of before names one that is gone, and stands in the way of nothing.
  stack.want({ keep: [1] });
  await stack.succeed(NO_CHANGES);
});

it("is not destroyed", async () => {
  await stack.succeed();
  const { code, stdout, stderr } = await stack.run("destroy --yes --skip-preview");
  expect(code).not.toBe(0);
  expect(stdout + stderr).toMatch(/stripe-endpoints.*cannot be deleted/);
  expect(only().status).toBe("enabled");
});

it("makes one endpoint, whatever becomes of the answer", async () => {
  for (let times = 0; times < 3; times++) standIn.happen({ to: /^POST/, afterWork: true });
  expect(await stack.fail()).toMatch(/asked to make the webhook endpoint .* did not answer/);
  await stack.succeed();
  expect(await stack.signingSecret()).toBe(only().secret);
});

it.each([
  ["has another key", { status: 401 }, 1, /answered 401: .*the key is unknown, was rolled/],
  ["is asked too much", { status: 429 }, 1, /answered 429: .*wait a minute/],
  // Asked three times in all.
  ["has a fault for good", { status: 500 }, 3, /answered 500: .*status\.stripe\.com/],
])(
  "fails with what to do where Stripe %s, tells no secret, and goes on with the next up",
  async (_, mishap, times, message) => {
    const body = JSON.stringify({ error: { message: `quoted: ${KEY}` } });
    for (let time = 0; time < times; time++) standIn.happen({ to: /^GET .*webhook/, body, ...mishap });
    const said = await stack.fail();
    expect(said).toMatch(message);
    expect(said).toContain("quoted: [secret]");
    expect(stack.workspace.names()).not.toContain("environment");
    await stack.succeed();
    for (const text of [said, ...stack.workspace.files(".pulumi").values()])
      for (const secret of [KEY, only().secret]) expect(text).not.toContain(secret);
  },
);

it("keeps a half-done rotation without a secret in the state, and finishes it", async () => {
  await stack.succeed();
  stack.want({ next: 2 });
  await stack.succeed();
  stack.want({ generation: 3, next: 0, keep: [1] });
  for (let times = 0; times < 3; times++) standIn.happen({ to: /^DELETE/, status: 500 });
  // Generation 2 is dropped before it was ever in force.
  expect(await stack.fail()).toMatch(/asked to delete webhook endpoint .* answered 500/);
  const secrets = standIn.state.endpoints.map(({ secret }) => secret);
  expect(secrets).toHaveLength(3);
  for (const text of stack.workspace.files(".pulumi").values())
    for (const secret of [KEY, ...secrets]) expect(text).not.toContain(secret);
  await stack.succeed();
  expect(standIn.state.endpoints.map(({ metadata }) => metadata["generation"])).toEqual(["3", "1"]);
});

it("takes another key without touching an endpoint", async () => {
  await stack.succeed();
  await stack.secret("key", `${KEY}2`);
  const said = await stack.fail();
  expect(said).toMatch(/answered 401: Invalid API Key provided: \[secret\]/);
  await stack.secret("key", KEY);
  await stack.succeed();
  expect(stack.changes()).toEqual([]);
  await stack.succeed(NO_CHANGES);
});

it("shows key and secrets in no list of arguments", async () => {
  const one = standIn.state.add({ url: stack.wanted.url });
  await stack.secret("adopted", one.secret);
  const shown = await argumentsDuring(KEY, async () => {
    expect(await argumentsDuring(one.secret, () => stack.succeed())).toEqual([]);
  });
  expect(shown).toEqual([]);
});
