/** Shorter values are words that occur anywhere, such as `true` or a port. */
const SHORTEST = 6;

/**
 * Replaces every value of an environment in a text by its name in brackets. A value of several lines is replaced line
 * by line, too, for a log may hold a part of it; and as programs write it that show what they have: see {@link spellings}.
 */
export function scrub(text: string, variables: Readonly<Record<string, string>>): string {
  const secrets = Object.entries(variables).flatMap(([name, value]) =>
    [value, ...value.split("\n")]
      .flatMap((text) => spellings(text.trim()))
      .map((part) => ({ name, part: part.trim() })),
  );
  // The longest first: a value may be a part of another one.
  const longestFirst = secrets
    .filter(({ part }) => part.length >= SHORTEST)
    .sort((a, b) => b.part.length - a.part.length);
  return longestFirst.reduce(
    (scrubbed, { name, part }) => scrubbed.replaceAll(part, () => `[${name}]`),
    text,
  );
}

/** A text as it is, in JSON, as Node shows it (between quotes that it does not hold, if it can), in a URL, and in base64. */
function spellings(text: string): string[] {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  const bytes = Buffer.from(text);
  // Whole groups of three: the last characters depend on what follows, such as the colon of `Authorization: Basic`.
  const base64 = bytes.subarray(0, bytes.length - (bytes.length % 3)).toString("base64");
  const all = [text, JSON.stringify(text).slice(1, -1), escaped, escaped.replaceAll("'", "\\'"), base64];
  return text.isWellFormed() ? [...all, encodeURIComponent(text)] : all;
}
