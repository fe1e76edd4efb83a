/** What {@link finishConnect} needs. */
export interface ConnectOptions {
  /** Exchanges the code for the account's id with Stripe; null where no Stripe key is set. */
  readonly exchange: ((code: string) => Promise<string>) | null;
}

/** What to answer a person whom Stripe sends back. */
export interface ConnectAnswer {
  readonly status: number;
  /** Where to go on, relative to the site. */
  readonly location?: string;
  readonly error?: string;
}

/** Ends the connection of a Stripe account: Stripe sends the person back with a `code`, or with an `error`. */
export async function finishConnect(
  query: URLSearchParams,
  { exchange }: ConnectOptions,
): Promise<ConnectAnswer> {
  if (query.has("error")) return { status: 303, location: "/business/wallet?connected=no" };
  const code = query.get("code") ?? "";
  if (code === "") return { status: 400, error: "the query has neither a code nor an error" };
  if (exchange === null) return { status: 503, error: "STRIPE_SECRET_KEY is not set" };
  try {
    await exchange(code);
  } catch {
    return { status: 502, error: "Stripe does not accept the code" };
  }
  return { status: 303, location: "/business/wallet?connected=yes" };
}
