import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";

/** Where Debian and Ubuntu keep the certificates that a machine trusts, as one file. */
export const MACHINE_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

/** Splits a PEM bundle into its certificates; text between them is left out. */
export function splitBundle(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
}

/**
 * Returns the certificates that `machine` trusts and `guest` does not, both PEM bundles, in the machine's order. Behind a
 * proxy that opens HTTPS these are what a guest needs; elsewhere there may be none.
 */
export function missingCertificates(machine: string, guest: string): string[] {
  const known = new Set(splitBundle(guest).map(fingerprint));
  return splitBundle(machine).filter((certificate) => !known.has(fingerprint(certificate)));
}

/** Reads a bundle; a machine or image without one trusts nobody. */
export function readBundle(path: string): string {
  return fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "";
}

function fingerprint(certificate: string): string {
  return new X509Certificate(certificate).fingerprint256;
}
