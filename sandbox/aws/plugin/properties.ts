/** A value on Pulumi's wire, in its JSON form; {@link UNKNOWN} among the strings. */
export type Value = string | number | boolean | null | readonly Value[] | Values;

/** Properties of a resource. */
export interface Values {
  readonly [name: string]: Value | undefined;
}

/** What Pulumi's wire has in place of a value that is known only later. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

interface Facts {
  /** Has to be given. */
  readonly required?: boolean;
  /** A change makes another resource, as the real provider documents it. */
  readonly replaces?: boolean;
}

/** A property of a resource type: its form, and what a change of it means. */
export type Property = Facts & Form;

type Form =
  | {
      readonly kind: "text";
      /** The only values, for an enumeration. */
      readonly oneOf?: readonly string[];
      readonly pattern?: RegExp;
    }
  | {
      readonly kind: "number";
      readonly from?: number;
      readonly to?: number;
      readonly steps?: readonly number[];
    }
  | { readonly kind: "flag" }
  /** JSON text; two texts of the same meaning are the same. */
  | { readonly kind: "json" }
  | {
      readonly kind: "list";
      readonly of: Property;
      /** The order means nothing. */
      readonly unordered?: boolean;
      readonly most?: number;
    }
  | { readonly kind: "map" }
  | { readonly kind: "object"; readonly properties: Properties };

/** Properties by name. */
export type Properties = Readonly<Record<string, Property>>;

type Options<K extends Form["kind"]> = Facts & Omit<Extract<Form, { kind: K }>, "kind">;

/** A string. */
export const text = (options: Options<"text"> = {}): Property => ({ kind: "text", ...options });
/** A number. */
export const number = (options: Options<"number"> = {}): Property => ({ kind: "number", ...options });
/** True or false. */
export const flag = (options: Options<"flag"> = {}): Property => ({ kind: "flag", ...options });
/** A JSON text. */
export const json = (options: Facts = {}): Property => ({ kind: "json", ...options });
/** A list. */
export const list = (of: Property, options: Omit<Options<"list">, "of"> = {}): Property => ({
  kind: "list",
  of,
  ...options,
});
/** Strings by name. */
export const map = (options: Facts = {}): Property => ({ kind: "map", ...options });
/** A nested object. */
export const object = (properties: Properties, options: Facts = {}): Property => ({
  kind: "object",
  properties,
  ...options,
});

/** Tells whether a value, or anything within it, is known only later. */
export function isUnknown(value: Value | undefined): boolean {
  if (value === UNKNOWN) return true;
  if (Array.isArray(value)) return (value as readonly Value[]).some(isUnknown);
  return isObject(value) && Object.values(value).some(isUnknown);
}

/** Tells whether a value is an object with properties. */
export function isObject(value: Value | undefined): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells whether two values of a property mean the same. What is left out of an object is not compared. */
export function same(property: Property, wanted: Value | undefined, found: Value | undefined): boolean {
  return JSON.stringify(normal(property, wanted)) === JSON.stringify(normal(property, found, wanted));
}

/** The one form of all values that mean the same. */
function normal(property: Property, value: Value | undefined, like?: Value): unknown {
  if (value === undefined || value === null) return null;
  if (value === UNKNOWN) return UNKNOWN;
  switch (property.kind) {
    case "json":
      return typeof value === "string" ? sorted(parsed(value)) : value;
    case "map":
      return sorted(value);
    case "number":
    case "text":
    case "flag":
      // A flag of the stack's config comes as text.
      return typeof value === "object" ? value : String(value);
    case "list": {
      const items = (Array.isArray(value) ? value : [value]) as readonly Value[];
      const wanted = Array.isArray(like) ? (like as readonly Value[]) : [];
      const normals = items.map((item, index) => normal(property.of, item, wanted[index]));
      return property.unordered === true ? normals.map((one) => JSON.stringify(one)).sort() : normals;
    }
    case "object":
      return normalObject(property.properties, value, like);
  }
}

function normalObject(properties: Properties, value: Value, like?: Value): unknown {
  if (!isObject(value)) return value;
  const compared = Object.entries(properties).filter(
    ([name]) => value[name] != null && (!isObject(like) || like[name] != null),
  );
  return Object.fromEntries(
    compared.map(([name, property]) => [
      name,
      normal(property, value[name], isObject(like) ? like[name] : undefined),
    ]),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // Said by the check.
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, one]) => [name, sorted(one)]));
}
