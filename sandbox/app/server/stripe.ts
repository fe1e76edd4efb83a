import Stripe from "stripe";

/** Checks a delivery's signature, its age included. Needs no key of an account. */
export function verifyEvent(payload: string, signature: string, secret: string): unknown {
  return Stripe.webhooks.constructEvent(payload, signature, secret);
}

/** How a code of Stripe Connect is exchanged for an account's id; null where `STRIPE_SECRET_KEY` is not set. */
export function codeExchange(): ((code: string) => Promise<string>) | null {
  const key = process.env["STRIPE_SECRET_KEY"] ?? "";
  if (key === "") return null;
  return async (code) => {
    const answer = await new Stripe(key).oauth.token({ grant_type: "authorization_code", code });
    if (answer.stripe_user_id === undefined) throw new Error("Stripe's answer names no account");
    return answer.stripe_user_id;
  };
}
