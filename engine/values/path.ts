import { isMap, type PropertyMap, type PropertyValue } from "./property";

/** One step of a property path: a key, an index, or `*` for all keys or indices. */
export type PathElement = string | number;

/**
 * Parses a property path as Pulumi writes it: `root.nested`, `list[0]`, `list[*]`, `root["a key.with dots"]`.
 * Throws where the text is not a path.
 */
export function parsePath(text: string): PathElement[] {
  const elements: PathElement[] = [];
  const pattern = /\.?([^.[\]"]+)|\[(\d+)\]|\[\*\]|\["((?:[^"\\]|\\.)*)"\]/gy;
  let position = 0;
  while (position < text.length) {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (!match) throw new Error(`"${text}" is not a property path: unexpected "${text.slice(position)}"`);
    if (match[1] !== undefined) elements.push(match[1]);
    else if (match[2] !== undefined) elements.push(Number(match[2]));
    else if (match[3] !== undefined) elements.push(match[3].replace(/\\(.)/g, "$1"));
    else elements.push("*");
    position = pattern.lastIndex;
  }
  return elements;
}

/** Writes a path as text, the opposite of `parsePath`. */
export function formatPath(elements: readonly PathElement[]): string {
  return elements.reduce<string>((text, element) => {
    if (typeof element === "number") return `${text}[${String(element)}]`;
    if (!/^[^.[\]"\\]+$/.test(element)) return `${text}["${element.replace(/["\\]/g, "\\$&")}"]`;
    return text === "" ? element : `${text}.${element}`;
  }, "");
}

/** Whether `outer` names `inner` or something that holds it; `*` matches any one element. */
export function pathContains(outer: readonly PathElement[], inner: readonly PathElement[]): boolean {
  if (outer.length > inner.length) return false;
  return outer.every((element, index) => element === "*" || String(element) === String(inner[index]));
}

/**
 * Returns `properties` with the value at the path taken from `source`, as `ignoreChanges` asks: a value that `source`
 * lacks is removed. Returns undefined where the path leads through something that one of the two does not have.
 */
export function resetPath(
  properties: PropertyMap,
  source: PropertyMap,
  path: readonly PathElement[],
): PropertyMap | undefined {
  return resetIn(properties, source, path) as PropertyMap | undefined;
}

function resetIn(
  target: PropertyValue | undefined,
  source: PropertyValue | undefined,
  path: readonly PathElement[],
): PropertyValue | undefined {
  const [head, ...rest] = path;
  if (head === undefined) return source;
  if (Array.isArray(target) && Array.isArray(source)) return resetInList(target, source, head, rest);
  if (!isMap(target) || !isMap(source)) return undefined;
  const keys = head === "*" ? [...new Set([...Object.keys(target), ...Object.keys(source)])] : [String(head)];
  const result: PropertyMap = { ...target };
  for (const key of keys) {
    if (rest.length === 0) {
      const value = source[key];
      if (value === undefined) Reflect.deleteProperty(result, key);
      else result[key] = value;
      continue;
    }
    const changed = resetIn(target[key], source[key], rest);
    if (changed === undefined) return undefined;
    result[key] = changed;
  }
  return result;
}

function resetInList(
  target: PropertyValue[],
  source: PropertyValue[],
  head: PathElement,
  rest: readonly PathElement[],
): PropertyValue | undefined {
  if (head === "*" && target.length !== source.length) return undefined;
  const indices = head === "*" ? target.keys() : [Number(head)];
  const result = [...target];
  for (const index of indices) {
    if (!(index in target) || !(index in source)) return undefined;
    const changed = resetIn(target[index], source[index], rest);
    if (changed === undefined) return undefined;
    result[index] = changed;
  }
  return result;
}
