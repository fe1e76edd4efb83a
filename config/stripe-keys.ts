/** The application's variables that lead it to its Stripe account, and the key that this stack asks by. */
export type StripeKeyName =
  "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY" | "STRIPE_SECRET_KEY" | "STRIPE_CONNECT_CLIENT_ID" | "stripeApiKey";

/** With real money, or without. */
export type StripeMode = "live" | "test";

/** Keys by name, of those that are set. */
export type StripeKeys = Readonly<Partial<Record<StripeKeyName, string>>>;

/** What is wrong with one of them. Holds nothing of its value. */
export interface StripeKeyFault {
  readonly name: StripeKeyName;
  /** What the value has to be, as the end of the sentence "it has to be ...". */
  readonly rule: string;
}

const WHERE = "(dashboard, Developers, API keys)";

const KEY = /^(pk|sk|rk)_(live|test)_[A-Za-z0-9_]{16,250}$/;

/** Which kinds of keys each may be, and what they are called. */
const KINDS = {
  NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: {
    kinds: ["pk"],
    form: (mode) => `the publishable key, pk_${mode}_... ${WHERE}`,
  },
  STRIPE_SECRET_KEY: {
    kinds: ["sk", "rk"],
    form: (mode) => `the secret key, sk_${mode}_..., or a restricted one, rk_${mode}_... ${WHERE}`,
  },
  stripeApiKey: {
    kinds: ["sk", "rk"],
    form: (mode) => `a restricted key, rk_${mode}_..., or the secret one, sk_${mode}_... ${WHERE}`,
  },
} as const satisfies Record<
  Exclude<StripeKeyName, "STRIPE_CONNECT_CLIENT_ID">,
  { readonly kinds: readonly string[]; readonly form: (mode: StripeMode) => string }
>;

type ApiKeyName = keyof typeof KINDS;
const API_KEYS = Object.keys(KINDS) as ApiKeyName[];

const CLIENT_ID = /^ca_[A-Za-z0-9]{16,64}$/;

function keyFault(name: ApiKeyName, key: string, mode: StripeMode): string | undefined {
  const { kinds, form } = KINDS[name];
  const rule = form(mode);
  const [, kind, keyMode] = KEY.exec(key) ?? [];
  if (key.startsWith("whsec_")) return `${rule}; it is the signing secret of a webhook endpoint`;
  if (kind === undefined) return rule;
  if (!(kinds as readonly string[]).includes(kind)) {
    return name === "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY"
      ? `${rule}; it is a secret key, and everybody could read it: roll it if it was ever deployed`
      : rule;
  }
  if (keyMode !== mode) return `${rule}; it is one of ${keyMode ?? ""} mode, and stripe.mode is ${mode}`;
  return undefined;
}

/** What is wrong with the keys that are there: kind, form and mode. Pure; messages hold nothing of a key. */
export function stripeKeyFaults(keys: StripeKeys, mode: StripeMode): StripeKeyFault[] {
  const faults: StripeKeyFault[] = API_KEYS.flatMap((name) => {
    const key = keys[name];
    const rule = key === undefined ? undefined : keyFault(name, key, mode);
    return rule === undefined ? [] : [{ name, rule }];
  });
  const client = keys.STRIPE_CONNECT_CLIENT_ID;
  if (client !== undefined && !CLIENT_ID.test(client)) {
    const rule = `the client id of Connect, ca_..., of ${mode} mode (dashboard, Connect, Settings, OAuth)`;
    faults.push({ name: "STRIPE_CONNECT_CLIENT_ID", rule });
  }
  return faults;
}

/**
 * The part of a key that is its account's id without `acct_`, as Stripe has written keys for years: `sk_live_5` and 16
 * characters. Undocumented, so that it only ever warns; an older key has none.
 */
function accountIn(key: string): string | undefined {
  return /^(?:pk|sk|rk)_(?:live|test)_5(1[A-Za-z0-9]{15})[A-Za-z0-9]{32,}$/.exec(key)?.[1];
}

/** Keys that seem to be of different accounts: a sentence for each pair, which says what was compared. */
export function accountWarnings(keys: StripeKeys): string[] {
  const { NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: publishable } = keys;
  const account = publishable === undefined ? undefined : accountIn(publishable);
  return (["STRIPE_SECRET_KEY", "stripeApiKey"] as const).flatMap((name) => {
    const key = keys[name];
    const other = key === undefined ? undefined : accountIn(key);
    if (account === undefined || other === undefined || account === other) return [];
    return [
      `Stripe: NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY and ${name} seem to be of different accounts: compared were the 16 characters after ` +
        `the 5 in each, which in Stripe's keys are the account's id: acct_${account} and acct_${other}`,
    ];
  });
}
