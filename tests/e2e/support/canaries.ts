import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A secret that is looked for where it must not be. */
export interface Canary {
  /** What it is the value of, for messages, which never show it. */
  readonly name: string;
  readonly value: string;
}

/** Longest part of a value that is looked for: what shows that much of it shows it, and some tools fold or cut lines. */
const PART = 48;

/**
 * The ways in which a program may write a value: as it is, as a text in JSON, in a URL, in hexadecimal, and in base64, be it in
 * the middle of something else that is encoded.
 */
export function formsOf(value: string): string[] {
  const middle = Math.max(0, Math.floor((value.length - PART) / 2));
  const part = value.slice(middle, middle + PART);
  const bytes = Buffer.from(part);
  // Which bytes share a group of three with others depends on what stands before.
  const groups = [0, 1, 2].map((skipped) => {
    const whole = bytes.subarray(skipped, skipped + 3 * Math.floor((bytes.length - skipped) / 3));
    return whole.toString("base64");
  });
  const forms = [part, JSON.stringify(part).slice(1, -1), encodeURIComponent(part), bytes.toString("hex")];
  return [
    ...new Set([
      ...forms,
      ...groups,
      ...groups.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
    ]),
  ];
}

/** Names of the canaries that a text holds, in any form. */
export function canariesIn(text: string, canaries: readonly Canary[]): string[] {
  return canaries
    .filter(({ value }) => formsOf(value).some((form) => text.includes(form)))
    .map(({ name }) => name);
}

/** Every file below a directory, with the names of the canaries in it; those without one are left out. */
export function filesWithCanaries(
  directory: string,
  canaries: readonly Canary[],
): Record<string, readonly string[]> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, canariesIn(readFileSync(path, "latin1"), canaries)] as const);
  return Object.fromEntries(entries.filter(([, names]) => names.length > 0));
}
