import { EngineError } from "../errors";

const BLOCK = 512;
const NAME_BYTES = 100;
const CHECKSUM = { offset: 148, length: 8 };

/**
 * The header by which Pulumi puts a file into an archive: mode 0600, owner and time zero. The hash of a directory is
 * that of such an archive, so that it has to be the same to the byte. Fails for a name that a plain header cannot hold.
 */
export function tarHeader(name: string, size: number): Buffer {
  const bytes = Buffer.from(name, "utf8");
  if (bytes.length > NAME_BYTES || bytes.length !== name.length) {
    throw new EngineError(
      `the file name "${name}" in a directory asset is too long or not ASCII for the embedded engine (${NAME_BYTES} characters)`,
    );
  }
  const header = Buffer.alloc(BLOCK);
  bytes.copy(header);
  header.write(
    `${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(size, 11)}\0${octal(0, 11)}\0`,
    100,
  );
  header.write("0", 156);
  header.write("ustar\0" + "00", 257);
  header.write(`${octal(0, 7)}\0${octal(0, 7)}\0`, 329);
  // The checksum is taken as if its own place were blank.
  header.fill(" ", CHECKSUM.offset, CHECKSUM.offset + CHECKSUM.length);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, CHECKSUM.offset);
  return header;
}

/** What fills a file of the given size up to whole blocks. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What stands at the end of an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
