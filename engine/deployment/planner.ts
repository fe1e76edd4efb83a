import { EngineError } from "../errors";
import { referencesOf, type ResourceState } from "../state/resource";
import { applyReplaceOnChanges, isReplacement, type DiffResult } from "../values/diff";

/** The operations of a deployment, by the names that Pulumi gives them. */
export type Op =
  | "same"
  | "create"
  | "update"
  | "delete"
  | "replace"
  | "create-replacement"
  | "delete-replaced"
  | "remove-pending-replace"
  | "read"
  | "read-replacement"
  | "discard"
  | "discard-replaced";

/** One operation on one resource. */
export interface Step {
  readonly op: Op;
  readonly urn: string;
  /** The resource as it was; undefined for `create`. */
  readonly old?: ResourceState | undefined;
  /** The resource as it is to be; undefined for deletions. */
  readonly next?: ResourceState | undefined;
  /** What made the operation necessary. */
  readonly diff?: DiffResult | undefined;
  /** Whether the change was found, not made: the state was brought up to date. Default: false. */
  readonly refreshed?: boolean;
  /** For `delete-replaced`: the resource stays in the state until its replacement is created. */
  readonly pendingReplacement?: boolean;
}

/** What a planned resource's options say. */
export interface PlanOptions {
  /** Undefined means: as the provider says. */
  readonly deleteBeforeReplace: boolean | undefined;
  readonly replaceOnChanges: readonly string[];
  /** True where the resource was deleted already because something that it depends on is deleted first. */
  readonly deletedForDependency: boolean;
  /** Resources that have to go before this one can be deleted first, in the order of their deletion. */
  readonly dependents: readonly ResourceState[];
}

/** A plan that must not be carried out because a resource is protected. */
export class ProtectedError extends EngineError {}

/** Whether the diff, with the resource's options, leads to a replacement. */
export function needsReplacement(
  old: ResourceState,
  diff: DiffResult,
  replaceOnChanges: readonly string[],
): boolean {
  return old.pendingReplacement === true || isReplacement(applyReplaceOnChanges(diff, replaceOnChanges));
}

/** Whether the replacement deletes the old resource first. */
export function deletesFirst(old: ResourceState, diff: DiffResult, option: boolean | undefined): boolean {
  return old.pendingReplacement === true || (option ?? diff.deleteBeforeReplace ?? false);
}

/**
 * Plans one resource: which steps lead from its old state to the wanted one. Pure: providers were asked before. Fails
 * where a replacement would delete a protected resource.
 */
export function planStep(
  old: ResourceState | undefined,
  next: ResourceState,
  providerDiff: DiffResult,
  options: PlanOptions,
): Step[] {
  const { urn } = next;
  if (!old) return [{ op: "create", urn, next }];
  // One that was only read belongs to somebody else: the program's own is another one.
  if (options.deletedForDependency || old.external) {
    return [
      { op: "replace", urn, old, next },
      { op: "create-replacement", urn, old, next },
    ];
  }
  const diff = applyReplaceOnChanges(providerDiff, options.replaceOnChanges);
  if (needsReplacement(old, providerDiff, options.replaceOnChanges))
    return planReplacement(old, next, diff, options);
  if (diff.changed || (old.initErrors?.length ?? 0) > 0) return [{ op: "update", urn, old, next, diff }];
  return [{ op: "same", urn, old, next }];
}

function planReplacement(
  old: ResourceState,
  next: ResourceState,
  diff: DiffResult,
  options: PlanOptions,
): Step[] {
  const { urn } = next;
  if (next.protect && old.protect) throw protectedError(old, `unable to replace resource "${urn}"`);
  const replacement: Step[] = [
    { op: "create-replacement", urn, old, next, diff },
    { op: "replace", urn, old, next, diff },
  ];
  if (!deletesFirst(old, diff, options.deleteBeforeReplace)) return replacement;
  const deletions = options.dependents.flatMap((dependent): Step[] => {
    // By a run that did not end.
    if (dependent.pendingReplacement) return [];
    if (dependent.protect)
      throw protectedError(
        dependent,
        `unable to replace resource "${dependent.urn}" as part of replacing "${urn}"`,
      );
    return [{ op: "delete-replaced", urn: dependent.urn, old: dependent, pendingReplacement: true }];
  });
  if (!old.pendingReplacement)
    deletions.push({ op: "delete-replaced", urn, old, diff, pendingReplacement: true });
  return [...deletions, ...replacement.reverse()];
}

function protectedError(resource: ResourceState, what: string): ProtectedError {
  return new ProtectedError(
    `${what}\nas it is currently marked for protection. To unprotect ${resource.urn}, remove the \`protect\` flag from it in your Pulumi program and run \`pulumi up\``,
  );
}

/**
 * The resources that cannot outlive `root` where it is deleted before its replacement, in the order of their deletion:
 * those that depend on it (directly or not) and of which `mustReplace` says that they are replaced when what they
 * depend on becomes unknown.
 */
export async function dependentsToReplace(
  root: ResourceState,
  resources: readonly ResourceState[],
  isSettled: (urn: string) => boolean,
  mustReplace: (resource: ResourceState, replaced: ReadonlySet<string>) => Promise<boolean>,
): Promise<ResourceState[]> {
  const replaced = new Set([root.urn]);
  const found: ResourceState[] = [];
  // The state is in dependency order, so that one pass meets every dependent after what it depends on.
  for (const resource of resources.slice(resources.indexOf(root) + 1)) {
    if (resource.delete || !resource.custom || isSettled(resource.urn)) continue;
    if (![...referencesOf(resource)].some((urn) => replaced.has(urn))) continue;
    if (!(await mustReplace(resource, replaced))) continue;
    replaced.add(resource.urn);
    found.push(resource);
  }
  return found.reverse();
}

/**
 * Plans a resource that is only read: one of the stack's own that stood in its place has to go, unless it is gone because
 * something that it depended on is deleted first.
 */
export function planRead(
  old: ResourceState | undefined,
  next: ResourceState,
  deletedForDependency: boolean,
): Step[] {
  const { urn } = next;
  const gone = deletedForDependency || old?.pendingReplacement;
  if (!old || gone || old.external || old.id === next.id) return [{ op: "read", urn, old, next }];
  return [
    { op: "read-replacement", urn, old, next },
    { op: "replace", urn, old, next },
  ];
}

/**
 * Plans the deletions at the end of a deployment: the old halves of replacements, and what the program no longer
 * registers. `isSettled` says which URNs the deployment has dealt with.
 */
export function planDeletes(
  resources: readonly ResourceState[],
  isSettled: (urn: string) => boolean,
): Step[] {
  return resources.flatMap((old): Step[] => {
    if (old.delete) return [{ op: old.external ? "discard-replaced" : "delete-replaced", urn: old.urn, old }];
    if (isSettled(old.urn)) return [];
    if (old.external) return [{ op: "discard", urn: old.urn, old }];
    return [{ op: old.pendingReplacement ? "remove-pending-replace" : "delete", urn: old.urn, old }];
  });
}

/** Fails, naming all of them, where a resource that is to be deleted is protected. */
export function refuseProtected(steps: readonly Step[]): void {
  const names = steps.filter(({ op, old }) => op === "delete" && old?.protect).map(({ urn }) => urn);
  if (names.length === 0) return;
  throw new ProtectedError(
    `${names.map((urn) => `resource "${urn}" cannot be deleted`).join("\n")}\nbecause it is protected. To unprotect it, remove the \`protect\` flag from it in your Pulumi program and run \`pulumi up\`. Nothing was deleted`,
  );
}

/** The URNs of all protected resources, and of all that these cannot be without. */
export function protectedClosure(resources: readonly ResourceState[]): ReadonlySet<string> {
  const kept = new Set<string>();
  // The state is in dependency order, so that one pass from its end meets what depends before what it depends on.
  for (const resource of [...resources].reverse()) {
    if (!resource.protect && !kept.has(resource.urn)) continue;
    kept.add(resource.urn);
    for (const urn of referencesOf(resource)) kept.add(urn);
  }
  return kept;
}

/**
 * Orders deletions: groups that are carried out one after the other, the members of a group at the same time. Whatever
 * a resource refers to is deleted after it.
 */
export function scheduleDeletes(steps: readonly Step[]): Step[][] {
  const groups: Step[][] = [];
  let rest = [...steps];
  while (rest.length > 0) {
    const referred = new Set<string>();
    for (const { old } of rest) if (old) for (const urn of referencesOf(old)) referred.add(urn);
    const free = rest.filter(({ urn }) => !referred.has(urn));
    // A well-formed state has no cycles; should one have, it is better to delete in state order than never to end.
    const group = free.length > 0 ? free : rest.slice(-1);
    groups.push(group);
    rest = rest.filter((step) => !group.includes(step));
  }
  return groups;
}
