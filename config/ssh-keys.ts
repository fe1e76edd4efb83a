import { createHash, createHmac, createPrivateKey, createPublicKey, type JsonWebKey } from "node:crypto";
import { sshField, sshInteger } from "../components/ssh-format";

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

/** What a private key in OpenSSH's own format begins with. */
const OPENSSH_MAGIC = "openssh-key-v1\0";

/** Name of the cipher that an OpenSSH private key is encrypted with; undefined if it is no such key. */
function cipherOf(pem: string): string | undefined {
  const bytes = Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ""), "base64");
  if (bytes.subarray(0, OPENSSH_MAGIC.length).toString("latin1") !== OPENSSH_MAGIC) return undefined;
  return fieldAt(bytes, OPENSSH_MAGIC.length)?.toString("latin1");
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

/**
 * Returns the public half of a private key, `<type> <base64>`, as it stands in authorized_keys.
 * @throws {KeyFault} if the key is of a kind that SSH does not take
 */
export function publicHalfOf(privateKey: string): string {
  const blob = publicBlobInside(privateKey) ?? publicBlobOf(privateKey);
  const type = fieldAt(blob, 0)?.toString("latin1") ?? "";
  if (!/^(ssh-|ecdsa-)[a-z0-9-]+$/.test(type)) throw new KeyFault(`${PRIVATE_KEY_RULE}, whole`);
  return `${type} ${blob.toString("base64")}`;
}

/** What OpenSSH's own format keeps in clear: cipher, key derivation and its options, how many keys, the public half. */
function publicBlobInside(pem: string): Buffer | undefined {
  if (cipherOf(pem) === undefined) return undefined;
  const bytes = Buffer.from(pem.replace(/-----[A-Z ]+-----/g, ""), "base64");
  let offset = OPENSSH_MAGIC.length;
  for (let skipped = 0; skipped < 3; skipped += 1) offset += 4 + (fieldAt(bytes, offset)?.length ?? 0);
  return fieldAt(bytes, offset + 4) ?? Buffer.alloc(0);
}

/** RFC 4253, section 6.6, for RSA; RFC 5656 for ECDSA; RFC 8709 for Ed25519. */
function publicBlobOf(pem: string): Buffer {
  let key: JsonWebKey;
  try {
    key = createPublicKey(pem).export({ format: "jwk" });
  } catch {
    throw new KeyFault(`${PRIVATE_KEY_RULE}, Ed25519, ECDSA or RSA`);
  }
  const bytes = (part: string | undefined) => Buffer.from(part ?? "", "base64url");
  if (key.kty === "RSA") {
    return Buffer.concat([sshField("ssh-rsa"), sshInteger(bytes(key.e)), sshInteger(bytes(key.n))]);
  }
  if (key.crv === "Ed25519") return Buffer.concat([sshField("ssh-ed25519"), sshField(bytes(key.x))]);
  const curve = `nistp${/^P-(256|384|521)$/.exec(key.crv ?? "")?.[1] ?? ""}`;
  const point = Buffer.concat([Buffer.from([4]), bytes(key.x), bytes(key.y)]);
  if (curve === "nistp") throw new KeyFault(`${PRIVATE_KEY_RULE}, Ed25519, ECDSA or RSA`);
  return Buffer.concat([sshField(`ecdsa-sha2-${curve}`), sshField(curve), sshField(point)]);
}
