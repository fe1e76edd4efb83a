/** Shorter values are words that occur anywhere, such as `true` or a port. */
const SHORTEST = 6;

/**
 * Replaces every value of an environment in a text by its name in brackets. A value of several lines is replaced line
 * by line, too, for a log may hold a part of it; and as it stands in JSON.
 */
export function scrub(text: string, variables: Readonly<Record<string, string>>): string {
  const secrets = Object.entries(variables).flatMap(([name, value]) =>
    [value, JSON.stringify(value).slice(1, -1), ...value.split("\n")].map((part) => ({
      name,
      part: part.trim(),
    })),
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
