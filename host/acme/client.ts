import { Agent } from "node:https";
import { rootCertificates } from "node:tls";
import { axios, Client, type Order as PlacedOrder } from "acme-client";
import type { AcmeServer, Challenge } from "./order";

/** Longest wait for one answer of the server, in milliseconds. */
const TIMEOUT_MS = 30_000;

/** A server that does not answer, or says "later", is asked twice more, this many seconds apart and then twice that. */
const RETRIES = { retryMaxAttempts: 2, retryDefaultDelay: 1 };

/** How often a verdict is asked for, at first and at last, in milliseconds: some two minutes in all. */
const VERDICT = { backoffAttempts: 20, backoffMin: 500, backoffMax: 8000 };

/**
 * The ACME server as `acme-client` speaks to it. Its settings hold for the whole process, which is why an order has one of
 * its own.
 * @param authority PEM of one more authority that the server's own TLS certificate may come from.
 */
export function acmeServer(
  directoryUrl: string,
  accountKey: string,
  authority: string | null,
): AcmeServer<PlacedOrder> {
  const { defaults } = axios;
  defaults.timeout = TIMEOUT_MS;
  Object.assign((defaults as unknown as { acmeSettings: object }).acmeSettings, RETRIES);
  if (authority !== null) {
    defaults.httpsAgent = new Agent({ ca: [...rootCertificates, authority] });
  }
  const client = new Client({ directoryUrl, accountKey, ...VERDICT });
  return {
    hello: () => client.getTermsOfServiceUrl(),
    account: (email) =>
      client.createAccount({
        termsOfServiceAgreed: true,
        ...(email === "" ? {} : { contact: [`mailto:${email}`] }),
      }),
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

type OfferedChallenge = Parameters<Client["completeChallenge"]>[0];

/** A challenge is handed back as it came: the client reads its URL, type and token. */
function asOffered(challenge: Challenge): OfferedChallenge {
  return challenge as OfferedChallenge;
}
