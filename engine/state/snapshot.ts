import { EngineError } from "../errors";
import { referencesOf, type OperationType, type PendingOperation, type ResourceState } from "./resource";

/**
 * The state of a stack while a deployment runs: what was there before, what the deployment has made of it so far, and
 * the operations under way. It holds no files and no clocks; whoever uses it decides when to write `resources`.
 *
 * Resources of the deployment come first, in the order in which they were finished, so that a resource always stands
 * behind what it depends on; then those of before that the deployment has not yet come to.
 */
export class Snapshot {
  private base: readonly ResourceState[];
  private readonly finished: ResourceState[] = [];
  private readonly gone = new Set<ResourceState>();
  private readonly operations = new Map<ResourceState, PendingOperation>();

  constructor(base: readonly ResourceState[]) {
    this.base = base;
  }

  /** Notes that a provider is about to be asked; `end` takes the note back. */
  begin(resource: ResourceState, type: OperationType): void {
    this.operations.set(resource, { resource, type });
  }

  /** The provider answered, well or badly: its operation is no longer in doubt. */
  end(resource: ResourceState): void {
    this.operations.delete(resource);
  }

  /** Takes over the new state of a resource, in place of the old one where there is one. */
  put(resource: ResourceState, old?: ResourceState): void {
    if (old) this.gone.add(old);
    this.finished.push(resource);
  }

  /** Takes a resource out of the state. */
  remove(resource: ResourceState): void {
    this.gone.add(resource);
  }

  /** Takes other resources for those of before, in their order. Only a deployment that has not begun yet may. */
  rebase(base: readonly ResourceState[]): void {
    this.base = base;
  }

  /** All resources, dependencies before dependents. */
  get resources(): ResourceState[] {
    return [...this.finished, ...this.base].filter((resource) => !this.gone.has(resource));
  }

  /** Operations that began and did not end. */
  get pendingOperations(): PendingOperation[] {
    return [...this.operations.values()];
  }
}

/**
 * Checks what every state has to fulfil: whatever a resource refers to stands before it, and a URN has at most one
 * entry that is not waiting for its deletion. Fails with all faults.
 */
export function verifyResources(resources: readonly ResourceState[]): void {
  const faults: string[] = [];
  const seen = new Set<string>();
  const live = new Set<string>();
  for (const resource of resources) {
    if (resource.urn === "") faults.push("a resource has no URN");
    for (const reference of referencesOf(resource)) {
      if (!seen.has(reference))
        faults.push(`${resource.urn} refers to ${reference}, which is missing or comes after it`);
    }
    if (!resource.delete && live.has(resource.urn)) faults.push(`${resource.urn} is there twice`);
    if (!resource.delete) live.add(resource.urn);
    seen.add(resource.urn);
  }
  if (faults.length > 0) {
    throw new EngineError(
      `the state is not consistent:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`,
    );
  }
}
