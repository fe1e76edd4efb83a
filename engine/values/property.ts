/**
 * Property values in the form that Pulumi puts on its wire and into its state: plain JSON in which objects that carry
 * a signature key stand for secrets, assets, references and outputs. Keeping this form internally means that nothing
 * is converted on the way from the program to the state and back.
 */
export type PropertyValue = null | boolean | number | string | PropertyValue[] | PropertyMap;

/** An object of property values: the inputs or outputs of a resource. */
export interface PropertyMap {
  [key: string]: PropertyValue;
}

/** The key that marks an object as one of the kinds in `Signature`. */
export const SIGNATURE_KEY = "4dabf18193072939515e22adb298388d";

/** The values of the signature key. */
export const Signature = {
  secret: "1b47061264138c4ac30d75fd1eb44270",
  resource: "5cf8f73096256a8f31e491e813e4eb8e",
  output: "d0e6a833031e9bbcd3f4e8bde6ca49a4",
  asset: "c44067f5952c0a294b673a41bacd8c17",
  archive: "0def7320c3a5731c473e5ecbe6d01bc7",
} as const;

/** What stands for a value that a preview cannot know. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** What is shown in place of a secret. */
export const SECRET_MASK = "[secret]";

/** Whether the value is an object, with or without a signature. */
export function isMap(value: PropertyValue | undefined): value is PropertyMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The signature of a value, or undefined where it has none. */
export function signatureOf(value: PropertyValue | undefined): string | undefined {
  if (!isMap(value)) return undefined;
  const signature = value[SIGNATURE_KEY];
  return typeof signature === "string" ? signature : undefined;
}

/** Whether the value itself is a secret (not whether it holds one, see `containsSecret`). */
export function isSecret(value: PropertyValue | undefined): value is PropertyMap {
  return signatureOf(value) === Signature.secret;
}

/** Wraps a value as a secret; secrets inside it lose their own mark, for the outer one covers them. */
export function secret(value: PropertyValue): PropertyMap {
  return { [SIGNATURE_KEY]: Signature.secret, value: unwrapSecrets(value) };
}

/** Rebuilds a value bottom-up: `replace` is asked first and may answer for the whole value; undefined means "descend". */
export function mapValue(
  value: PropertyValue,
  replace: (value: PropertyValue) => PropertyValue | undefined,
): PropertyValue {
  const replaced = replace(value);
  if (replaced !== undefined) return replaced;
  if (Array.isArray(value)) return value.map((element) => mapValue(element, replace));
  if (!isMap(value)) return value;
  // Not by assignment: a key may be called `__proto__`.
  return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, mapValue(element, replace)]));
}

/** Whether `test` holds for the value or anything inside it. */
export function someValue(
  value: PropertyValue | undefined,
  test: (value: PropertyValue) => boolean,
): boolean {
  if (value === undefined) return false;
  if (test(value)) return true;
  if (Array.isArray(value)) return value.some((element) => someValue(element, test));
  return isMap(value) && Object.values(value).some((element) => someValue(element, test));
}

/** Whether there is a secret at any depth. */
export function containsSecret(value: PropertyValue | undefined): boolean {
  return someValue(value, isSecret);
}

/** Whether anything at any depth is unknown. */
export function containsUnknown(value: PropertyValue | undefined): boolean {
  return someValue(value, (element) => element === UNKNOWN);
}

/** The value without any secret marks. */
export function unwrapSecrets(value: PropertyValue): PropertyValue {
  return mapValue(value, (element) =>
    isSecret(element) ? unwrapSecrets(element["value"] ?? null) : undefined,
  );
}

/** `unwrapSecrets` for a map of properties. */
export function unwrapMap(properties: PropertyMap): PropertyMap {
  return unwrapSecrets(properties) as PropertyMap;
}

/** A value as text, without secret marks: a string as it is, anything else as JSON; nothing is the empty text. */
export function textOf(value: PropertyValue | undefined): string {
  const bare = unwrapSecrets(value ?? null);
  if (bare === null) return "";
  return typeof bare === "string" ? bare : JSON.stringify(bare);
}

/** The value with every secret replaced by `[secret]` and every unknown by the given word: fit to be shown. */
export function redact(value: PropertyValue, unknownWord = "[unknown]"): PropertyValue {
  return mapValue(value, (element) => {
    if (isSecret(element)) return SECRET_MASK;
    return element === UNKNOWN ? unknownWord : undefined;
  });
}

/**
 * Turns what a program sent into what is kept: output values become their value (or unknown), wrapped as secrets where
 * they are, and secrets inside secrets are merged into the outer one.
 */
export function fromProgram(value: PropertyValue): PropertyValue {
  return mapValue(value, (element) => {
    const signature = signatureOf(element);
    if (!isMap(element)) return undefined;
    if (signature === Signature.secret) return secret(fromProgram(element["value"] ?? null));
    if (signature !== Signature.output) return undefined;
    const inner = "value" in element ? fromProgram(element["value"] ?? null) : UNKNOWN;
    return element["secret"] === true ? secret(inner) : inner;
  });
}

/** Parts of a secret `connection` that only say where it leads; a message without them would be of no use. */
const PUBLIC_CONNECTION_KEYS: readonly string[] = [
  "host",
  "port",
  "user",
  "hostKey",
  "agentSocketPath",
  "dialErrorLimit",
  "perDialTimeout",
];

/**
 * Every string (at least `minimumLength` long) that stands inside a secret, each line of a longer text as well. Of an
 * input called `connection` only what is secret by nature counts.
 */
export function secretStrings(value: PropertyValue, minimumLength = 4): Set<string> {
  const found = new Set<string>();
  const collect = (element: PropertyValue, inside: boolean, skipped: readonly string[]): void => {
    if (typeof element === "string" && inside) addWithLines(found, element, minimumLength);
    else if (typeof element === "number" && inside) addWithLines(found, String(element), minimumLength);
    else if (Array.isArray(element)) for (const item of element) collect(item, inside, []);
    else if (isSecret(element)) collect(element["value"] ?? null, true, skipped);
    else if (isMap(element)) {
      for (const [key, item] of Object.entries(element)) {
        if (!skipped.includes(key)) collect(item, inside, key === "connection" ? PUBLIC_CONNECTION_KEYS : []);
      }
    }
  };
  collect(value, false, []);
  return found;
}

function addWithLines(found: Set<string>, text: string, minimumLength: number): void {
  // A private key that a tool echoes comes back line by line, so that each line has to be known too.
  for (const piece of [text, ...text.split("\n")]) {
    const trimmed = piece.trim();
    if (trimmed.length >= minimumLength && trimmed !== UNKNOWN) found.add(trimmed);
  }
}

/** Replaces every given string in the text by `[secret]`, the longest first. */
export function maskStrings(text: string, secrets: Iterable<string>): string {
  const ordered = [...secrets].sort((a, b) => b.length - a.length);
  return ordered.reduce((masked, each) => masked.replaceAll(each, SECRET_MASK), text);
}
