import { isDeepStrictEqual } from "node:util";

/** Are two policies the same, whatever the order of their keys? `text` is JSON, or JSON with %XX as IAM gives it. */
export function isPolicy(text: string | undefined, wanted: object): boolean {
  if (text === undefined) return false;
  try {
    const decoded = text.startsWith("%") ? decodeURIComponent(text) : text;
    return isDeepStrictEqual(JSON.parse(decoded), JSON.parse(JSON.stringify(wanted)));
  } catch {
    return false;
  }
}

/** Has `found` all that `wanted` has? AWS adds defaults to what it is given; lists have to be as long. */
export function holds(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || found.length !== wanted.length) return false;
    return wanted.every((item, index) => holds(found[index], item));
  }
  if (typeof wanted !== "object" || wanted === null) return found === wanted;
  if (typeof found !== "object" || found === null) return false;
  return Object.entries(wanted).every(([key, value]) => holds(Reflect.get(found, key), value));
}
