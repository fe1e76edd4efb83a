import { randomBytes } from "node:crypto";
import Stripe from "stripe";

import type { StoredEndpoint } from "./endpoints";

/** What happened, as Stripe tells of it: https://docs.stripe.com/api/events/object. */
export interface StripeEvent {
  readonly id: string;
  readonly object: "event";
  readonly type: string;
  readonly created: number;
  readonly data: { readonly object: Readonly<Record<string, unknown>> };
}

/** A POST to a site. */
export interface Delivery {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An event that is new. */
export function newEvent(type: string, object: Readonly<Record<string, unknown>>): StripeEvent {
  const id = `evt_1${randomBytes(12).toString("hex")}`;
  return { id, object: "event", type, created: Math.floor(Date.now() / 1000), data: { object } };
}

/**
 * What Stripe sends of an event: to each endpoint that is on and listens for it, signed by that endpoint's secret, now:
 * https://docs.stripe.com/webhooks/signatures.
 */
export function deliveriesOf(event: StripeEvent, endpoints: readonly StoredEndpoint[]): Delivery[] {
  return endpoints
    .filter(({ status, enabled_events }) => status === "enabled" && enabled_events.includes(event.type))
    .map(({ url, secret, api_version }) => {
      const body = JSON.stringify({ ...event, api_version });
      const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret });
      return { url, headers: { "content-type": "application/json", "stripe-signature": signature }, body };
    });
}
