import type { Values } from "../messages";

/**
 * Copies what a provider answered: a tree of objects, arrays, texts, numbers, booleans and null, which is all that the
 * protocol of the Pulumi CLI carries. Fails, naming the place, where it holds anything else, `undefined` among it: the SDK
 * fails then, too.
 */
export function dataOf(values: object, place: string): Values {
  return copied(values, place) as Values;
}

function copied(value: unknown, place: string): unknown {
  if (value === null || ["string", "number", "boolean"].includes(typeof value)) return value;
  if (Array.isArray(value)) return value.map((each, index) => copied(each, `${place}[${String(index)}]`));
  if (typeof value === "object")
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, copied(each, `${place}.${key}`)]),
    );
  throw new Error(`the provider answered with ${typeof value} at ${place}: only JSON values can be kept`);
}
