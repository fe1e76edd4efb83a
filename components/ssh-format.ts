/** SSH's wire format (RFC 4251, section 5), as far as keys take it. */

/** A string: four bytes of length, then the bytes. */
export function sshField(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([sshNumber(bytes.length), bytes]);
}

/** A number of four bytes. */
export function sshNumber(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A positive integer of any length: a first bit that is set would make it a negative one. */
export function sshInteger(magnitude: Buffer): Buffer {
  const isHigh = ((magnitude[0] ?? 0) & 0x80) !== 0;
  return sshField(isHigh ? Buffer.concat([Buffer.alloc(1), magnitude]) : magnitude);
}
