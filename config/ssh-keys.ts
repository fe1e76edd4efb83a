import { createHash, createHmac, createPrivateKey } from "node:crypto";

/**
 * Reads SSH keys as far as a configuration has to: is it one, is it of a kind that both ends take, and who is it?
 */

/** A host's public key. */
export interface HostKey {
  /** `<type> <base64>`, as in a known_hosts file, without address and comment. */
  readonly line: string;
  /** `SHA256:...`, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
}

/** What is wrong with a key, as the end of the sentence "it has to be ...". */
export class KeyFault extends Error {}

/**
 * Types that can be pinned. Not `ssh-rsa`: the name stands for signatures with SHA-1, which OpenSSH refuses, and Pulumi's
 * command provider asks for exactly the pinned type. In order of preference.
 */
const HOST_KEY_TYPES = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];

const HOST_KEY_RULE =
  "the host's public key, one line `ssh-ed25519 AAAA...` or `ecdsa-sha2-nistp256 AAAA...` " +
  "(the host's /etc/ssh/ssh_host_ed25519_key.pub)";

/** A field of SSH's wire format: four bytes of length, then the bytes. */
function fieldAt(bytes: Buffer, offset: number): Buffer | undefined {
  if (bytes.length < offset + 4) return undefined;
  const end = offset + 4 + bytes.readUInt32BE(offset);
  return end <= bytes.length ? bytes.subarray(offset + 4, end) : undefined;
}

/**
 * Reads a host's public key in OpenSSH's one-line format; a comment behind it is dropped.
 * @throws {KeyFault} if it is none, or of a type that cannot be pinned.
 */
export function parseHostKey(text: string): HostKey {
  const match = /^([a-z0-9-]+) ([A-Za-z0-9+/]+={0,2})(?: \P{Cc}*)?$/u.exec(text.trim());
  const [type, base64] = [match?.[1] ?? "", match?.[2] ?? ""];
  if (type === "ssh-rsa") {
    throw new KeyFault(`${HOST_KEY_RULE}; an ssh-rsa key cannot be pinned, take the host's Ed25519 key`);
  }
  const blob = Buffer.from(base64, "base64");
  const named = fieldAt(blob, 0)?.toString("latin1");
  const body = fieldAt(blob, 4 + type.length);
  if (!HOST_KEY_TYPES.includes(type) || named !== type || body === undefined || body.length < 8) {
    throw new KeyFault(HOST_KEY_RULE);
  }
  const digest = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
  return { line: `${type} ${blob.toString("base64")}`, fingerprint: `SHA256:${digest}` };
}

/** Does one of the comma-separated patterns of a known_hosts line name the host? */
function namesHost(patterns: string, names: readonly string[]): boolean {
  const hashed = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/.exec(patterns);
  if (hashed === null) return patterns.split(",").some((pattern) => names.includes(pattern.toLowerCase()));
  const salt = Buffer.from(hashed[1] ?? "", "base64");
  return names.some((name) => createHmac("sha1", salt).update(name).digest("base64") === hashed[2]);
}

/**
 * Finds a host's key in the text of a known_hosts file; of several the one whose type is preferred. Reads plain and
 * hashed names; no wildcards and no certificate authorities, for these pin no key.
 * @throws {KeyFault} if there is no usable key of that host.
 */
export function hostKeyFrom(knownHosts: string, address: string, port: number): HostKey {
  const bracketed = `[${address}]:${String(port)}`;
  const names = port === 22 ? [address, bracketed] : [bracketed];
  const keys: string[] = [];
  for (const line of knownHosts.split(/\r?\n/)) {
    const [patterns = "", type = "", base64 = ""] = line.trim().split(/\s+/);
    if (HOST_KEY_TYPES.includes(type) && namesHost(patterns, names)) keys.push(`${type} ${base64}`);
  }
  const typeOf = (key: string) => HOST_KEY_TYPES.indexOf(key.split(" ")[0] ?? "");
  const [best] = keys.sort((one, other) => typeOf(one) - typeOf(other));
  if (best === undefined) {
    const scan = `ssh-keyscan -t ed25519 -p ${String(port)} ${address}`;
    throw new KeyFault(
      `a known_hosts file with an Ed25519 or ECDSA key of ${names.join(" or ")}; ` +
        `\`${scan}\` prints the line: compare it with the host's own before you trust it`,
    );
  }
  return parseHostKey(best);
}

const PRIVATE_KEY_RULE = "an unencrypted private SSH key in OpenSSH's or PEM format";

/** Name of the cipher that an OpenSSH private key is encrypted with; undefined if it is no such key. */
function cipherOf(pem: string): string | undefined {
  const magic = "openssh-key-v1\0";
  const bytes = Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ""), "base64");
  if (bytes.subarray(0, magic.length).toString("latin1") !== magic) return undefined;
  return fieldAt(bytes, magic.length)?.toString("latin1");
}

/**
 * Returns a private key with the line ends that SSH libraries expect.
 * @throws {KeyFault} if it is none, or if it needs a passphrase: there is no one to type it.
 */
export function parsePrivateKey(text: string): string {
  const pem = `${text.replace(/\r\n?/g, "\n").trim()}\n`;
  if (/^ssh-|^ecdsa-/.test(pem)) throw new KeyFault(`${PRIVATE_KEY_RULE}; this is a public key`);
  const needsPassphrase =
    `${PRIVATE_KEY_RULE}; this one needs a passphrase: make a copy without one, ` +
    "`cp KEY KEY-deploy && ssh-keygen -p -N '' -f KEY-deploy`, or a key of its own for deployments";
  if (/^-----BEGIN OPENSSH PRIVATE KEY-----\n[^-]+-----END OPENSSH PRIVATE KEY-----\n$/.test(pem)) {
    const cipher = cipherOf(pem);
    if (cipher === undefined) throw new KeyFault(PRIVATE_KEY_RULE);
    if (cipher !== "none") throw new KeyFault(needsPassphrase);
    return pem;
  }
  if (/ENCRYPTED/.test(pem)) throw new KeyFault(needsPassphrase);
  try {
    createPrivateKey(pem);
  } catch {
    // The library's own message could quote the key.
    throw new KeyFault(PRIVATE_KEY_RULE);
  }
  return pem;
}
