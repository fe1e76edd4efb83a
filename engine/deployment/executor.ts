import { EngineError, messageOf } from "../errors";
import { PartialFailure, type OldResource, type Provider, type ProviderContext } from "../providers/provider";
import { isProviderType, parseUrn } from "../state/urn";
import type { ResourceState } from "../state/resource";
import type { Snapshot } from "../state/snapshot";
import { sameValue } from "../values/diff";
import { maskStrings, secret, secretStrings, UNKNOWN, type PropertyMap } from "../values/property";
import type { DeploymentEvents } from "./events";
import type { Journal } from "./journal";
import type { Op, Step } from "./planner";
import { Semaphore } from "./semaphore";

/** What an executor works with. */
export interface ExecutorOptions {
  readonly snapshot: Snapshot;
  readonly journal: Journal;
  readonly events: DeploymentEvents;
  /** The provider of a custom resource; undefined where the engine itself manages it. */
  readonly provider: (resource: ResourceState) => Promise<Provider>;
  /** The program's directory. */
  readonly directory: string;
  /** True in a preview. */
  readonly dryRun: boolean;
  /** How many providers may be asked at a time. */
  readonly parallel: number;
  /** Aborted where operations under way have to stop at once. */
  readonly signal: AbortSignal;
  readonly now: () => Date;
}

const DELETIONS: readonly Op[] = ["delete", "delete-replaced", "discard", "discard-replaced"];

/** Carries out steps: asks providers and takes what they answer into the snapshot, each step on the disk when it ends. */
export class Executor {
  private readonly slots: Semaphore;

  constructor(private readonly options: ExecutorOptions) {
    this.slots = new Semaphore(options.parallel);
  }

  /**
   * Carries out a step. Fails with the provider's message, in which the resource's secrets are masked.
   * @param requireGoing Throws where no step may begin any more.
   */
  async execute(
    step: Step,
    isDeleted: (urn: string) => boolean = () => false,
    requireGoing: () => void = () => undefined,
  ): Promise<void> {
    const { events } = this.options;
    await this.slots.run(async () => {
      // It may have waited long for its turn.
      requireGoing();
      const began = performance.now();
      events.stepStarted(step);
      try {
        await this.carryOut(step, isDeleted);
      } catch (error) {
        const failure = maskedFailure(error, step);
        events.stepFinished(step, (performance.now() - began) / 1000, failure.message);
        throw failure;
      }
      events.stepFinished(step, (performance.now() - began) / 1000);
    });
  }

  /** The context in which a provider is asked about a resource. */
  contextFor({ urn, type, ignoreChanges = [] }: ResourceState, timeoutSeconds?: number): ProviderContext {
    const { directory, dryRun, signal, events } = this.options;
    return {
      urn,
      type,
      name: parseUrn(urn).name,
      directory,
      dryRun,
      timeoutSeconds,
      ignoreChanges,
      signal,
      log: (severity, message) => {
        events.message(severity, urn, message);
      },
    };
  }

  private async carryOut(step: Step, isDeleted: (urn: string) => boolean): Promise<void> {
    const { op, old, next } = step;
    if (op === "same" && old && next) await this.keep(old, next);
    else if (op === "update" && old && next) await this.update(old, next);
    else if ((op === "create" || op === "create-replacement") && next) await this.create(next, old);
    else if ((op === "read" || op === "read-replacement") && next) await this.read(step, next, old);
    else if (DELETIONS.includes(op) && old) await this.delete(step, old, isDeleted);
    else if (op === "remove-pending-replace" && old) {
      this.options.snapshot.remove(old);
      await this.options.journal.save();
    }
  }

  private async keep(old: ResourceState, next: ResourceState): Promise<void> {
    // A component's outputs come later, by registerOutputs; until then the old ones hold.
    Object.assign(next, pick(old, ["id", "outputs", "initErrors", "created", "modified"]));
    // What the program calls secret from now on is one, although nothing else has changed.
    if (next.outputs) next.outputs = markSecrets(next, next.outputs);
    if (isProviderType(next.type)) {
      const provider = await this.options.provider(next);
      await provider.keep?.(this.contextFor(next), oldResource(next));
    }
    this.options.snapshot.put(next, old);
  }

  private async create(next: ResourceState, old: ResourceState | undefined): Promise<void> {
    const { snapshot, journal, now } = this.options;
    let failure: PartialFailure | undefined;
    if (next.custom) {
      const provider = await this.options.provider(next);
      const made = await this.during(next, "creating", () =>
        provider
          .create(this.contextFor(next, next.customTimeouts?.create), next.inputs ?? {})
          .catch(partialFailure),
      );
      failure = noteFailure(next, made);
      next.id = made.id;
      next.outputs = markSecrets(next, made.outputs);
    }
    next.created = next.modified = now().toISOString();
    if (old?.pendingReplacement) {
      snapshot.put(next, old);
    } else {
      // From here on there are two: the new one, and the old one that waits for its deletion. A deployment owns its
      // copy of the state, so that this holds in a preview too.
      if (old) old.delete = true;
      snapshot.put(next);
    }
    await journal.save();
    if (failure) throw failure;
  }

  private async update(old: ResourceState, next: ResourceState): Promise<void> {
    const { snapshot, journal, now } = this.options;
    Object.assign(next, pick(old, ["id", "created"]));
    let failure: PartialFailure | undefined;
    if (next.custom) {
      const provider = await this.options.provider(next);
      const context = this.contextFor(next, next.customTimeouts?.update);
      const made = await this.during(next, "updating", () =>
        provider
          .update(context, oldResource(old), next.inputs ?? {})
          .then((outputs) => ({ outputs }), partialFailure),
      );
      failure = noteFailure(next, made);
      next.outputs = markSecrets(next, made.outputs);
    } else if (old.outputs) {
      next.outputs = old.outputs;
    }
    next.modified = now().toISOString();
    snapshot.put(next, old);
    await journal.save();
    if (failure) throw failure;
  }

  /** Finds a resource that is somebody else's: in a preview, too, for nothing is changed by it. */
  private async read(step: Step, next: ResourceState, old: ResourceState | undefined): Promise<void> {
    const { snapshot, journal, now } = this.options;
    Object.assign(next, pick(old ?? next, ["created", "modified"]));
    if (next.id === UNKNOWN) {
      next.outputs = {};
    } else {
      const provider = await this.options.provider(next);
      const { id = "", inputs = {} } = next;
      if (!provider.read)
        throw new EngineError(`the embedded engine cannot read resources of type ${next.type}`);
      const found = await provider.read(this.contextFor(next), { id, inputs, outputs: inputs });
      if (!found) throw new EngineError(`resource '${id}' does not exist`);
      next.id = found.id;
      const known = found.unknown && old?.id === id ? old.outputs : undefined;
      next.outputs = known ?? markSecrets(next, found.outputs);
    }
    const changed = !sameValue(next.inputs, old?.inputs) || !sameValue(next.outputs, old?.outputs);
    if (old && changed) next.modified = now().toISOString();
    if (step.op === "read-replacement" && old) {
      old.delete = true;
      snapshot.put(next);
    } else {
      snapshot.put(next, old);
    }
    await journal.save();
  }

  private async delete(step: Step, old: ResourceState, isDeleted: (urn: string) => boolean): Promise<void> {
    const { snapshot, journal } = this.options;
    const spared =
      old.retainOnDelete === true || (old.deletedWith !== undefined && isDeleted(old.deletedWith));
    if (old.custom && !old.external && !spared) {
      const provider = await this.options.provider(old);
      await this.during(old, "deleting", () =>
        provider.delete(this.contextFor(old, old.customTimeouts?.delete), oldResource(old)),
      );
    }
    if (step.pendingReplacement) {
      old.pendingReplacement = true;
    } else {
      snapshot.remove(old);
    }
    await journal.save();
  }

  /** Keeps a note of the operation in the state while the provider is at it. */
  private async during<T>(
    resource: ResourceState,
    type: "creating" | "updating" | "deleting",
    ask: () => Promise<T>,
  ): Promise<T> {
    const { snapshot, journal, dryRun } = this.options;
    // The engine's own provider resources have no outside that could be left half done.
    if (dryRun || isProviderType(resource.type)) return ask();
    // A copy: the note must not change when the outputs arrive, and the old resource stays where it is.
    const noted = { ...resource };
    snapshot.begin(noted, type);
    await journal.save();
    try {
      return await ask();
    } finally {
      snapshot.end(noted);
    }
  }
}

/** Lets a partial failure pass as a result: there is a resource to be kept. */
function partialFailure(error: unknown): PartialFailure {
  if (error instanceof PartialFailure) return error;
  throw error;
}

/** Notes in the resource why it is not ready, and gives that back as a failure, where it is one. */
function noteFailure(resource: ResourceState, result: object): PartialFailure | undefined {
  if (!(result instanceof PartialFailure)) return undefined;
  resource.initErrors = [...result.reasons];
  return result;
}

function oldResource({ id = "", inputs = {}, outputs = {} }: ResourceState): OldResource {
  return { id, inputs, outputs };
}

function pick<K extends keyof ResourceState>(
  resource: ResourceState,
  keys: readonly K[],
): Pick<ResourceState, K> {
  return Object.fromEntries(
    keys.flatMap((key) => (resource[key] === undefined ? [] : [[key, resource[key]]])),
  ) as Pick<ResourceState, K>;
}

/** Outputs with the marks that a resource's options ask for. */
export function markSecrets(resource: ResourceState, outputs: PropertyMap): PropertyMap {
  const marked = { ...outputs };
  for (const key of resource.additionalSecretOutputs ?? []) {
    const value = marked[key];
    if (value !== undefined) marked[key] = secret(value);
  }
  return marked;
}

/** A failure without the secrets of the resource that it is about. */
export function maskedFailure(error: unknown, step: Step): Error {
  return new Error(maskStrings(messageOf(error), secretsOf(step)), { cause: error });
}

/** Every string that a message about the step must not hold. */
function secretsOf({ old, next }: Step): Set<string> {
  const maps = [old?.inputs, old?.outputs, next?.inputs, next?.outputs];
  return new Set(maps.flatMap((map) => (map ? [...secretStrings(map)] : [])));
}
