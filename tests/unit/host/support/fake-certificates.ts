import { KeyObject, webcrypto } from "node:crypto";
import { cryptoProvider, SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import type { Order } from "../../../../host/acme/order";
import { Failed } from "../../../../host/conductor/faults";
import {
  readPair,
  type CertificateFacts,
  type Pair,
} from "../../../../host/conductor/certificates/certificate";
import type { CertificateHost } from "../../../../host/conductor/certificates/keeper";
import {
  CertificateStore,
  currentFiles,
  readPairIn,
  writePair,
} from "../../../../host/conductor/certificates/store";
import { CommandFailed } from "../../../../host/conductor/system/command";

const DAY_MS = 24 * 3600 * 1000;

cryptoProvider.set(webcrypto);

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Makes a certificate that is signed by itself, with its key. It lasts from whole second to whole second. */
export async function makePair(
  domains: readonly string[],
  { from = new Date(), days = 90, issuer = "Test CA" }: { from?: Date; days?: number; issuer?: string } = {},
): Promise<Pair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${issuer}`,
    notBefore: from,
    notAfter: new Date(from.getTime() + days * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new SubjectAlternativeNameExtension(domains.map((value) => ({ type: "dns" as const, value }))),
    ],
  });
  const key = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" });
  return { chain: `${certificate.toString("pem")}\n`, key: key.toString() };
}

/** An ACME server and a front door without network and Nginx; the store is a real one on disk. */
export class FakeCertificateHost implements CertificateHost {
  readonly store: CertificateStore;
  /** What was ordered, in order. */
  readonly orders: Order[] = [];
  /** Reloads of the front door. */
  reloads = 0;
  /** The moment that everything takes for the present. */
  time = new Date();
  /** Life of what the server issues, in days. */
  days = 90;
  /** What the server refuses an order with; null where it takes it. */
  refusal: string | null = null;
  /** Domains of what the server sends; those of the order where it is null. */
  sends: readonly string[] | null = null;
  /** Called within an order, before its end. */
  during: () => Promise<void> | void = () => undefined;
  /** Does the front door take what is in force on disk? */
  takes = true;
  /** SHA-256 of what the front door shows; null while it is down. */
  shown: string | null = null;

  constructor(private readonly directory: string) {
    this.store = new CertificateStore(directory);
  }

  readonly now = (): Date => this.time;

  readonly source: CertificateHost["source"] = {
    order: async (directory, order, tell) => {
      this.orders.push(order);
      tell("ordered");
      await this.during();
      if (this.refusal !== null) {
        throw new CommandFailed(["acme"], "ended with exit code 1", ["ordered", this.refusal]);
      }
      await writePair(
        directory,
        await makePair(this.sends ?? order.domains, { from: this.time, days: this.days }),
      );
    },
    placeholder: async (directory) =>
      writePair(directory, await makePair(["placeholder"], { issuer: "no certificate yet" })),
  };

  readonly door: CertificateHost["door"] = {
    served: () => Promise.resolve(this.shown),
    reload: async (_domain, fingerprint) => {
      this.reloads += 1;
      const facts = await this.inForce();
      if (!this.takes) {
        throw new Failed("Nginx does not take it");
      }
      this.shown = facts.fingerprint;
      expect(this.shown).toBe(fingerprint);
    },
  };

  /** The pair that Nginx would read now. */
  async inForce(): Promise<CertificateFacts> {
    return readPair((await readPairIn(currentFiles(this.directory)))!);
  }
}

/** A host that has no certificate yet. */
export function fakeCertificateHost(directory: string): FakeCertificateHost {
  return new FakeCertificateHost(directory);
}
