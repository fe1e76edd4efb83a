import { isDeepStrictEqual } from "node:util";
import { formatPath, parsePath, pathContains, type PathElement } from "./path";
import { isMap, signatureOf, unwrapSecrets, type PropertyMap, type PropertyValue } from "./property";

/** How one property changed; the `-replace` kinds force a replacement. */
export type DiffKind = "add" | "delete" | "update" | "add-replace" | "delete-replace" | "update-replace";

/** What a provider says about a change. */
export interface DiffResult {
  /** Whether anything changed. */
  readonly changed: boolean;
  /** Top-level keys that changed. */
  readonly changedKeys: readonly string[];
  /** Top-level keys whose change forces a replacement. */
  readonly replaceKeys: readonly string[];
  /** Kind of change by property path; undefined where the provider gives no details. */
  readonly detailed?: Readonly<Record<string, DiffKind>>;
  /** Whether a replacement has to delete the old resource first. Default: false. */
  readonly deleteBeforeReplace?: boolean;
}

/** The result that says "nothing changed". */
export const NO_DIFF: DiffResult = { changed: false, changedKeys: [], replaceKeys: [] };

/** Whether two values are the same once the secret marks are taken off. */
export function sameValue(a: PropertyValue | undefined, b: PropertyValue | undefined): boolean {
  const bare = (value: PropertyValue | undefined): PropertyValue | undefined =>
    value === undefined ? undefined : unwrapSecrets(value);
  return isDeepStrictEqual(bare(a), bare(b));
}

/** A changed leaf: where, and its values before and after (undefined where there is none). */
export interface Change {
  readonly path: readonly PathElement[];
  readonly before: PropertyValue | undefined;
  readonly after: PropertyValue | undefined;
}

/** The leaves in which two maps differ, secrets compared by their content; signed objects (assets) count as leaves. */
export function changesBetween(before: PropertyMap, after: PropertyMap): Change[] {
  const changes: Change[] = [];
  compare(before, after, [], changes);
  return changes;
}

function compare(
  before: PropertyValue | undefined,
  after: PropertyValue | undefined,
  path: readonly PathElement[],
  changes: Change[],
): void {
  if (sameValue(before, after)) return;
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let index = 0; index < length; index++)
      compare(before[index], after[index], [...path, index], changes);
  } else if (isPlainMap(before) && isPlainMap(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    for (const key of keys) compare(before[key], after[key], [...path, key], changes);
  } else {
    changes.push({ path, before, after });
  }
}

function isPlainMap(value: PropertyValue | undefined): value is PropertyMap {
  return isMap(value) && signatureOf(value) === undefined;
}

/** The diff of a provider that has no opinion of its own: what changed, with a kind for every leaf. */
export function diffOf(before: PropertyMap, after: PropertyMap): DiffResult {
  const changes = changesBetween(before, after);
  if (changes.length === 0) return NO_DIFF;
  const detailed: Record<string, DiffKind> = {};
  for (const change of changes) detailed[formatPath(change.path)] = kindOf(change);
  return { changed: true, changedKeys: topLevelKeys(changes), replaceKeys: [], detailed };
}

function kindOf(change: Change): DiffKind {
  if (change.before === undefined) return "add";
  return change.after === undefined ? "delete" : "update";
}

function topLevelKeys(changes: readonly Change[]): string[] {
  return [...new Set(changes.map((change) => String(change.path[0])))];
}

/**
 * Marks the changes under the given paths as replacing, as the `replaceOnChanges` option asks. Throws where one of the
 * paths cannot be parsed.
 */
export function applyReplaceOnChanges(diff: DiffResult, replaceOnChanges: readonly string[]): DiffResult {
  if (!diff.changed || replaceOnChanges.length === 0) return diff;
  const paths = replaceOnChanges.map(parsePath);
  const replaces = (path: readonly PathElement[]): boolean =>
    paths.some((outer) => pathContains(outer, path));
  const replaceKeys = new Set(diff.replaceKeys);
  for (const key of diff.changedKeys) if (replaces([key])) replaceKeys.add(key);
  const detailed = Object.entries(diff.detailed ?? {}).map(([path, kind]): [string, DiffKind] => {
    const elements = parsePath(path);
    return [path, !replaces(elements) || kind.endsWith("-replace") ? kind : (`${kind}-replace` as DiffKind)];
  });
  return {
    ...diff,
    replaceKeys: [...replaceKeys],
    ...(diff.detailed === undefined ? {} : { detailed: Object.fromEntries(detailed) }),
  };
}

/** Whether the diff asks for a replacement. */
export function isReplacement(diff: DiffResult): boolean {
  return replacementReasons(diff).length > 0;
}

/** The keys and paths whose change forces a replacement. */
export function replacementReasons({ replaceKeys, detailed = {} }: DiffResult): string[] {
  const paths = Object.keys(detailed).filter((path) => detailed[path]?.endsWith("-replace"));
  return [...new Set([...replaceKeys, ...paths])];
}
