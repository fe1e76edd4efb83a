import type { ResourceState } from "../state/resource";
import { fromProgram, type PropertyMap } from "../values/property";
import type { Goal, ReadGoal } from "./goal";

/** What a resource's state takes over. */
export interface Before {
  /** The resource as it was. */
  readonly old: ResourceState | undefined;
  /** The resource's parent as it is now. */
  readonly parent: ResourceState | undefined;
}

/** The state that a goal asks for, still without its inputs, which have to be checked. `provider` is `URN::ID` or empty. */
export function wantedState(
  urn: string,
  goal: Goal,
  provider: string,
  { old, parent }: Before,
): ResourceState {
  return {
    urn,
    custom: goal.custom,
    type: goal.type,
    parent: goal.parent,
    protect: goal.protect ?? parent?.protect ?? false,
    retainOnDelete: goal.retainOnDelete ?? parent?.retainOnDelete ?? false,
    dependencies: [...goal.dependencies],
    provider,
    propertyDependencies: { ...goal.propertyDependencies },
    additionalSecretOutputs: [...goal.additionalSecretOutputs],
    customTimeouts: goal.customTimeouts,
    deletedWith: goal.deletedWith || (parent?.deletedWith ?? ""),
    sourcePosition: goal.sourcePosition,
    ignoreChanges: [...goal.ignoreChanges],
    replaceOnChanges: [...goal.replaceOnChanges],
    ...(old?.carried ? { carried: old.carried } : {}),
  };
}

/** The state of a resource that is only read, still without what is found. */
export function readState(urn: string, goal: ReadGoal, provider: string): ResourceState {
  return {
    urn,
    custom: true,
    id: goal.id,
    type: goal.type,
    inputs: fromProgram(goal.inputs) as PropertyMap,
    parent: goal.parent,
    external: true,
    dependencies: [...goal.dependencies],
    provider,
    additionalSecretOutputs: [...goal.additionalSecretOutputs],
    sourcePosition: goal.sourcePosition,
  };
}
