import { Agent } from "node:https";
import { rootCertificates } from "node:tls";
import { setTimeout as pause } from "node:timers/promises";
import { axios, Client, type Order as PlacedOrder } from "acme-client";
import type { AcmeServer, Challenge } from "./order";

/** Longest wait for one answer of the server, in milliseconds. */
const TIMEOUT_MS = 30_000;

/** How often a server that does not answer, or says that it is busy, is asked in all. */
const ATTEMPTS = 3;

/** Pause before it is asked again, and the longest that it may ask for itself, in seconds. */
const PAUSE_SECONDS = { usual: 1, longest: 60 };

/** How often a verdict is asked for, at first and at last, in milliseconds: some two minutes in all. */
const VERDICT = { backoffAttempts: 20, backoffMin: 500, backoffMax: 8000 };

/**
 * The ACME server as `acme-client` speaks to it. Its settings hold for the whole process, which is why an order has one of
 * its own.
 * @param authority PEM of one more authority that the server's own TLS certificate may come from.
 * @param wait Ends after so many milliseconds.
 */
export function acmeServer(
  directoryUrl: string,
  accountKey: string,
  authority: string | null,
  wait: (milliseconds: number) => Promise<unknown> = pause,
): AcmeServer<PlacedOrder> {
  axios.defaults.timeout = TIMEOUT_MS;
  // The client's own handler of faults loses why a connection failed.
  axios.interceptors.response.clear();
  axios.interceptors.response.use(null, (fault: Fault) => askAgain(fault, wait));
  if (authority !== null) {
    axios.defaults.httpsAgent = new Agent({ ca: [...rootCertificates, authority] });
  }
  const client = new Client({ directoryUrl, accountKey, ...VERDICT });
  return {
    hello: () => client.getTermsOfServiceUrl(),
    account: (email) =>
      email === "" ? quietAccount(client) : client.createAccount({ ...TERMS, contact: [`mailto:${email}`] }),
    order: (domains) => client.createOrder({ identifiers: domains.map((value) => ({ type: "dns", value })) }),
    authorizations: (order) => client.getAuthorizations(order),
    answerTo: (challenge) => client.getChallengeKeyAuthorization(asOffered(challenge)),
    verify: async (challenge) => {
      await client.completeChallenge(asOffered(challenge));
      await client.waitForValidStatus(asOffered(challenge));
    },
    certificate: async (order, request) => client.getCertificate(await client.finalizeOrder(order, request)),
  };
}

/** Whoever sets `site.tls.acme` agrees to the server's terms. */
const TERMS = { termsOfServiceAgreed: true };

/** An account without a mail address. To tell one that is there nothing new is a fault to a server, so it is only found. */
async function quietAccount(client: Client): Promise<unknown> {
  try {
    return await client.createAccount({ onlyReturnExisting: true });
  } catch {
    // None yet, or a fault that the next request meets, too.
    return client.createAccount(TERMS);
  }
}

/** An answer that is no success, or none at all. */
interface Fault {
  readonly config?: object & { readonly attempts?: number };
  readonly response?: Answer;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Asks a server again that did not answer or is busy. Any other answer is the client's to read. */
async function askAgain(fault: Fault, wait: (milliseconds: number) => Promise<unknown>): Promise<unknown> {
  const { config, response } = fault;
  const isBusy = response === undefined || response.status === 429 || response.status >= 500;
  const attempts = config?.attempts ?? 1;
  if (isBusy && attempts < ATTEMPTS) {
    const asked = Number(response?.headers["retry-after"]);
    await wait(1000 * (asked > 0 ? Math.min(asked, PAUSE_SECONDS.longest) : PAUSE_SECONDS.usual));
    return axios.request({ ...config, attempts: attempts + 1 } as object);
  }
  if (response === undefined) {
    throw fault as Error;
  }
  return response;
}

type OfferedChallenge = Parameters<Client["completeChallenge"]>[0];

/** A challenge is handed back as it came: the client reads its URL, type and token. */
function asOffered(challenge: Challenge): OfferedChallenge {
  return challenge as OfferedChallenge;
}
