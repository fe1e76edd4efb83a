import {
  containsSecret,
  isMap,
  isSecret,
  secret,
  signatureOf,
  type PropertyMap,
} from "../../values/property";

/**
 * Marks a value as secret where the value of the same name holds a secret, for a provider that takes no marks. Objects
 * are gone through, so that one secret does not make all of an object one; a list is marked as a whole, for its order
 * may be another.
 */
export function markLike(values: PropertyMap, like: PropertyMap): PropertyMap {
  const marked = Object.entries(values).map(([key, value]) => {
    const model = Object.hasOwn(like, key) ? like[key] : undefined;
    if (isPlainMap(value) && isPlainMap(model)) return [key, markLike(value, model)];
    return [key, !isSecret(value) && containsSecret(model) ? secret(value) : value];
  });
  return Object.fromEntries(marked) as PropertyMap;
}

function isPlainMap(value: PropertyMap[string] | undefined): value is PropertyMap {
  return isMap(value) && signatureOf(value) === undefined;
}
