/** The password hash of OpenBSD, which Node does not have and the random provider puts among its outputs. */
import { randomBytes } from "node:crypto";

const SALT_BYTES = 16;
/** What is cut off: bcrypt takes no more of a password, and gives one byte less than it computes. */
const KEY_BYTES = 72;
const HASH_BYTES = 23;
const SUBKEYS = 18;
const ROUNDS = 16;
const BOX_WORDS = 256;
const BOXES = 4;
const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const PLAINTEXT = Buffer.from("OrpheanBeholderScryDoubt");

/** The bcrypt hash (variant 2a) of the first 72 bytes of a password. `cost` is the binary logarithm of the rounds. */
export function bcrypt(password: string, cost = 10, salt: Buffer = randomBytes(SALT_BYTES)): string {
  const key = Buffer.from(`${password}\0`).subarray(0, KEY_BYTES);
  const cipher = new Blowfish();
  cipher.expand(key, salt);
  const none = Buffer.alloc(SALT_BYTES);
  for (let round = 2 ** cost; round > 0; round--) {
    cipher.expand(key, none);
    cipher.expand(salt, none);
  }
  const words = wordsOf(PLAINTEXT);
  for (let index = 0; index < words.length; index += 2) {
    for (let time = 0; time < 64; time++) cipher.encrypt(words, index);
  }
  const digest = Buffer.alloc(PLAINTEXT.length);
  words.forEach((word, index) => digest.writeInt32BE(word, index * 4));
  return `$2a$${String(cost).padStart(2, "0")}$${encode(salt)}${encode(digest.subarray(0, HASH_BYTES))}`;
}

/** The cipher below bcrypt, with its state open to the salted key schedule. */
class Blowfish {
  private readonly subkeys: Int32Array;
  private readonly boxes: Int32Array;

  constructor() {
    const start = initialWords();
    this.subkeys = start.slice(0, SUBKEYS);
    this.boxes = start.slice(SUBKEYS);
  }

  /** Mixes a key and a salt into the state. A salt of zeros is none. */
  expand(key: Buffer, salt: Buffer): void {
    const keyWords = cycle(key, SUBKEYS);
    for (let index = 0; index < SUBKEYS; index++)
      this.subkeys[index] = at(this.subkeys, index) ^ at(keyWords, index);
    const saltWords = wordsOf(salt);
    const block = new Int32Array(2);
    let position = 0;
    for (const table of [this.subkeys, this.boxes]) {
      for (let index = 0; index < table.length; index += 2) {
        block[0] = at(block, 0) ^ at(saltWords, position);
        block[1] = at(block, 1) ^ at(saltWords, position + 1);
        position = (position + 2) % saltWords.length;
        this.encrypt(block, 0);
        table.set(block, index);
      }
    }
  }

  /** Encrypts the two words that begin at an index, in place. */
  encrypt(words: Int32Array, index: number): void {
    const { subkeys, boxes } = this;
    let left = at(words, index);
    let right = at(words, index + 1);
    for (let round = 0; round < ROUNDS; round += 2) {
      left ^= at(subkeys, round);
      right ^= mix(boxes, left) ^ at(subkeys, round + 1);
      left ^= mix(boxes, right);
    }
    words[index] = right ^ at(subkeys, SUBKEYS - 1);
    words[index + 1] = left ^ at(subkeys, SUBKEYS - 2);
  }
}

function mix(boxes: Int32Array, word: number): number {
  const sum = (at(boxes, word >>> 24) + at(boxes, BOX_WORDS + ((word >>> 16) & 255))) | 0;
  return (
    ((sum ^ at(boxes, 2 * BOX_WORDS + ((word >>> 8) & 255))) + at(boxes, 3 * BOX_WORDS + (word & 255))) | 0
  );
}

/** A word of an array whose bounds are known to be kept. */
function at(words: Int32Array, index: number): number {
  return words[index] ?? 0;
}

let known: Int32Array | undefined;

/** The cipher's first state: the binary digits of pi behind the point. Computed, which is shorter than a table. */
function initialWords(): Int32Array {
  if (known) return known;
  const count = SUBKEYS + BOXES * BOX_WORDS;
  const guard = 64;
  const bits = BigInt(count * 32 + guard);
  // Machin's formula.
  const pi = 16n * arctangentOfInverse(5n, bits) - 4n * arctangentOfInverse(239n, bits);
  const fraction = (pi - (3n << bits)) >> BigInt(guard);
  known = wordsOf(Buffer.from(fraction.toString(16).padStart(count * 8, "0"), "hex"));
  return known;
}

/** arctan(1/x), multiplied by 2 to the power of `bits`. */
function arctangentOfInverse(x: bigint, bits: bigint): bigint {
  let power = (1n << bits) / x;
  let sum = power;
  for (let divisor = 3n, sign = -1n; power > 0n; divisor += 2n, sign = -sign) {
    power /= x * x;
    sum += (sign * power) / divisor;
  }
  return sum;
}

function cycle(bytes: Buffer, words: number): Int32Array {
  return wordsOf(Buffer.alloc(words * 4, bytes));
}

function wordsOf(bytes: Buffer): Int32Array {
  return Int32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readInt32BE(index * 4));
}

/** Base64 with bcrypt's own alphabet, without padding. */
function encode(bytes: Buffer): string {
  let text = "";
  for (let index = 0; index < bytes.length; index += 3) {
    const [first = 0, second = 0, third = 0] = bytes.subarray(index, index + 3);
    const group = (first << 16) | (second << 8) | third;
    for (const shift of [18, 12, 6, 0]) text += ALPHABET.charAt((group >>> shift) & 63);
  }
  return text.slice(0, Math.ceil((bytes.length * 4) / 3));
}
