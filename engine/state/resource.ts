import type { PropertyMap } from "../values/property";
import { parseProviderReference } from "./urn";

/** Time limits of a resource's operations in seconds; a missing one means the provider's default. */
export interface CustomTimeouts {
  readonly create?: number;
  readonly update?: number;
  readonly delete?: number;
}

/** A resource as the state keeps it. The names are those of Pulumi's state format. */
export interface ResourceState {
  urn: string;
  /** True for a resource that a provider manages, false for a component. */
  custom: boolean;
  /** True for the old half of a replacement, which is still to be deleted. */
  delete?: boolean;
  id?: string;
  type: string;
  inputs?: PropertyMap;
  outputs?: PropertyMap;
  parent?: string;
  protect?: boolean;
  external?: boolean;
  dependencies?: string[];
  initErrors?: string[];
  /** The provider that manages it, `URN::ID`. */
  provider?: string;
  /** URNs that each input depends on, by the input's key. */
  propertyDependencies?: Record<string, string[]>;
  /** True for a resource that was deleted first and is still to be created again. */
  pendingReplacement?: boolean;
  additionalSecretOutputs?: string[];
  customTimeouts?: CustomTimeouts;
  retainOnDelete?: boolean;
  deletedWith?: string;
  /** RFC 3339 times of the first creation and the last change. */
  created?: string;
  modified?: string;
  sourcePosition?: string;
  ignoreChanges?: string[];
  replaceOnChanges?: string[];
  /** Keys of the state format that this engine carries along but does not use. */
  carried?: Readonly<Record<string, unknown>>;
}

/** The kinds of operation that a crash can leave unfinished. */
export type OperationType = "creating" | "updating" | "deleting" | "reading" | "importing";

/** An operation that began and whose end is not known. */
export interface PendingOperation {
  readonly resource: ResourceState;
  readonly type: OperationType;
}

/** Every URN that has to exist for this resource to exist: provider, parent, dependencies, `deletedWith`. */
export function referencesOf(resource: ResourceState): Set<string> {
  const references = new Set(resource.dependencies ?? []);
  for (const urns of Object.values(resource.propertyDependencies ?? {}))
    for (const urn of urns) references.add(urn);
  if (resource.parent) references.add(resource.parent);
  if (resource.provider) references.add(parseProviderReference(resource.provider).urn);
  if (resource.deletedWith) references.add(resource.deletedWith);
  references.delete(resource.urn);
  return references;
}
