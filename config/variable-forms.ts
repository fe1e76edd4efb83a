import { parseDatabaseUrl } from "./database-url";
import { domain, mailOrNone } from "./rules/web";
import { KeyFault } from "./ssh-keys";

/**
 * What a variable of the application may be, one function a kind of value. Each returns what the value has to be, as the
 * end of the sentence "it has to be ...", where it is not that; undefined where it is. No answer holds a part of the value.
 */
export type Form = (value: string) => string | undefined;

/** Everything that keeps a rule without exceptions worth a word of their own. */
const form =
  (rule: string, keeps: (value: string) => boolean): Form =>
  (value) =>
    keeps(value) ? undefined : rule;

/** One of some words. */
export const oneOf = (...words: readonly string[]): Form =>
  form(words.join(" or "), (value) => words.includes(value));

/** A switch. */
export const flagText = oneOf("true", "false");

/** A whole number. */
export function wholeNumberText(smallest: number, largest: number, unit: string): Form {
  const isInRange = (value: string) => Number(value) >= smallest && Number(value) <= largest;
  return form(
    `a whole number from ${String(smallest)} to ${String(largest)} (${unit})`,
    (value) => /^(0|[1-9]\d{0,9})$/.test(value) && isInRange(value),
  );
}

/** A sum of money, with two decimals at the most. */
export const amount = (smallest: number): Form =>
  form(
    `a sum from ${String(smallest)} to 1000000000, with a point and two digits at the most`,
    (value) =>
      /^(0|[1-9]\d{0,9})(\.\d{1,2})?$/.test(value) && Number(value) >= smallest && Number(value) <= 1e9,
  );

/** A short word, as it stands in another service's lists. */
export const label = form("1 to 64 of A-Z, a-z, 0-9, _, . and -", (value) => /^[\w.-]{1,64}$/.test(value));

/** Mail address, its domain in lower case. */
export const mail = form(
  "a mail address with its domain in lower case",
  (value) => value !== "" && mailOrNone().safeParse(value).success,
);

/** What is built on a URL is built by putting a path behind it. */
export const siteOrigin: Form = (value) => {
  const rule = "the site's URL, https:// and a name: without a path, and without / at its end";
  if (!/^https:\/\/[^/?#@:]+$/.test(value)) return rule;
  return domain().safeParse(value.slice("https://".length)).success ? undefined : rule;
};

/** A key of Stripe's API in live mode, of the kinds that its first letters name: `sk`, `rk`, `pk`. */
export function stripeKey(what: string, ...kinds: readonly ("sk" | "rk" | "pk")[]): Form {
  const rule = `${what} of live mode (${kinds.map((kind) => `${kind}_live_...`).join(" or ")}; Stripe's dashboard, Developers, API keys)`;
  return (value) => {
    const [, kind = "", mode = "", rest = ""] = /^([a-z]+)_(?:(live|test)_)?(.*)$/s.exec(value) ?? [];
    if (mode === "test") return `${rule}; it is a key of test mode`;
    if (kind === "whsec") return `${rule}; it is the signing secret of a webhook, STRIPE_WEBHOOK_SECRET`;
    const isKind = kinds.some((known) => known === kind);
    return isKind && mode === "live" && /^[A-Za-z0-9]{10,250}$/.test(rest) ? undefined : rule;
  };
}

/** Client id of Connect. It does not tell its mode. */
export const connectClientId = form(
  "the client id of Connect in live mode (ca_...; Stripe's dashboard, Connect settings)",
  (value) => /^ca_[A-Za-z0-9]{10,250}$/.test(value),
);

/** Signing secret of a webhook's endpoint. */
export const webhookSecret = form(
  "the signing secret of the webhook's endpoint (whsec_...; Stripe's dashboard, Developers, Webhooks)",
  (value) => /^whsec_[A-Za-z0-9+/=]{16,250}$/.test(value),
);

/** Key of the mail service Resend. */
export const resendKey = form("a key of Resend's (re_...)", (value) =>
  /^re_[A-Za-z0-9_]{8,250}$/.test(value),
);

/** Where Sentry takes errors: https://KEY@HOST/PROJECT, KEY being a public one. */
export const sentryDsn = form(
  "a DSN of Sentry's, https://KEY@HOST/PROJECT (project settings, Client Keys)",
  (value) => {
    const [, host = ""] =
      /^https:\/\/[A-Za-z0-9]{16,64}@([a-z0-9.-]+)(?::\d{1,5})?(?:\/[\w-]+)*\/\d{1,20}$/.exec(value) ?? [];
    return domain().safeParse(host).success;
  },
);

/** Fewest different bytes that a random key of 16 bytes or more has: of 10^11 such keys not one has fewer by chance. */
const DIFFERENT_BYTES = 8;

/** A key typed by hand: one letter again and again, or a word repeated. */
const looksRandom = (key: Buffer) => new Set(key).size >= DIFFERENT_BYTES;

/** 32 random bytes in base64. Told with their number where that is wrong: a key of 31 bytes looks much the same. */
export const base64Key: Form = (value) => {
  const rule = "32 random bytes in base64, 44 characters (openssl rand -base64 32)";
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value) || value.length % 4 !== 0) return rule;
  const key = Buffer.from(value, "base64");
  if (key.length !== 32) return `${rule}; these are ${String(key.length)} bytes`;
  return looksRandom(key) ? undefined : `${rule}; these are hardly random`;
};

/** Random bytes in hexadecimal, 16 of them or more. */
export const hexKey: Form = (value) => {
  const rule = "32 random bytes in hexadecimal, 64 of 0-9 and a-f, at least 32 (openssl rand -hex 32)";
  if (!/^(?:[0-9a-f]{2}){16,128}$/i.test(value)) return rule;
  return looksRandom(Buffer.from(value, "hex")) ? undefined : `${rule}; these are hardly random`;
};

/** The application's own connection: its requests are short, so that a transaction pooler will do. */
export const databaseUrlText: Form = (value) => {
  try {
    parseDatabaseUrl(value, { pooled: true });
    return undefined;
  } catch (error) {
    if (!(error instanceof KeyFault)) throw error;
    return error.message;
  }
};

/** What {@link supabaseKeyFaults} looks at, with what stands beside it. Here: is it there at all? */
export const present = (rule: string): Form => form(rule, (value) => value !== "");
