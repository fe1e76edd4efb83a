import * as fs from "node:fs";
import { isIP } from "node:net";
import * as path from "node:path";

import { run } from "./command";

/** A certificate authority of the sandbox's own and a server certificate that it signed, as PEM files. */
export interface Certificates {
  /** What a client has to trust. */
  readonly authority: string;
  /** The server's certificate, followed by the authority's. */
  readonly chain: string;
  /** The server's private key. */
  readonly key: string;
}

/** How long both certificates hold, in days: longer than a sandbox stands. */
const VALID_DAYS = "365";

/**
 * Makes a new authority and a server certificate (ECDSA P-256) for `domains`, IP addresses among them, in `directory`, over what is there. The
 * authority's key is thrown away: nothing else can ever be signed with it.
 */
export async function makeCertificates(directory: string, domains: readonly string[]): Promise<Certificates> {
  const [first] = domains;
  if (first === undefined) throw new Error("makeCertificates: at least one domain is needed");
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = (name: string): string => path.join(directory, name);
  await makeKey(file("authority.key"));
  await openssl(
    ...["req", "-x509", "-new", "-sha256", "-days", VALID_DAYS, "-key", file("authority.key")],
    ...["-subj", "/CN=vehicleservice sandbox", "-out", file("authority.pem")],
  );
  await makeKey(file("server.key"));
  await openssl(
    "req",
    "-new",
    "-key",
    file("server.key"),
    "-subj",
    `/CN=${first}`,
    "-out",
    file("server.csr"),
  );
  fs.writeFileSync(file("server.ext"), extensions(domains));
  await openssl(
    ...[
      "x509",
      "-req",
      "-sha256",
      "-days",
      VALID_DAYS,
      "-in",
      file("server.csr"),
      "-extfile",
      file("server.ext"),
    ],
    ...[
      "-CA",
      file("authority.pem"),
      "-CAkey",
      file("authority.key"),
      "-CAcreateserial",
      "-out",
      file("server.pem"),
    ],
  );
  fs.writeFileSync(
    file("fullchain.pem"),
    fs.readFileSync(file("server.pem"), "utf8") + fs.readFileSync(file("authority.pem"), "utf8"),
  );
  for (const name of ["authority.key", "authority.srl", "server.csr", "server.ext", "server.pem"]) {
    fs.rmSync(file(name), { force: true });
  }
  return certificatesIn(directory);
}

/** Returns where {@link makeCertificates} put its files. */
export function certificatesIn(directory: string): Certificates {
  return {
    authority: path.join(directory, "authority.pem"),
    chain: path.join(directory, "fullchain.pem"),
    key: path.join(directory, "server.key"),
  };
}

/** The server's X.509 extensions. Exported for its test. */
export function extensions(domains: readonly string[]): string {
  return [
    "basicConstraints = critical, CA:FALSE",
    "keyUsage = critical, digitalSignature",
    "extendedKeyUsage = serverAuth",
    `subjectAltName = ${domains.map((domain) => `${isIP(domain) === 0 ? "DNS" : "IP"}:${domain}`).join(", ")}`,
    "",
  ].join("\n");
}

async function makeKey(file: string): Promise<void> {
  await openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", file);
  fs.chmodSync(file, 0o600);
}

async function openssl(...args: string[]): Promise<void> {
  await run(["openssl", ...args]);
}
