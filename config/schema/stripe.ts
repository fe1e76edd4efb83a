import { z } from "zod";
import { endpointOrNone } from "../rules/database";
import { integer, ruled } from "../rules/rule";
import { urlPath } from "../rules/web";

/** The group `stripe`: where Stripe sends its events, and what the account behind its keys has to be. */

/** Where Stripe's API is. */
const API = "https://api.stripe.com";

/** The guide's events. */
const EVENTS = [
  "payment_intent.succeeded",
  "payment_intent.payment_failed",
  "payment_method.attached",
  "payment_method.detached",
];

const apiUrl = () =>
  ruled(
    z.string().refine((value) => value !== "" && endpointOrNone().safeParse(value).success),
    "an https:// URL without path, or an http:// one of a private IPv4 address",
    API,
  );

/** A secret or restricted key of Stripe's, or nothing. */
export const stripeKeyOrNone = () =>
  ruled(
    z.string().regex(/^((sk|rk)_(live|test)_[A-Za-z0-9_]{16,250})?$/),
    "a secret or restricted key of Stripe's (rk_live_..., dashboard, Developers, API keys); no whsec_..., which is an endpoint's",
    "< key-file",
  );

/** A signing secret, or nothing. */
export const signingSecretOrNone = () =>
  ruled(
    z.string().regex(/^(whsec_[A-Za-z0-9+/=_-]{16,250})?$/),
    "the signing secret of the webhook endpoint that is adopted (whsec_..., dashboard, Developers, Webhooks); no API key",
    "< secret-file",
  );

const generation = (example: number) => integer(1, 1_000_000, "", example);

const webhook = z.strictObject({
  /** The endpoint in force. A higher number makes another one, with a secret of its own. */
  generation: generation(1).default(1),
  /** A higher generation that is made, and gets no events yet: releases know its secret before it is in force. */
  next: generation(2).optional(),
  /** Lower generations that stay beside it; one that is taken out is deleted at Stripe. */
  keep: ruled(
    z
      .array(generation(1))
      .max(5)
      .refine((all) => new Set(all).size === all.length),
    "a list of at most 5 generations, each of them once",
    "[1]",
  ).default([]),
  /** Endpoint that is there and becomes the stack's own; its signing secret is `stripeWebhookSecret`. */
  adopt: ruled(
    z.string().regex(/^(we_[A-Za-z0-9]{8,64})?$/),
    "the id of a webhook endpoint (we_..., in the URL of its page in the dashboard), or empty for none",
    "we_1Pgc6yB7WZ01zgkWzAudq4eU",
  ).default(""),
  /** Path of the site that Stripe sends events to. */
  path: urlPath("/api/business/wallet/webhook").default("/api/business/wallet/webhook"),
  /** What Stripe sends. */
  events: ruled(
    z
      .array(
        ruled(
          z.string().regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$/),
          "the name of an event of Stripe's; not *, for what nobody handles is answered for nothing",
          "payment_intent.succeeded",
        ),
      )
      .min(1)
      .max(200)
      .refine((all) => new Set(all).size === all.length),
    "a list of 1 to 200 events, each of them once",
    "[payment_intent.succeeded]",
  ).default(EVENTS),
  /** What the dashboard shows beside it; default the site and the stack. */
  description: ruled(
    z.string().regex(/^[^\p{Cc}]{1,200}$/u),
    "a line of 1 to 200 characters",
    "'Wallet of production'",
  ).optional(),
});

/** Every key of the group `stripe`. A stack without `webhook` has no Stripe. */
export const stripe = z.strictObject({
  /** Which keys are meant: with real money, or without. */
  mode: ruled(z.enum(["live", "test"]), "live or test", "live").default("live"),
  /** URL of Stripe's API. */
  apiUrl: apiUrl().default(API),
  /** What an account does that cannot take charges or pay out: `stop` before an endpoint is made, or `tell`. */
  account: ruled(z.enum(["stop", "tell"]), "stop or tell", "stop").default("stop"),
  /** Path of the site that Stripe Connect sends businesses back to. */
  callbackPath: urlPath("/api/business/stripe/callback").default("/api/business/stripe/callback"),
  /** Where Stripe sends events; without it there is no Stripe. */
  webhook: webhook.optional(),
});

/** Its values. */
export type StripeValues = z.infer<typeof stripe>;
