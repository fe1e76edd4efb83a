import { X509Certificate } from "node:crypto";
import { isPlainText, TEXT_BYTES } from "../host/conductor/front-door/nginx-values";
import type { Fault, Path } from "./faults";
import { attempt, fileAt, givenText, type Machine } from "./keys";
import { KeyFault } from "./ssh-keys";
import type { RawConfig } from "./validation";

/** Texts of the operator's own, from the files that the configuration names; null where it names none. */
export interface Texts {
  /** Nginx directives for the site's server block. */
  readonly nginxSnippet: string | null;
  /** Page for people while the site is closed. */
  readonly maintenancePage: string | null;
  /** PEM of the authority behind the ACME server's own certificate. */
  readonly acmeAuthority: string | null;
  /** PEM of the authority behind the S3 server's own certificate. */
  readonly backupAuthority: string | null;
  /** PEM of the authority behind the certificate of CloudWatch's endpoint. */
  readonly monitoringAuthority: string | null;
  readonly faults: readonly Fault[];
}

function textAt(machine: Machine, file: string): string {
  const text = fileAt(machine, file);
  if (text === "" || !isPlainText(text)) {
    throw new KeyFault(
      `a file with a text of at most ${String(TEXT_BYTES / 1024)} KiB, without control characters, and not an empty one`,
    );
  }
  return text;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** All certificates in a file, in PEM as OpenSSL writes it. */
function certificatesAt(machine: Machine, file: string): string {
  const blocks = fileAt(machine, file).match(CERTIFICATE) ?? [];
  const fault = new KeyFault("a file with one or more certificates in PEM (-----BEGIN CERTIFICATE-----)");
  if (blocks.length === 0) throw fault;
  try {
    return blocks.map((block) => new X509Certificate(block).toString()).join("");
  } catch {
    throw fault;
  }
}

function findText(
  raw: RawConfig,
  path: Path,
  machine: Machine,
  faults: Fault[],
  read: (machine: Machine, file: string) => string = textAt,
): string | null {
  const file = givenText(raw, path);
  return file === undefined ? null : (attempt(raw, path, faults, () => read(machine, file)) ?? null);
}

/** Reads the texts that the configuration names. Reads through `machine` only. */
export function findTexts(raw: RawConfig, machine: Machine): Texts {
  const faults: Fault[] = [];
  return {
    nginxSnippet: findText(raw, ["site", "nginxSnippet"], machine, faults),
    maintenancePage: findText(raw, ["site", "maintenance", "page"], machine, faults),
    acmeAuthority: findText(raw, ["site", "tls", "acme", "authority"], machine, faults, certificatesAt),
    backupAuthority: findText(raw, ["backups", "authorityFile"], machine, faults, certificatesAt),
    monitoringAuthority: findText(raw, ["monitoring", "authorityFile"], machine, faults, certificatesAt),
    faults,
  };
}
