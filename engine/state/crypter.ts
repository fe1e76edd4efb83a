import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { EngineError } from "../errors";

const KEY_BYTES = 32;
const SALT_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** PBKDF2 rounds that Pulumi's passphrase provider uses; about 0.2 s of one core. */
const ITERATIONS = 1_000_000;
/** What Pulumi encrypts into the salt, so that a wrong passphrase is noticed. */
const CANARY = "pulumi";

const derive = promisify(pbkdf2);

/**
 * Encrypts and decrypts with the key that a passphrase gives, in the format of Pulumi's passphrase provider.
 * Ciphertexts are kept by their plaintext, so that an unchanged secret keeps its ciphertext and the state does not churn.
 */
export class Crypter {
  private readonly ciphertexts = new Map<string, string>();

  /** The salt line that belongs to the key: `encryptionsalt` in the stack config, `salt` in the state. */
  readonly salt: string;
  private readonly key: Buffer;

  private constructor(salt: string, key: Buffer) {
    this.salt = salt;
    this.key = key;
  }

  /** Derives the key for an existing salt line. Fails where the line is broken or the passphrase is not the one. */
  static async open(salt: string, passphrase: string): Promise<Crypter> {
    const match = /^v1:([A-Za-z0-9+/=]+):(v1:.+)$/.exec(salt);
    if (!match)
      throw new EngineError(`the encryption salt "${salt}" is not of the form v1:SALT:v1:NONCE:TEXT`);
    const [, encodedSalt = "", canary = ""] = match;
    const crypter = new Crypter(salt, await deriveKey(passphrase, Buffer.from(encodedSalt, "base64")));
    let opened: string;
    try {
      opened = crypter.decrypt(canary);
    } catch {
      opened = "";
    }
    if (opened !== CANARY) {
      throw new EngineError(
        "the passphrase does not fit this stack: set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the one it was made with",
      );
    }
    return crypter;
  }

  /** Makes a new salt and its key. */
  static async create(passphrase: string): Promise<Crypter> {
    const salt = randomBytes(SALT_BYTES);
    const key = await deriveKey(passphrase, salt);
    return new Crypter(`v1:${salt.toString("base64")}:${seal(key, CANARY)}`, key);
  }

  /** Encrypts a text; the same text gives the same ciphertext for the life of this object. */
  encrypt(plaintext: string): string {
    const known = this.ciphertexts.get(plaintext);
    if (known !== undefined) return known;
    const ciphertext = seal(this.key, plaintext);
    this.ciphertexts.set(plaintext, ciphertext);
    return ciphertext;
  }

  /** Decrypts what `encrypt` or the Pulumi CLI wrote. Fails where the text was made with another key or is damaged. */
  decrypt(ciphertext: string): string {
    const plaintext = unseal(this.key, ciphertext);
    this.ciphertexts.set(plaintext, ciphertext);
    return plaintext;
  }
}

function deriveKey(passphrase: string, salt: Buffer): Promise<Buffer> {
  return derive(passphrase, salt, ITERATIONS, KEY_BYTES, "sha256");
}

function seal(key: Buffer, plaintext: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return `v1:${nonce.toString("base64")}:${sealed.toString("base64")}`;
}

function unseal(key: Buffer, ciphertext: string): string {
  const [version, nonce, sealed, ...rest] = ciphertext.split(":");
  if (version !== "v1" || nonce === undefined || sealed === undefined || rest.length > 0) {
    throw new EngineError(
      "a secret is not of the form v1:NONCE:TEXT: the state or the stack config is damaged",
    );
  }
  const bytes = Buffer.from(sealed, "base64");
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    const text = Buffer.concat([
      decipher.update(bytes.subarray(0, bytes.length - TAG_BYTES)),
      decipher.final(),
    ]);
    return text.toString("utf8");
  } catch {
    throw new EngineError(
      "a secret cannot be decrypted: it was made with another passphrase, or it is damaged",
    );
  }
}
