import { isObject, UNKNOWN, type Properties, type Property, type Value, type Values } from "./properties";

/** Something wrong with an input. */
export interface Fault {
  /** Where: `rules[0].status`. */
  readonly property: string;
  readonly reason: string;
}

/** Everything that is wrong with the inputs of a resource type. Unknown values are taken for right. */
export function faultsIn(type: string, properties: Properties, values: Values, at = ""): Fault[] {
  const faults: Fault[] = [];
  for (const [name, property] of Object.entries(properties)) {
    const value = values[name];
    if (value !== undefined && value !== null)
      faults.push(...faultsOf(type, property, value, `${at}${name}`));
    else if (property.required === true)
      faults.push({ property: `${at}${name}`, reason: `${type} requires it, and it is not given` });
  }
  for (const name of Object.keys(values)) {
    if (properties[name] !== undefined || values[name] === undefined) continue;
    const known = Object.keys(properties).sort().join(", ");
    faults.push({
      property: `${at}${name}`,
      reason: `the sandbox's AWS does not know this property of ${type}; it knows ${known}`,
    });
  }
  return faults;
}

function faultsOf(type: string, property: Property, value: Value, at: string): Fault[] {
  if (value === UNKNOWN) return [];
  if (property.kind === "list") return faultsOfList(type, property, value, at);
  if (property.kind === "object") {
    return isObject(value)
      ? faultsIn(type, property.properties, value, `${at}.`)
      : [{ property: at, reason: "must be an object" }];
  }
  const reason = reasonAgainst(property, value);
  return reason === null ? [] : [{ property: at, reason }];
}

function faultsOfList(
  type: string,
  property: Extract<Property, { kind: "list" }>,
  value: Value,
  at: string,
): Fault[] {
  if (!Array.isArray(value)) return [{ property: at, reason: "must be a list" }];
  const items = value as readonly Value[];
  const faults = items.flatMap((item, index) => faultsOf(type, property.of, item, `${at}[${String(index)}]`));
  if (items.length > (property.most ?? Infinity))
    faults.push({ property: at, reason: `must have at most ${String(property.most)} entries` });
  return faults;
}

function reasonAgainst(property: Property, value: Value): string | null {
  switch (property.kind) {
    case "text":
      return reasonAgainstText(property, value);
    case "number":
      return reasonAgainstNumber(property, value);
    case "flag":
      return typeof value === "boolean" || value === "true" || value === "false"
        ? null
        : "must be true or false";
    case "json":
      return typeof value === "string" && isJson(value) ? null : "must be a JSON text";
    case "map":
      return isObject(value) && Object.values(value).every((one) => typeof one === "string")
        ? null
        : "must be strings by name";
    default:
      return null;
  }
}

function reasonAgainstText(property: Extract<Property, { kind: "text" }>, value: Value): string | null {
  if (typeof value !== "string") return "must be a string";
  if (property.oneOf !== undefined && !property.oneOf.includes(value))
    return `must be one of ${property.oneOf.join(", ")}, not ${JSON.stringify(value)}`;
  if (property.pattern !== undefined && !property.pattern.test(value))
    return `must match ${String(property.pattern)}, not ${JSON.stringify(value)}`;
  return null;
}

function reasonAgainstNumber(property: Extract<Property, { kind: "number" }>, value: Value): string | null {
  if (typeof value !== "number") return "must be a number";
  const { from = -Infinity, to = Infinity, steps } = property;
  if (value < from || value > to)
    return `must be from ${String(from)} to ${String(to)}, not ${String(value)}`;
  if (steps !== undefined && !steps.includes(value))
    return `must be one of ${steps.join(", ")}, not ${String(value)}`;
  return null;
}

function isJson(value: string): boolean {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}
