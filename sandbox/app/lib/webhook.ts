/** What the wallet needs of one of Stripe's events. */
export interface StripeEvent {
  /** Stripe's id of it, the same at every delivery. */
  readonly id: string;
  readonly type: string;
  /** What the wallet gains by it, in the currency's smallest unit. */
  readonly amount: number;
}

/** Remembers events, and what the wallet gained by them. */
export interface EventLog {
  /**
   * Takes an event in, in one step with what it does to the wallet.
   * @returns false where an event of that id was taken in before; nothing is done then.
   */
  take(event: StripeEvent): Promise<boolean>;
  /** What the wallet holds, in the currency's smallest unit. */
  balance(): Promise<number>;
}

/** What {@link receiveEvent} needs. */
export interface Receiver {
  /** The endpoints' signing secrets with commas between them, of which one is enough; empty where there is none yet. */
  readonly secret: string;
  /** Stripe's check: returns the event in `payload`, and throws where `signature` is not `secret`'s for it. */
  readonly verify: (payload: string, signature: string, secret: string) => unknown;
  readonly events: EventLog;
}

/** What to answer Stripe. */
export interface Receipt {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Takes a delivery of Stripe's webhook in. Stripe delivers at least once, so an event that is known is acknowledged and
 * does nothing; an event that the wallet has no use for is acknowledged too, or Stripe would send it for days.
 */
export async function receiveEvent(
  payload: string,
  signature: string | null,
  { secret, verify, events }: Receiver,
): Promise<Receipt> {
  if (signature === null) return { status: 400, body: { error: "the stripe-signature header is missing" } };
  // Not the sender's fault: Stripe tries again after an answer of 500 and more.
  if (secret === "") return { status: 503, body: { error: "STRIPE_WEBHOOK_SECRET is not set" } };
  let event: StripeEvent;
  try {
    event = eventFrom(verifiedBy(secret.split(","), (one) => verify(payload, signature, one)));
  } catch {
    // What exactly is wrong helps only those who try to forge one.
    return { status: 400, body: { error: "the signature does not fit the body" } };
  }
  const taken = await events.take(event);
  return { status: 200, body: { received: true, id: event.id, duplicate: !taken } };
}

/** What the first secret gives that fits: while a secret is replaced, Stripe signs by the old one and by the new one. */
function verifiedBy(secrets: readonly string[], verify: (secret: string) => unknown): unknown {
  const known = secrets.map((secret) => secret.trim()).filter((secret) => secret !== "");
  let failure: unknown = new Error("there is no signing secret");
  for (const secret of known) {
    try {
      return verify(secret);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Events that put money into the wallet. */
const CREDITS: ReadonlySet<string> = new Set(["payment_intent.succeeded", "charge.succeeded"]);

function eventFrom(value: unknown): StripeEvent {
  const { id, type, data } = value as {
    id?: unknown;
    type?: unknown;
    data?: { object?: { amount?: unknown } };
  };
  if (typeof id !== "string" || typeof type !== "string") throw new Error("an event has an id and a type");
  const amount = data?.object?.amount;
  return { id, type, amount: CREDITS.has(type) && Number.isSafeInteger(amount) ? Number(amount) : 0 };
}
