import { createPrivateKey, X509Certificate } from "node:crypto";

const DAY_MS = 24 * 3600 * 1000;

/** A certificate and its private key, both in PEM; the certificate is followed by its chain. */
export interface Pair {
  readonly chain: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateFacts {
  /** Names that it holds. */
  readonly domains: readonly string[];
  /** Common name of who issued it, or the issuer's whole name where it has none. */
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SHA-256, as TLS clients see it. */
  readonly fingerprint: string;
}

/**
 * Reads a pair.
 * @throws Error where one of the two is none, or where they do not belong together. No message holds any of the key.
 */
export function readPair({ chain, key }: Pair): CertificateFacts {
  const certificate = parsed("the certificate is not in PEM", () => new X509Certificate(chain));
  const privateKey = parsed("the private key is not in PEM, or has a passphrase", () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error("certificate and private key do not belong together");
  }
  return {
    domains: namesIn(certificate),
    issuer: /^CN=(.*)$/m.exec(certificate.issuer)?.[1] ?? certificate.issuer.replaceAll("\n", ", "),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    fingerprint: certificate.fingerprint256,
  };
}

function parsed<T>(fault: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Error(fault);
  }
}

function namesIn({ subjectAltName }: X509Certificate): string[] {
  const names = (subjectAltName ?? "").split(", ").filter((name) => name.startsWith("DNS:"));
  return names.map((name) => name.slice("DNS:".length).toLowerCase());
}

/** The domains that a certificate does not hold. One for `*.example.com` holds every name one label below. */
export function notCovered(facts: CertificateFacts, domains: readonly string[]): string[] {
  const held = new Set(facts.domains);
  return domains.filter((domain) => !held.has(domain) && !held.has(domain.replace(/^[^.]+/, "*")));
}

/**
 * When a certificate is to be renewed: `renewBeforeDays` before its end, but neither later than with a third of its life
 * left nor earlier than with half of it, so that one that lives for six days is renewed after three and not at every look.
 */
export function renewalDue(facts: CertificateFacts, renewBeforeDays: number): Date {
  const lifetime = facts.notAfter.getTime() - facts.notBefore.getTime();
  const before = Math.max(lifetime / 3, Math.min(renewBeforeDays * DAY_MS, lifetime / 2));
  return new Date(facts.notAfter.getTime() - before);
}
