import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { sshField, sshNumber } from "./ssh-format";

/** The SSH key of a machine that the stack makes: known before there is a machine, so that no connection is made on trust. */

/** Both halves of a host's key. */
export interface HostKeyPair {
  /** In OpenSSH's format, as sshd reads it. A secret. */
  readonly privateKey: string;
  /** `ssh-ed25519 <base64>`. */
  readonly publicKey: string;
  /** `SHA256:...` of the public half, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
}

const TYPE = "ssh-ed25519";

/** PKCS #8 of an Ed25519 key, before its 32 bytes (RFC 8410, section 7). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * Makes a host's key from a secret, always the same from the same one: an Ed25519 key is any 32 bytes, here the secret's
 * SHA-256. The secret has to be as hard to guess as a key: 43 or more random letters and digits.
 */
export function hostKeyFrom(secret: string): HostKeyPair {
  const seed = createHash("sha256").update("ssh host key\0").update(secret).digest();
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  const point = Buffer.from(x, "base64url");
  const blob = Buffer.concat([sshField(TYPE), sshField(point)]);
  const digest = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
  return {
    privateKey: opensshText(blob, Buffer.concat([seed, point]), point),
    publicKey: `${TYPE} ${blob.toString("base64")}`,
    fingerprint: `SHA256:${digest}`,
  };
}

/** The format of OpenSSH's PROTOCOL.key, without encryption. */
function opensshText(blob: Buffer, secret: Buffer, point: Buffer): string {
  // Two equal numbers, by which a reader sees that it decrypted well; here there is nothing to decrypt.
  const check = Buffer.concat([sshNumber(0), sshNumber(0)]);
  const body = Buffer.concat([check, sshField(TYPE), sshField(point), sshField(secret), sshField("")]);
  const padding = Buffer.from(Array.from({ length: (8 - (body.length % 8)) % 8 }, (_, index) => index + 1));
  const whole = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    ...[sshField("none"), sshField("none"), sshField(""), sshNumber(1), sshField(blob)],
    sshField(Buffer.concat([body, padding])),
  ]);
  const lines = whole.toString("base64").match(/.{1,70}/g) ?? [];
  const [begin, end] = ["BEGIN", "END"].map((word) => `-----${word} OPENSSH PRIVATE KEY-----`);
  return [begin, ...lines, end, ""].join("\n");
}
