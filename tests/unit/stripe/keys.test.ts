import { accountWarnings, stripeKeyFaults, type StripeKeys } from "../../../config/stripe-keys";

/* What Stripe's keys say of themselves. Made here, so that none stands in the repository. */

const ACCOUNT = "1AbCdEfGhIjKlMnO";
const key = (kind: string, mode = "live", account = ACCOUNT) =>
  `${kind}_${mode}_5${account}${"x".repeat(82)}`;
const old = (kind: string, mode = "live") => `${kind}_${mode}_${"x".repeat(24)}`;
const signing = `whsec_${"x".repeat(32)}`;
const client = `ca_${"x".repeat(32)}`;

const rulesOf = (keys: StripeKeys, mode: "live" | "test" = "live") =>
  stripeKeyFaults(keys, mode).map(({ name, rule }) => `${name}: ${rule}`);

it.each<[string, StripeKeys, ("live" | "test")?]>([
  ["none", {}],
  [
    "live ones",
    {
      NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk"),
      STRIPE_SECRET_KEY: key("sk"),
      STRIPE_CONNECT_CLIENT_ID: client,
      stripeApiKey: key("rk"),
    },
  ],
  [
    "restricted ones, of before keys held an account",
    { STRIPE_SECRET_KEY: old("rk"), stripeApiKey: old("sk") },
  ],
  [
    "test keys in test mode",
    { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk", "test"), STRIPE_SECRET_KEY: old("rk", "test") },
    "test",
  ],
])("takes %s", (_, keys, mode = "live") => {
  expect(rulesOf(keys, mode)).toEqual([]);
});

it.each<[string, StripeKeys, RegExp, ("live" | "test")?]>([
  [
    "a test key in live mode",
    { STRIPE_SECRET_KEY: key("sk", "test") },
    /^STRIPE_SECRET_KEY: .*sk_live_.*it is one of test mode/,
  ],
  [
    "a live key in test mode",
    { stripeApiKey: key("rk") },
    /^stripeApiKey: .*rk_test_.*it is one of live mode/,
    "test",
  ],
  [
    "a test key for the public",
    { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk", "test") },
    /pk_live_.*one of test mode/,
  ],
  [
    "a signing secret as the secret key",
    { STRIPE_SECRET_KEY: signing },
    /it is the signing secret of a webhook endpoint/,
  ],
  [
    "a secret key for the public",
    { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("sk") },
    /everybody could read it: roll it/,
  ],
  [
    "a restricted key for the public",
    { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("rk") },
    /everybody could read it/,
  ],
  [
    "a publishable key as the secret one",
    { STRIPE_SECRET_KEY: key("pk") },
    /^STRIPE_SECRET_KEY: the secret key, sk_live_/,
  ],
  ["no key at all", { STRIPE_SECRET_KEY: "[production-secret-key]" }, /^STRIPE_SECRET_KEY: the secret key/],
  ["a key with a line's end", { STRIPE_SECRET_KEY: `${key("sk")}\n` }, /^STRIPE_SECRET_KEY: /],
  [
    "an account as the client id",
    { STRIPE_CONNECT_CLIENT_ID: `acct_${ACCOUNT}` },
    /^STRIPE_CONNECT_CLIENT_ID: the client id of Connect, ca_/,
  ],
])("refuses %s", (_, keys, message, mode = "live") => {
  const [first, ...others] = rulesOf(keys, mode);
  expect(first).toMatch(message);
  expect(others).toEqual([]);
  for (const value of Object.values(keys)) expect(first).not.toContain(value);
});

it("names all of them at once", () => {
  const keys = {
    NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: signing,
    STRIPE_SECRET_KEY: signing,
    STRIPE_CONNECT_CLIENT_ID: signing,
    stripeApiKey: signing,
  };
  expect(
    stripeKeyFaults(keys, "live")
      .map(({ name }) => name)
      .sort(),
  ).toEqual(Object.keys(keys).sort());
});

it("warns of keys of different accounts, and says what it compared", () => {
  const keys = {
    NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk"),
    STRIPE_SECRET_KEY: key("sk", "live", "1OtherOtherOther"),
  };
  const [warning, ...others] = accountWarnings(keys);
  expect(others).toEqual([]);
  expect(warning).toContain(`acct_${ACCOUNT} and acct_1OtherOtherOther`);
  expect(warning).toContain("the 16 characters after the 5");
  for (const value of Object.values(keys)) expect(warning).not.toContain(value);
});

it.each<[string, StripeKeys]>([
  [
    "the same account",
    { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk"), STRIPE_SECRET_KEY: key("sk"), stripeApiKey: key("rk") },
  ],
  [
    "a key of before they held one",
    { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk"), STRIPE_SECRET_KEY: old("sk") },
  ],
  ["one key alone", { STRIPE_SECRET_KEY: key("sk") }],
])("warns of nothing for %s", (_, keys) => {
  expect(accountWarnings(keys)).toEqual([]);
});
