import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { isMap, type PropertyMap, type PropertyValue } from "../../values/property";
import type { CheckFailure } from "../provider";
import { bcrypt } from "./bcrypt";
import { randomText, shuffle, type TextOptions } from "./text";

/** What an input has to be. `count` is a whole number of 0 or more, `positive` of 1 or more. */
export type InputType = "flag" | "count" | "positive" | "integer" | "text" | "texts" | "map";

/** What a resource is when it is made. */
export interface Generated {
  readonly id: string;
  /** The outputs that are no inputs. */
  readonly outputs: PropertyMap;
}

/** One resource type of the package. Inputs come without secret marks; those that are not yet known are left out. */
export interface Kind {
  readonly inputs: Readonly<Record<string, InputType>>;
  readonly required: readonly string[];
  /** Outputs that are no inputs, by whether they are secret. */
  readonly computed: Readonly<Record<string, "open" | "secret">>;
  /** Outputs that hold always the same. */
  readonly fixed?: PropertyMap;
  /** What stands in the outputs for inputs that are missing. */
  readonly defaults?: (inputs: PropertyMap) => PropertyMap;
  /** Faults beyond those of single inputs. */
  readonly check?: (inputs: PropertyMap) => CheckFailure[];
  readonly generate: (inputs: PropertyMap) => Generated;
}

const UUID: Omit<Kind, "generate"> = {
  inputs: { keepers: "map" },
  required: [],
  computed: { id: "open", result: "open" },
};

const TEXT: Pick<Kind, "inputs" | "required" | "defaults" | "check"> = {
  inputs: {
    keepers: "map",
    length: "positive",
    ...{ lower: "flag", upper: "flag", number: "flag", numeric: "flag", special: "flag" },
    ...{ minLower: "count", minUpper: "count", minNumeric: "count", minSpecial: "count" },
    overrideSpecial: "text",
  },
  required: ["length"],
  defaults: (inputs) => {
    // Two names of one switch.
    const numeric = inputs["numeric"] ?? inputs["number"] ?? true;
    const flags = { lower: true, upper: true, special: true, numeric, number: numeric };
    return { ...flags, minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0 };
  },
  check: checkText,
};

/** The resource types, by the last part of their names. Those that are missing are refused. */
export const KINDS: Readonly<Record<string, Kind>> = {
  RandomBytes: {
    inputs: { keepers: "map", length: "positive" },
    required: ["length"],
    computed: { base64: "secret", hex: "secret" },
    generate: ({ length }) => {
      const bytes = randomBytes(Number(length));
      const base64 = bytes.toString("base64");
      // The real provider, too, has the secret for its id.
      return { id: base64, outputs: { base64, hex: bytes.toString("hex") } };
    },
  },
  RandomId: {
    inputs: { keepers: "map", byteLength: "positive", prefix: "text" },
    required: ["byteLength"],
    computed: { id: "open", b64Std: "open", b64Url: "open", dec: "open", hex: "open" },
    generate: generateId,
  },
  RandomInteger: {
    inputs: { keepers: "map", min: "integer", max: "integer", seed: "text" },
    required: ["min", "max"],
    computed: { id: "open", result: "open" },
    check: (inputs) => [...checkRange(inputs), ...refuseSeed(inputs)],
    generate: ({ min, max }) => {
      const result = randomInt(Number(min), Number(max) + 1);
      return { id: String(result), outputs: { id: String(result), result } };
    },
  },
  RandomPassword: {
    ...TEXT,
    computed: { id: "open", result: "secret", bcryptHash: "secret" },
    fixed: { __meta: '{"schema_version":"3"}' },
    generate: (inputs) => {
      const result = randomText(inputs as unknown as TextOptions);
      return { id: "none", outputs: { id: "none", result, bcryptHash: bcrypt(result) } };
    },
  },
  RandomShuffle: {
    inputs: { keepers: "map", inputs: "texts", resultCount: "count", seed: "text" },
    required: ["inputs"],
    computed: { id: "open", results: "open" },
    check: refuseSeed,
    generate: ({ inputs, resultCount }) => ({
      id: "-",
      outputs: { id: "-", results: permutations(inputs as string[], Number(resultCount ?? 0)) },
    }),
  },
  RandomString: {
    ...TEXT,
    computed: { id: "open", result: "open" },
    fixed: { __meta: '{"schema_version":"2"}' },
    generate: (inputs) => same(randomText(inputs as unknown as TextOptions)),
  },
  // Sixteen random bytes, none of which says the version: the type is older than `RandomUuid4`.
  RandomUuid: {
    ...UUID,
    generate: () =>
      same(
        randomBytes(16)
          .toString("hex")
          .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
      ),
  },
  RandomUuid4: { ...UUID, generate: () => same(randomUUID()) },
};

function same(result: string): Generated {
  return { id: result, outputs: { id: result, result } };
}

function generateId({ byteLength, prefix }: PropertyMap): Generated {
  const bytes = randomBytes(Number(byteLength));
  const [start, id] = [typeof prefix === "string" ? prefix : "", bytes.toString("base64url")];
  const hex = bytes.toString("hex");
  return {
    id,
    outputs: {
      id,
      b64Std: start + bytes.toString("base64"),
      b64Url: start + id,
      dec: start + BigInt(`0x${hex}`).toString(),
      hex: start + hex,
    },
  };
}

/** Elements in random order; where more are wanted than there are, one order after the other. 0 means all, once. */
function permutations(elements: readonly string[], count: number): string[] {
  const results: string[] = [];
  const wanted = elements.length === 0 ? 0 : count || elements.length;
  while (results.length < wanted) results.push(...shuffle(elements));
  return results.slice(0, wanted);
}

function checkText(inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const numberOf = (key: string): number => (typeof inputs[key] === "number" ? inputs[key] : 0);
  const minima = ["minLower", "minUpper", "minNumeric", "minSpecial"];
  const least = minima.reduce((sum, key) => sum + numberOf(key), 0);
  if (typeof inputs["length"] === "number" && inputs["length"] < least) {
    failures.push({
      property: "length",
      reason: `has to be at least ${String(least)}, the sum of the minima`,
    });
  }
  const { number, numeric } = inputs;
  if (number !== undefined && numeric !== undefined && number !== numeric)
    failures.push({ property: "number", reason: "is another name of numeric, and says something else" });
  if (["lower", "upper", "special"].every((key) => inputs[key] === false) && (numeric ?? number) === false)
    failures.push({ property: "special", reason: "one of upper, lower, numeric and special has to be on" });
  return failures;
}

/** The widest range that Node's generator covers without favouring any number. */
const WIDEST = 2 ** 48;

function checkRange({ min, max }: PropertyMap): CheckFailure[] {
  if (typeof min !== "number" || typeof max !== "number") return [];
  if (max < min) return [{ property: "max", reason: "has to be at least min" }];
  if (max - min < WIDEST - 1) return [];
  return [{ property: "max", reason: "too far from min for the embedded engine (2^48)" }];
}

/** The same seed has to give the same numbers everywhere, and they come from Go's generator. */
function refuseSeed({ seed }: PropertyMap): CheckFailure[] {
  if (seed === undefined || seed === "") return [];
  return [{ property: "seed", reason: "not supported by the embedded engine. Use the Pulumi CLI" }];
}

/** What is wrong with a single input; undefined where nothing is. */
export function inputFault(type: InputType, value: PropertyValue): string | undefined {
  switch (type) {
    case "flag":
      return typeof value === "boolean" ? undefined : "has to be true or false";
    case "text":
      return typeof value === "string" ? undefined : "has to be a string";
    case "texts":
      return Array.isArray(value) && value.every((each) => typeof each === "string")
        ? undefined
        : "has to be a list of strings";
    case "map":
      return isMap(value) && Object.values(value).every((each) => typeof each === "string")
        ? undefined
        : "has to be a map of strings";
    default:
      return numberFault(type, value);
  }
}

function numberFault(type: "count" | "positive" | "integer", value: PropertyValue): string | undefined {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) return "has to be a whole number";
  if (type === "positive" && value < 1) return "has to be at least 1";
  return type === "count" && value < 0 ? "has to be at least 0" : undefined;
}
