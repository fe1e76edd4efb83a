import type { EndpointsInputs, EndpointsState } from "../../../components/stripe-endpoints";
import { endpointsProvider } from "../../../components/stripe-endpoints";
import { API_VERSION, type Patience, StripeApi } from "../../../components/stripe-api";
import { providers } from "../../../components/stripe-provider";
import {
  type SettingsInputs,
  type SettingsState,
  settingsProvider,
} from "../../../components/stripe-settings";
import { OPERATIONS } from "../../../sandbox/stripe/endpoints";
import { type Mishap, StripeStandIn } from "../../../sandbox/stripe/stand-in";

/* The providers, against a stand-in that no document checks: that is done on a machine with stripe-mock. */

const KEY = ["sk", "live", "canary0of0the0secret0key"].join("_");
const secretOf = (text: string) => `whsec_${text.padEnd(32, "0")}`;
const URL_ = "https://shop.example.com/api/business/wallet/webhook";
const EVENTS = ["payment_intent.succeeded", "payment_method.attached"];

/** The SDK rests half a second before each further try. */
const patience: Patience = { retries: 0, answerMs: 30_000 };
/** Short enough that a test waits for it, and longer than an answer takes on a busy machine. */
const impatience: Patience = { ...patience, answerMs: 2000 };
const endpoints = endpointsProvider(patience);
const impatientEndpoints = endpointsProvider(impatience);
const settings = settingsProvider(patience);

let standIn: StripeStandIn;
let told: jest.SpyInstance<void, unknown[]>;

beforeEach(async () => {
  standIn = await StripeStandIn.start({ key: KEY });
  told = jest.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(async () => {
  told.mockRestore();
  await standIn.stop();
  expect(standIn.unknown).toEqual([]);
});

const words = () => told.mock.calls.flat().join("\n");
const access = () => ({ apiUrl: standIn.url, apiKey: KEY });

function wanted(changes: Partial<EndpointsInputs> = {}): EndpointsInputs {
  return {
    ...{ ...access(), stack: "shop/production", url: URL_, events: EVENTS, description: "of a test" },
    ...{ generation: 1, next: 0, keep: [], adopt: "", adoptedSecret: "", mode: "live", account: "stop" },
    ...changes,
  };
}

const create = async (changes: Partial<EndpointsInputs> = {}): Promise<EndpointsState> =>
  (await endpoints.create(wanted(changes))).outs!;
const update = async (olds: EndpointsState, changes: Partial<EndpointsInputs>): Promise<EndpointsState> =>
  (await endpoints.update!("id", olds, wanted(changes))).outs!;
const changesBy = async (olds: EndpointsState, changes: Partial<EndpointsInputs>) =>
  (await endpoints.diff!("id", olds, wanted(changes))).changes;
const failureOf = async (work: Promise<unknown>): Promise<Error & { properties?: EndpointsState }> =>
  work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error as Error,
  );
const ids = () => standIn.state.endpoints.map(({ id }) => id);
const made = () =>
  standIn.calls.filter(({ method, path }) => method === "POST" && path === "/v1/webhook_endpoints");

describe("the first endpoint", () => {
  it("is made as the config says, of the SDK's API version, and its secret is kept", async () => {
    const state = await create();
    const [one, ...others] = standIn.state.endpoints;
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      ...{ url: URL_, enabled_events: EVENTS, description: "of a test", status: "enabled" },
      api_version: API_VERSION,
      metadata: { stack: "shop/production", generation: "1" },
    });
    expect(state).toMatchObject({ endpoints: [{ generation: 1, id: one!.id }], signingSecrets: one!.secret });
    expect(await changesBy(state, {})).toBe(false);
    expect(await changesBy(state, { url: "https://other.example.com/x" })).toBe(false);
  });

  it("is not made while another one sends events to the URL", async () => {
    const other = standIn.state.add({ url: URL_ });
    await expect(endpoints.create(wanted())).rejects.toThrow(
      new RegExp(
        `by the webhook endpoint ${other.id} already, .*stripeWebhookSecret.*stripe\\.webhook\\.adopt ${other.id}`,
      ),
    );
    other.status = "disabled";
    expect((await create()).endpoints).toHaveLength(1);
  });

  it.each([
    ["charges", { charges_enabled: false }, /cannot take charges: complete what Stripe asks for/],
    ["payouts", { payouts_enabled: false }, /cannot pay out: /],
    ["both", { charges_enabled: false, payouts_enabled: false }, /cannot take charges and cannot pay out: /],
  ])("is not made for an account without %s, but where that is told only", async (_, account, message) => {
    Object.assign(standIn.state.account, account);
    await expect(endpoints.create(wanted())).rejects.toThrow(message);
    expect(ids()).toEqual([]);
    await create({ account: "tell" });
    expect(words()).toMatch(message);
  });

  it("is made by a key that may not look at the account, which is told", async () => {
    standIn.happen({ to: /account/, status: 403 });
    await create();
    expect(words()).toContain("may not look at its account");
  });
});

describe("a making whose answer was lost", () => {
  const lost: [string, Partial<Mishap>][] = [
    ["timed out", { hang: true }],
    ["was cut off", {}],
  ];
  it.each(lost)("because it %s is made once, and its secret comes by the next up", async (_, mishap) => {
    // The SDK asks once more where the connection was cut.
    const times = mishap.hang === true ? 1 : 2;
    for (let time = 0; time < times; time++) standIn.happen({ to: /^POST/, afterWork: true, ...mishap });
    await expect(impatientEndpoints.create(wanted())).rejects.toThrow(/asked to make the webhook endpoint/);
    expect(ids()).toHaveLength(1);
    // What the config says meanwhile is put right in place, and is no other question to Stripe.
    const state = await create({ url: "https://other.example.com/x", events: ["charge.failed"] });
    expect(ids()).toEqual([state.endpoints[0]!.id]);
    expect(state.signingSecrets).toBe(standIn.state.endpoints[0]!.secret);
  });

  it("because Stripe had a fault in the middle of it, which it repeats, is told with the way out", async () => {
    standIn.happen({ to: /^POST/, afterWork: true, status: 500 });
    await expect(endpoints.create(wanted())).rejects.toThrow("answered 500");
    const [one] = ids();
    await expect(endpoints.create(wanted())).rejects.toThrow(
      new RegExp(`${one!} is generation 1 .*generation 2`),
    );
    standIn.state.endpoints = [];
    await expect(endpoints.create(wanted())).rejects.toThrow(/its making failed at Stripe, .*generation 2`/);
    expect((await create({ generation: 2 })).endpoints).toHaveLength(1);
  });

  it("and that the SDK asks for again is made once", async () => {
    standIn.happen({ to: /^POST/, afterWork: true });
    const state = (await endpointsProvider({ retries: 2, answerMs: 30_000 }).create(wanted())).outs!;
    expect(made().map(({ idempotencyKey }) => idempotencyKey)).toEqual(
      Array(2).fill(expect.stringMatching(/^stripe-webhook-[0-9a-f]{64}$/)),
    );
    expect(state.endpoints.map(({ id }) => id)).toEqual(ids());
  });

  it("a day ago is not made again: its secret is asked for", async () => {
    standIn.happen({ to: /^POST/, afterWork: true, hang: true });
    await failureOf(impatientEndpoints.create(wanted()));
    standIn.passDay();
    const { id, secret } = standIn.state.endpoints[0]!;
    await expect(endpoints.create(wanted())).rejects.toThrow(
      new RegExp(
        `${id} is generation 1 of this stack, and its secret, which Stripe tells once, is not in the state`,
      ),
    );
    expect(ids()).toEqual([id]);
    expect((await create({ adoptedSecret: secret })).signingSecrets).toBe(secret);
    expect(made()).toHaveLength(1);
  });

  it("and which somebody changed meanwhile, or whose key Stripe forgot, leaves no second one", async () => {
    standIn.happen({ to: /^POST/, afterWork: true, hang: true });
    await failureOf(impatientEndpoints.create(wanted()));
    const [one] = standIn.state.endpoints;
    one!.description = "of somebody";
    await expect(endpoints.create(wanted())).rejects.toThrow("is not in the state");
    standIn.passDay();
    standIn.state.endpoints = [{ ...one!, created: Math.floor(Date.now() / 1000) }];
    await expect(endpoints.create(wanted())).rejects.toThrow("is not in the state");
    expect(ids()).toEqual([one!.id]);
  });

  it("is not taken for the answer to a making after a deletion", async () => {
    const state = await create();
    await endpoints.delete!("id", state);
    expect(ids()).toEqual([]);
    // Stripe repeats what it said of the one that is gone.
    await expect(endpoints.create(wanted())).rejects.toThrow(
      /generation 1 .* was made and deleted, .*stripe\.webhook\.generation 2/,
    );
    await expect(endpoints.create(wanted({ events: ["charge.failed"] }))).rejects.toThrow(
      "was made and deleted",
    );
    expect((await create({ generation: 2 })).signingSecrets).not.toBe(state.signingSecrets);
  });
});

describe("an endpoint that is there", () => {
  it("is adopted with its secret: by its id, or as the only one of the URL", async () => {
    const one = standIn.state.add({ url: URL_ });
    for (const adopt of [one.id, ""]) {
      const state = await create({ adopt, adoptedSecret: one.secret });
      expect(state).toMatchObject({ endpoints: [{ generation: 1, id: one.id }], signingSecrets: one.secret });
    }
    expect(one.metadata).toMatchObject({ stack: "shop/production", generation: "1" });
    expect(ids()).toEqual([one.id]);
  });

  it("has to be named where there are several, and to be there", async () => {
    const all = [standIn.state.add({ url: URL_ }), standIn.state.add({ url: URL_ })];
    const adoptedSecret = all[0]!.secret;
    await expect(endpoints.create(wanted({ adoptedSecret }))).rejects.toThrow(
      /several webhook endpoints .*: we_\w+, we_\w+; say which/,
    );
    await expect(endpoints.create(wanted({ adoptedSecret, adopt: "we_12345678" }))).rejects.toThrow(
      /Stripe has no webhook endpoint we_12345678 .*; for https:.* there is we_/,
    );
    standIn.state.endpoints = [];
    await expect(endpoints.create(wanted({ adoptedSecret }))).rejects.toThrow(
      /stripeWebhookSecret is set, and Stripe has no enabled/,
    );
    expect(made()).toEqual([]);
  });

  it("gets the secret that was corrected, or rolled in the dashboard, and an older config does not take it back", async () => {
    const one = standIn.state.add({ url: URL_ });
    const wrong = secretOf("wrong");
    const state = await create({ adoptedSecret: wrong });
    const right = { adoptedSecret: one.secret };
    expect(await changesBy(state, right)).toBe(true);
    const after = await update(state, right);
    expect(after.signingSecrets).toBe(one.secret);
    expect((await update(after, { adoptedSecret: wrong })).signingSecrets).toBe(one.secret);
    expect((await update(after, {})).signingSecrets).toBe(one.secret);
  });

  it("leaves its secret to its own generation", async () => {
    const one = standIn.state.add({ url: URL_ });
    const adopted = { adopt: one.id, adoptedSecret: one.secret };
    const both = await update(await create(adopted), { ...adopted, next: 2 });
    const [newest] = standIn.state.endpoints;
    expect(both.secrets).toEqual([newest!.secret, one.secret]);
    const alone = await update(both, { generation: 2 });
    expect(alone.secrets).toEqual([newest!.secret]);
    expect((await update(alone, { ...adopted, generation: 2, keep: [1] })).secrets).toEqual([newest!.secret]);
    expect(ids()).toEqual([newest!.id]);
  });
});

describe("a rotation", () => {
  it("makes the next endpoint for no events of the site, keeps both, and deletes the old one", async () => {
    const first = await create();
    const both = await update(first, { next: 2 });
    const [second, old] = standIn.state.endpoints;
    expect(second!.enabled_events).not.toEqual(expect.arrayContaining(EVENTS));
    expect(both.signingSecrets).toBe(`${second!.secret},${old!.secret}`);
    // The secrets stay as they are while the next one comes into force: the releases know them already.
    expect(await changesBy(both, { generation: 2, keep: [1] })).toBe(false);
    const alone = await update(both, { generation: 2 });
    expect(alone.signingSecrets).toBe(second!.secret);
    expect(ids()).toEqual([second!.id]);
  });

  it("has a way back from each of its steps", async () => {
    const first = await create();
    const both = await update(first, { next: 2 });
    expect((await update(both, {})).signingSecrets).toBe(first.signingSecrets);
    const again = await failureOf(update(first, { next: 2 }));
    expect(again.message).toContain("generation 2 of this stack's webhook endpoint was made and deleted");
    // After the old one's deletion its generation means nothing any more.
    const third = await update(first, { next: 3 });
    const alone = await update(third, { generation: 3 });
    for (const before of [{ generation: 3, keep: [1] }, { next: 3 }, {}]) {
      expect(await changesBy(alone, before)).toBe(false);
      expect((await update(alone, before)).signingSecrets).toBe(alone.signingSecrets);
    }
    expect(words()).toContain("generation is 1, whose endpoint was deleted: generation 3 stays in force");
  });

  it("does not leave the releases without a secret that an endpoint signs by", async () => {
    const { failures } = await endpoints.check!(wanted(), wanted({ generation: 2 }));
    expect(failures?.[0]?.reason).toMatch(
      /generation 1 alone: keep it beside generation 2 \(`pulumi config set/,
    );
    for (const news of [wanted({ generation: 2, keep: [1] }), wanted({ next: 2 }), wanted()])
      expect((await endpoints.check!(wanted(), news)).failures).toEqual([]);
    expect((await endpoints.check!({} as EndpointsInputs, wanted({ generation: 7 }))).failures).toEqual([]);
  });

  it("that fails at its beginning keeps nothing of what was wanted", async () => {
    const first = await create();
    standIn.happen({ to: /^POST/, status: 429 });
    expect(await failureOf(update(first, { next: 2 }))).not.toHaveProperty("properties");
  });

  it("that breaks off keeps what was done", async () => {
    const both = await update(await create(), { next: 2 });
    standIn.happen({ to: /^DELETE/, status: 500 });
    const { properties } = await failureOf(update(both, { generation: 3, keep: [2] }));
    expect(properties!.endpoints.map(({ generation }) => generation)).toEqual([3, 2, 1]);
    const after = await update(properties!, { generation: 3, keep: [2] });
    expect(after.endpoints.map(({ id }) => id)).toEqual(ids());
    expect(ids()).toHaveLength(2);
  });
});

describe("settings", () => {
  const inputs = (state: EndpointsState, changes: Partial<SettingsInputs> = {}): SettingsInputs => ({
    ...{ ...access(), url: URL_, events: EVENTS, description: "of a test" },
    endpoints: state.endpoints.map((one) => ({ ...one, waiting: one.generation > state.generation })),
    ...changes,
  });
  const applied = async (news: SettingsInputs): Promise<SettingsState> => (await settings.create(news)).outs!;
  const isChanged = async (olds: SettingsState, news: SettingsInputs) =>
    (await settings.diff!("id", olds, news)).changes;
  const readBack = async (state: SettingsState) => (await settings.read!("id", state)).props!;
  const updates = () =>
    standIn.calls.filter(({ method, path }) => method === "POST" && path.includes("/we_"));

  it.each<[string, Partial<SettingsInputs>]>([
    ["URL", { url: "https://other.example.com/x" }],
    ["events", { events: ["charge.failed"] }],
    ["description", { description: "another" }],
  ])("are changed in place: %s", async (_, changes) => {
    const state = await create();
    const news = inputs(state, changes);
    const before = await applied(inputs(state));
    expect(updates()).toEqual([]);
    expect(await isChanged(before, news)).toBe(true);
    await settings.update!("id", before, news);
    const { url, events, description } = news;
    expect(standIn.state.endpoints[0]).toMatchObject({ url, enabled_events: events, description });
    expect(updates()).toHaveLength(1);
    expect(ids()).toEqual([state.endpoints[0]!.id]);
  });

  it("that somebody changed in the dashboard are found, and put right by one call", async () => {
    const state = await create();
    const before = await applied(inputs(state));
    standIn.state.endpoints[0]!.enabled_events.reverse();
    expect(await readBack(before)).toMatchObject({ events: EVENTS });
    standIn.state.endpoints[0]!.enabled_events.reverse();
    expect(await readBack(before)).toEqual(before);
    Object.assign(standIn.state.endpoints[0]!, { status: "disabled", enabled_events: ["charge.failed"] });
    const drifted = await readBack(before);
    expect(drifted).toMatchObject({ events: ["charge.failed"], found: [{ status: "disabled" }] });
    expect(await isChanged(drifted, inputs(state))).toBe(true);
    const { outs } = await settings.update!("id", drifted, inputs(state));
    expect(outs).toEqual(before);
    expect(updates()).toHaveLength(1);
    expect(standIn.state.endpoints[0]).toMatchObject({ status: "enabled", enabled_events: EVENTS });
  });

  it("of an endpoint that waits are off, until its generation is in force", async () => {
    const both = await update(await create(), { next: 2 });
    const waiting = await applied(inputs(both));
    expect(standIn.state.endpoints.map(({ status }) => status)).toEqual(["disabled", "enabled"]);
    expect(await isChanged(waiting, inputs(both))).toBe(false);
    const news = inputs({ ...both, generation: 2 });
    expect(await isChanged(waiting, news)).toBe(true);
    await settings.update!("id", waiting, news);
    expect(standIn.state.endpoints.map(({ status, enabled_events: events }) => ({ status, events }))).toEqual(
      Array(2).fill({ status: "enabled", events: EVENTS }),
    );
  });

  it("of an endpoint that was deleted in the dashboard are told by each up, which makes no other one", async () => {
    const state = await create();
    const before = await applied(inputs(state));
    standIn.state.endpoints = [];
    const gone = await readBack(before);
    expect(gone).toMatchObject({ url: URL_, found: [{ status: "deleted" }] });
    expect(words()).toMatch(
      /was deleted at Stripe, and no event comes by it: another one is made by the next generation .*2/,
    );
    expect(await isChanged(gone, inputs(state))).toBe(true);
    told.mockClear();
    await settings.update!("id", gone, inputs(state));
    expect(words()).toContain("comes to users by a release");
    expect(await changesBy(state, {})).toBe(false);
    expect(ids()).toEqual([]);
  });

  it("tell of another API version than the SDK's", async () => {
    const one = standIn.state.add({ url: URL_, api_version: "2020-08-27" });
    await applied(inputs(await create({ adoptedSecret: one.secret })));
    expect(words()).toContain(
      `sends events of API version 2020-08-27, and this program's SDK is of ${API_VERSION}`,
    );
  });
});

describe("Stripe's API", () => {
  const api = (waits = patience) => new StripeApi(access(), [secretOf("adopted")], waits);

  it("is asked by calls that the stand-in knows, all of them, and no others", async () => {
    const state = await create();
    const { id } = state.endpoints[0]!;
    await api().endpoint(id);
    await api().update(id, { disabled: true });
    await api().remove(id);
    const called = standIn.calls.map(({ method, path }) =>
      `${method} ${path.split("?")[0]}`.replace(/\/we_\w+$/, "/{webhook_endpoint}"),
    );
    expect([...new Set(called)].sort()).toEqual([...OPERATIONS].sort());
  });

  it("has calls that the stand-in does not know, which it counts", async () => {
    const answer = await fetch(`${standIn.url}/v1/customers`, {
      headers: { Authorization: `Bearer ${KEY}` },
    });
    expect(answer.status).toBe(501);
    expect(standIn.unknown.splice(0)).toEqual(["GET /v1/customers"]);
  });

  it("lists endpoints page by page", async () => {
    const all = Array.from({ length: 130 }, (_, index) =>
      standIn.state.add({ url: `https://a.example/${index}` }),
    );
    expect((await api().endpoints()).map(({ id }) => id)).toEqual(all.map(({ id }) => id).reverse());
  });

  it.each<[string, Omit<Mishap, "to">, RegExp]>([
    [
      "refuses the key",
      { status: 401 },
      /answered 401: it happens .*; the key is unknown, was rolled .*STRIPE_SECRET_KEY/,
    ],
    ["refuses the call", { status: 403 }, /answered 403: .*Webhook Endpoints: Write/],
    ["is asked too much", { status: 429 }, /answered 429: .*wait a minute/],
    ["has a fault", { status: 500 }, /answered 500: .*run `pulumi up` again; https:\/\/status\.stripe\.com/],
    ["says nothing", { hang: true }, /did not answer: .*timeout being reached \(2000ms\).*reached from here/],
    ["answers with no JSON", { status: 200, body: "<html>" }, /Invalid JSON/],
  ])("that %s is quoted with what to do", async (_, mishap, message) => {
    standIn.happen({ to: /^GET/, ...mishap });
    await expect(api("hang" in mishap ? impatience : patience).endpoints()).rejects.toThrow(message);
  });

  it("that repeats secrets is quoted without them", async () => {
    const message = `${KEY} ${secretOf("adopted")}`;
    standIn.happen({ to: /^GET/, status: 400, body: JSON.stringify({ error: { message } }) });
    await expect(api().endpoints()).rejects.toThrow("answered 400: [secret] [secret]");
    const other = new StripeApi({ ...access(), apiKey: `${KEY}2` }, [], patience);
    await expect(other.endpoints()).rejects.toThrow("Invalid API Key provided: [secret]");
  });
});

test("the bundle's providers are the ones tested here", () => {
  expect(Object.keys(providers)).toEqual(["endpoints", "settings"]);
});
