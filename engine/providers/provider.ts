import type { PropertyMap } from "../values/property";
import type { DiffResult } from "../values/diff";

/** How grave a message is. */
export type Severity = "debug" | "info" | "warning" | "error";

/** What a provider gets with every request about a resource. */
export interface ProviderContext {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** The program's directory, where relative paths start. */
  readonly directory: string;
  /** True in a preview: nothing outside may change. */
  readonly dryRun: boolean;
  /** Time limit of the operation in seconds; undefined means none. */
  readonly timeoutSeconds?: number | undefined;
  /** Paths of inputs whose changes the program does not want; what is asked about has their old values already. */
  readonly ignoreChanges: readonly string[];
  /** Aborted where the user wants the operation to stop at once. */
  readonly signal: AbortSignal;
  /** Shows a message beside the resource. */
  readonly log: (severity: Severity, message: string) => void;
}

/** An input that a provider rejects. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

/** The answer of `check`. */
export interface CheckResult {
  /** The inputs with defaults and secret marks put in. */
  readonly inputs: PropertyMap;
  readonly failures: readonly CheckFailure[];
}

/** The answer of `create`. */
export interface CreateResult {
  /** Empty in a preview that cannot know it. */
  readonly id: string;
  readonly outputs: PropertyMap;
}

/**
 * A `create` or `update` that did its work by half: the resource exists, and is not what it is to be. It is kept, and
 * the next run updates it whether or not anything else has changed.
 */
export class PartialFailure extends Error {
  /** `reasons` say what is missing; there is at least one. */
  constructor(
    readonly id: string,
    readonly outputs: PropertyMap,
    readonly reasons: readonly string[],
    /** The inputs as the provider knows them, where it says so. */
    readonly inputs?: PropertyMap,
  ) {
    super(`the resource exists, but is not ready: ${reasons.join("; ")}`);
    this.name = "PartialFailure";
  }
}

/** The answer of `read`. */
export interface ReadResult {
  readonly id: string;
  readonly outputs: PropertyMap;
  /** Undefined means: as they were. */
  readonly inputs?: PropertyMap;
  /** Why the resource is not ready; none where it is. */
  readonly initErrors?: readonly string[];
  /** True where nobody was asked, so that what was known before counts. Default: false. */
  readonly unknown?: boolean;
}

/** The answer of `invoke`. */
export interface InvokeResult {
  readonly outputs: PropertyMap;
  readonly failures: readonly CheckFailure[];
  /** True where a preview cannot know the outputs. Default: false. */
  readonly unknown?: boolean;
}

/** A resource as it was before the operation. */
export interface OldResource {
  readonly id: string;
  readonly inputs: PropertyMap;
  readonly outputs: PropertyMap;
}

/**
 * Manages the resources of one package. Values come with their secret marks (the methods unwrap what they use and keep
 * the marks in what they return) and, in a preview, with unknowns.
 */
export interface Provider {
  /**
   * Validates inputs. `old` is undefined for a resource that is to be made anew. `seed` is what made-up names are drawn
   * from: 32 bytes, the same for one resource in one run.
   */
  check(
    context: ProviderContext,
    old: PropertyMap | undefined,
    inputs: PropertyMap,
    seed: Buffer,
  ): Promise<CheckResult>;
  /** Compares the old resource with checked inputs. */
  diff(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult>;
  create(context: ProviderContext, inputs: PropertyMap): Promise<CreateResult>;
  /** Returns the new outputs. */
  update(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap>;
  delete(context: ProviderContext, old: OldResource): Promise<void>;
  /** Hears that a resource stays as it is. Absent where that is of no use. */
  keep?(context: ProviderContext, resource: OldResource): Promise<void>;
  /** Finds a resource as it is now; undefined where it is gone. Absent where the provider cannot look. */
  read?(context: ProviderContext, resource: OldResource): Promise<ReadResult | undefined>;
  /** Calls a function of the package. Absent where it has none. */
  invoke?(token: string, args: PropertyMap, dryRun: boolean): Promise<InvokeResult>;
  /** Gives back what the provider holds (connections, processes). */
  close(): Promise<void>;
}
