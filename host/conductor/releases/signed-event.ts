import { createHmac } from "node:crypto";

/**
 * An event that no product of Stripe's sends, and that changes nothing: an application acknowledges what it has no use for. Its id is
 * always the same, so that a table of events that were seen holds one row of it at most, however often it is sent.
 */
const EVENT = { id: "evt_smoke_test", type: "smoke_test.ping" } as const;

/** A request's body, and the header that proves who sent it. */
export interface SignedEvent {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The secrets in a variable: one, or several with commas between them, as while one is replaced. */
export function secretsIn(value: string): string[] {
  return value
    .split(",")
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");
}

/**
 * Signs the event as Stripe signs: HMAC-SHA256 of time and body (https://docs.stripe.com/webhooks#verify-manually).
 * @param now Milliseconds since 1970; whoever verifies takes a signature of the last five minutes.
 */
export function signedEvent(secret: string, now: number): SignedEvent {
  const created = Math.floor(now / 1000);
  const body = JSON.stringify({
    ...{ id: EVENT.id, object: "event", api_version: null, created, type: EVENT.type },
    ...{ livemode: false, pending_webhooks: 0, request: { id: null, idempotency_key: null } },
    data: { object: { id: "smoke_test", object: "smoke_test" } },
  });
  const signature = createHmac("sha256", secret)
    .update(`${String(created)}.${body}`)
    .digest("hex");
  return { body, headers: { "stripe-signature": `t=${String(created)},v1=${signature}` } };
}
