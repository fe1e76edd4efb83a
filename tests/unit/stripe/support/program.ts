import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { type StripeSpec, StripeWebhook } from "../../../../components/stripe-webhook";

/**
 * A program with Stripe's webhook and a stand-in for the application's environment, another one for other secrets: what is
 * wanted is in `../spec.json`, but for the secrets `key` and `adopted` of the config.
 */

/** What a test says about it. */
export type Wanted = Omit<StripeSpec, "apiKey" | "adoptedSecret">;

const spec = JSON.parse(readFileSync("../spec.json", "utf8")) as Wanted;
const config = new pulumi.Config();
const stripe = new StripeWebhook("stripe", {
  ...spec,
  apiKey: config.requireSecret("key"),
  adoptedSecret: config.getSecret("adopted") ?? "",
});
new random.RandomId("environment", { byteLength: 2, keepers: { ...stripe.variables } });

export const { redirectUri, endpoints, found } = stripe;
export const secret = stripe.variables["STRIPE_WEBHOOK_SECRET"];
