/** What a certificate is ordered with: the text of `order.json`, which the conductor writes and this program reads. */
export interface Order {
  /** Names that the certificate has to hold, all of them. */
  readonly domains: readonly string[];
  /** URL of the ACME server's directory. */
  readonly directory: string;
  /** Where the server may write to about the account; empty for nowhere. */
  readonly email: string;
  /** PEM of the authority that signed the server's own TLS certificate; null where the host trusts it anyway. */
  readonly authority: string | null;
  /** File of the account's private key, which is made where it is not there. */
  readonly accountKey: string;
  /** Directory whose files the front door shows below `/.well-known/acme-challenge/`. */
  readonly challenges: string;
}

/** A challenge of the server's, as far as it is of use here. */
export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly token: string;
}

/** The server's question whether a name is ours. */
export interface Authorization {
  readonly identifier: { readonly value: string };
  readonly status: string;
  readonly challenges: readonly Challenge[];
}

/** What this order needs of an ACME client; `O` is the client's own idea of an order. */
export interface AcmeServer<O> {
  /** Reads the server's directory. */
  hello(): Promise<unknown>;
  /** Makes the account of the key, or finds it. */
  account(email: string): Promise<unknown>;
  order(domains: readonly string[]): Promise<O>;
  authorizations(order: O): Promise<readonly Authorization[]>;
  /** What has to be shown for a challenge. */
  answerTo(challenge: Challenge): Promise<string>;
  /** Says that a challenge may be looked at, and waits for the verdict. */
  verify(challenge: Challenge): Promise<unknown>;
  /** Hands the request in, waits, and returns the certificate with its chain in PEM. */
  certificate(order: O, request: string): Promise<string>;
}

/** Where the answers to challenges are shown. */
export interface ChallengeDoor {
  /** Shows an answer. Throws where the front door does not show it under this name. */
  show(domain: string, token: string, answer: string): Promise<void>;
  /** Shows it no longer. */
  hide(token: string): Promise<void>;
}

/** An order that came to nothing. The message names the step, the reason and the way out. */
export class OrderFailed extends Error {}

/**
 * Orders a certificate by HTTP-01.
 * @param request The certificate request (CSR) in PEM.
 * @param tell Called with a line of progress for each step.
 * @returns the certificate with its chain, in PEM.
 * @throws OrderFailed
 */
export async function obtain<O>(
  order: Order,
  server: AcmeServer<O>,
  door: ChallengeDoor,
  request: string,
  tell: (line: string) => void,
): Promise<string> {
  const { directory, domains } = order;
  await step("reach the ACME server", () => server.hello(), wayOutOf.directory(directory));
  await step("open the account", () => server.account(order.email), wayOutOf.account(order));
  const placed = await step("place the order", () => server.order(domains), wayOutOf.order);
  tell(`ordered at ${directory}: ${domains.join(", ")}`);
  const authorizations = await step("read the order", () => server.authorizations(placed), wayOutOf.order);
  await proveAll(authorizations, server, door, tell);
  const chain = await step(
    "fetch the certificate",
    () => server.certificate(placed, request),
    wayOutOf.order,
  );
  tell("the certificate was issued");
  return chain;
}

const wayOutOf = {
  directory: (url: string): string =>
    `see that ${url} (site.tls.acme.directory) is the server's directory, that this host may connect to it, and that ` +
    "its own certificate is trusted here (site.tls.acme.authority)",
  account: ({ accountKey, email }: Order): string =>
    `see site.tls.acme.email (${email === "" ? "not set" : email}); the account's key is ${accountKey}`,
  order:
    "see what the server says: a limit that resets by itself, or a name that it gives no certificate for",
  domains: (domains: readonly string[]): string =>
    `the DNS records A and AAAA of ${domains.join(", ")} have to point to this host and to nothing else, and its ` +
    "port 80 has to be open to the internet",
};

async function step<T>(name: string, work: () => Promise<T>, wayOut: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new OrderFailed(`could not ${name}: ${reason(error)}\nway out: ${wayOut}`);
  }
}

/** Proves all names at the same time, and tells all that could not be proven. */
async function proveAll<O>(
  authorizations: readonly Authorization[],
  server: AcmeServer<O>,
  door: ChallengeDoor,
  tell: (line: string) => void,
): Promise<void> {
  const faults = await Promise.all(
    authorizations.map(async (authorization) => {
      const domain = authorization.identifier.value;
      try {
        await prove(authorization, server, door);
        tell(`${domain}: proven`);
        return [];
      } catch (error) {
        return [{ domain, why: reason(error) }];
      }
    }),
  );
  const all = faults.flat();
  if (all.length > 0) {
    const lines = all.map(({ domain, why }) => `could not prove that ${domain} is this host: ${why}`);
    throw new OrderFailed(
      [...lines, `way out: ${wayOutOf.domains(all.map(({ domain }) => domain))}`].join("\n"),
    );
  }
}

async function prove<O>(
  authorization: Authorization,
  server: AcmeServer<O>,
  door: ChallengeDoor,
): Promise<void> {
  if (authorization.status === "valid") {
    return;
  }
  const challenge = authorization.challenges.find(({ type }) => type === "http-01");
  if (challenge === undefined) {
    const offered = authorization.challenges.map(({ type }) => type).join(", ");
    throw new Error(`the server offers no challenge by HTTP, only ${offered}`);
  }
  try {
    await door.show(authorization.identifier.value, challenge.token, await server.answerTo(challenge));
    await server.verify(challenge);
  } finally {
    await door.hide(challenge.token);
  }
}

/** A connection that fails has no more than a code at times. */
function reason(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return [code, message].filter((part) => part !== undefined && part !== "").join(" ");
}
