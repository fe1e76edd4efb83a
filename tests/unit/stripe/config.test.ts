import { validate } from "../../../config";
import { changed, faultsOf, machineWith, rawConfig, settings } from "../support/configuration";

/* What the configuration may say about Stripe. */

const key = (kind: string, mode = "live") => `${kind}_${mode}_${"x".repeat(24)}`;
const signing = `whsec_${"x".repeat(32)}`;

function stripe(
  webhook: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { ...settings(), variables: { STRIPE_SECRET_KEY: key("sk") }, stripe: { webhook }, ...more };
}

const specOf = (values: Record<string, unknown>) => validate(rawConfig(values), machineWith()).stripe;
const textsOf = (values: Record<string, unknown>) =>
  faultsOf(values).map((one) => `${one.key}: ${one.rule} | ${one.remedy}`);

it("is nothing without a webhook, whatever the variables are", () => {
  expect(
    specOf({ ...settings(), variables: { STRIPE_WEBHOOK_SECRET: signing, STRIPE_SECRET_KEY: "x" } }),
  ).toBeNull();
});

it("has the guide's values by default", () => {
  expect(specOf(stripe())).toEqual({
    ...{ apiUrl: "https://api.stripe.com", apiKey: key("sk"), mode: "live", account: "stop" },
    url: "https://vehicleservice.test/api/business/wallet/webhook",
    events: [
      ...["payment_intent.succeeded", "payment_intent.payment_failed"],
      ...["payment_method.attached", "payment_method.detached"],
    ],
    description: "vehicleservice (test), vehicleservice.test",
    stack: "vehicleservice/test",
    ...{ generation: 1, next: 0, keep: [], adopt: "", adoptedSecret: "", warnings: [] },
    redirectUri: "https://vehicleservice.test/api/business/stripe/callback",
  });
});

it("asks by the key with fewer rights, where there is one", () => {
  expect(specOf(stripe({}, { stripeApiKey: key("rk") }))?.apiKey).toBe(key("rk"));
  const alone = stripe({}, { stripeApiKey: key("rk"), variables: {} });
  expect(specOf(alone)?.apiKey).toBe(key("rk"));
});

it("takes what a rotation needs, and texts as numbers", () => {
  const spec = specOf(stripe({ generation: "2", next: "3", keep: ["1"] }));
  expect(spec).toMatchObject({ generation: 2, next: 3, keep: [1] });
});

it.each<[string, Record<string, unknown>, RegExp]>([
  [
    "no key",
    stripe({}, { variables: {} }),
    /^vehicleservice:variables\.STRIPE_SECRET_KEY: set, or the secret stripeApiKey/,
  ],
  [
    "a test key",
    stripe({}, { variables: { STRIPE_SECRET_KEY: key("sk", "test") } }),
    /STRIPE_SECRET_KEY: .*one of test mode/,
  ],
  [
    "a signing secret as key",
    stripe({}, { stripeApiKey: signing }),
    /^vehicleservice:stripeApiKey: .*no whsec_/,
  ],
  [
    "a second owner of the secret",
    stripe({}, { variables: { STRIPE_SECRET_KEY: key("sk"), STRIPE_WEBHOOK_SECRET: signing } }),
    /variables\.STRIPE_WEBHOOK_SECRET: not set beside stripe\.webhook: .*stripeWebhookSecret \| pulumi config rm --path/,
  ],
  [
    "an adoption without its secret",
    stripe({ adopt: "we_1234567890" }),
    /^vehicleservice:stripeWebhookSecret: the signing secret of we_1234567890/,
  ],
  [
    "an API key as signing secret",
    stripe({}, { stripeWebhookSecret: key("sk") }),
    /^vehicleservice:stripeWebhookSecret: the signing secret .*no API key/,
  ],
  [
    "a next one that is not higher",
    stripe({ generation: 2, next: 2 }),
    /stripe\.webhook\.next: a generation above 2, .*\| pulumi config rm --path stripe\.webhook\.next/,
  ],
  ["a kept one that is not lower", stripe({ keep: [1] }), /stripe\.webhook\.keep: generations below 1/],
  ["a kept one twice", stripe({ generation: 2, keep: [1, 1] }), /stripe\.webhook\.keep: .*each of them once/],
  ["generation 0", stripe({ generation: 0 }), /stripe\.webhook\.generation: a whole number from 1/],
  [
    "an endpoint's URL for its id",
    stripe({ adopt: "https://x.example/we_1234567890" }),
    /stripe\.webhook\.adopt: the id of a webhook endpoint/,
  ],
  ["a path that is none", stripe({ path: "wallet/webhook" }), /stripe\.webhook\.path: /],
  [
    "a path that moves with the canary",
    stripe({ path: "/hook" }),
    /stripe\.webhook\.path: a path that is below one of site\.stablePaths/,
  ],
  ["all events", stripe({ events: ["*"] }), /stripe\.webhook\.events\[0\]: the name of an event/],
  ["no event", stripe({ events: [] }), /stripe\.webhook\.events: a list of 1 to 200/],
  [
    "a URL with a path",
    changed(stripe(), ["stripe", "apiUrl"], "https://api.stripe.com/v1"),
    /stripe\.apiUrl: an https:\/\/ URL without path/,
  ],
  [
    "a URL that everybody could listen to",
    changed(stripe(), ["stripe", "apiUrl"], "http://api.stripe.com"),
    /stripe\.apiUrl/,
  ],
  ["another mode", changed(stripe(), ["stripe", "mode"], "sandbox"), /stripe\.mode: live or test/],
  ["a key that there is not", stripe({ urls: [] }), /stripe\.webhook\.urls: one of the keys generation/],
])("refuses %s", (_, values, message) => {
  expect(textsOf(values)).toEqual([expect.stringMatching(message)]);
});

it("names all faults at once, and no secret in any", () => {
  const bad = {
    NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("sk"),
    STRIPE_SECRET_KEY: signing,
    STRIPE_CONNECT_CLIENT_ID: "not-an-id",
    STRIPE_WEBHOOK_SECRET: signing,
  };
  const texts = textsOf(stripe({ keep: [7], path: "/x" }, { variables: bad })).join("\n");
  for (const name of [...Object.keys(bad), "webhook.keep", "webhook.path"]) expect(texts).toContain(name);
  for (const value of Object.values(bad)) expect(texts).not.toContain(value);
});
