import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../../../../sandbox/command";
import type { DebianPackage } from "./nginx-packages";

/** A key that signs package lists, in a directory of GnuPG's. */
export class SigningKey {
  private constructor(
    private readonly home: string,
    /** As `sources` names it. */
    readonly fingerprint: string,
    /** The public key, as text. */
    readonly publicKey: string,
  ) {}

  static async create(home: string): Promise<SigningKey> {
    fs.mkdirSync(home, { mode: 0o700 });
    const gpg = ["gpg", "--homedir", home, "--batch", "--quiet"];
    const id = "package signing key of a test";
    await run([...gpg, "--passphrase", "", "--quick-generate-key", id, "rsa2048", "sign", "never"]);
    const { stdout: keys } = await run([...gpg, "--with-colons", "--list-keys"]);
    const { stdout: publicKey } = await run([...gpg, "--armor", "--export"]);
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(keys)?.[1];
    if (fingerprint === undefined) throw new Error(`gpg made no key:\n${keys}`);
    return new SigningKey(home, fingerprint, publicKey);
  }

  /** Signs text within itself, as `InRelease` is. */
  async clearSign(text: string): Promise<string> {
    const argv = ["gpg", "--homedir", this.home, "--batch", "--quiet", "--clear-sign"];
    return (await run(argv, { stdin: text })).stdout;
  }

  /** Ends the agent that GnuPG started for the key. */
  async close(): Promise<void> {
    await run(["gpgconf", "--homedir", this.home, "--kill", "gpg-agent"]);
  }
}

/** Files to serve, by their path. */
export type Files = ReadonlyMap<string, string | Buffer>;

/**
 * A package source as Nginx's makers have it below `prefix`: `dists/<suite>/nginx/binary-<architecture>/Packages`, the
 * packages in `pool/nginx/n/`, and one signed list of hashes over all of it.
 */
export async function packageRepository(
  prefix: string,
  suite: string,
  packages: readonly DebianPackage[],
  key: SigningKey,
): Promise<Files> {
  const pool = packages.map(({ file, control }) => {
    const content = fs.readFileSync(file);
    const place = `pool/nginx/n/${path.basename(file)}`;
    const stanza = `${control}\nFilename: ${place}\nSize: ${content.length}\nSHA256: ${sha256(content)}\n`;
    return { place, content, stanza };
  });
  const architecture = /^Architecture: (.*)$/m.exec(packages[0]?.control ?? "")?.[1] ?? "";
  const list = pool.map(({ stanza }) => stanza).join("\n");
  const listPlace = `nginx/binary-${architecture}/Packages`;
  const release = [
    "Origin: nginx",
    "Label: nginx",
    `Suite: ${suite}`,
    `Codename: ${suite}`,
    `Date: ${new Date().toUTCString()}`,
    `Architectures: ${architecture}`,
    "Components: nginx",
    "SHA256:",
    ` ${sha256(list)} ${Buffer.byteLength(list)} ${listPlace}`,
    "",
  ].join("\n");
  const dists = `${prefix}/dists/${suite}`;
  return new Map<string, string | Buffer>([
    [`${dists}/InRelease`, await key.clearSign(release)],
    [`${dists}/${listPlace}`, list],
    ...pool.map(({ place, content }) => [`${prefix}/${place}`, content] as const),
  ]);
}

export function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
