import { randomUUID } from "node:crypto";
import { EngineError, messageOf } from "../errors";
import type { CheckResult, Provider } from "../providers/provider";
import type { ProviderRegistry } from "../providers/registry";
import type { ResourceState } from "../state/resource";
import type { Snapshot } from "../state/snapshot";
import { isProviderType, makeUrn, packageOf, parseProviderReference, PROVIDER_TYPE_PREFIX, STACK_TYPE } from "../state/urn";
import { hashAssets } from "../values/asset";
import { diffOf, NO_DIFF, sameValue, type DiffResult } from "../values/diff";
import { parsePath, resetPath } from "../values/path";
import { fromProgram, UNKNOWN, type PropertyMap } from "../values/property";
import type { DeploymentEvents } from "./events";
import type { Executor } from "./executor";
import type { Goal } from "./goal";
import type { Journal } from "./journal";
import {
  deletesFirst,
  dependentsToReplace,
  needsReplacement,
  planDeletes,
  planStep,
  refuseProtected,
  scheduleDeletes,
  type Step,
} from "./planner";
import { ProviderResources } from "./provider-resources";
import { Semaphore } from "./semaphore";

/** What a deployment works with. */
export interface DeploymentOptions {
  readonly project: string;
  readonly stack: string;
  /** The program's directory. */
  readonly directory: string;
  readonly dryRun: boolean;
  /** The state before, dependencies before dependents. */
  readonly resources: readonly ResourceState[];
  readonly snapshot: Snapshot;
  readonly journal: Journal;
  readonly events: DeploymentEvents;
  readonly executor: Executor;
  readonly providers: ProviderRegistry;
}

/** Why a deployment takes no more registrations; the reason was shown already. */
export class StoppedError extends EngineError {}

/** Turns what a program registers, or the lack of it, into steps, and has them carried out. */
export class Deployment {
  /** The steps that were planned so far, in order. */
  readonly steps: Step[] = [];
  private readonly live: ReadonlyMap<string, ResourceState>;
  private readonly goals = new Map<string, Goal>();
  private readonly states = new Map<string, ResourceState>();
  private readonly settled = new Set<string>();
  private readonly deleted = new Set<string>();
  private readonly deletedForDependency = new Set<string>();
  /** Planning looks at what was planned before, so that it happens one resource at a time. */
  private readonly planning = new Semaphore(1);
  private readonly defaults: ProviderResources;
  private stopReason: string | undefined;
  private failures = 0;

  constructor(private readonly options: DeploymentOptions) {
    this.live = new Map(options.resources.filter((each) => !each.delete).map((each) => [each.urn, each]));
    this.defaults = new ProviderResources((goal) => this.register(goal));
  }

  /** Whether a step failed or the deployment was stopped. */
  get failed(): boolean {
    return this.failures > 0 || this.stopReason !== undefined;
  }

  /** The URN of the stack's root resource; empty before the program registers it. */
  get rootUrn(): string {
    return [...this.states.values()].find((state) => state.type === STACK_TYPE)?.urn ?? "";
  }

  /** Takes no more registrations. What is under way goes on. */
  stop(reason: string): void {
    this.stopReason ??= reason;
  }

  /** The resource that was registered under a URN, if any. */
  resource(urn: string): ResourceState | undefined {
    return this.states.get(urn);
  }

  /**
   * Brings a resource to what the program wants. Resolves when that is done and on the disk. Fails with `StoppedError`
   * where it, or something before it, went wrong; the reason is then already shown.
   */
  async register(goal: Goal): Promise<ResourceState> {
    const urn = makeUrn(this.options.stack, this.options.project, goal.parent, goal.type, goal.name);
    try {
      this.refuseWhenStopped();
      const provider = await this.providerReference(goal);
      const steps = await this.planning.run(() => this.plan(urn, goal, provider));
      for (const step of steps) await this.options.executor.execute(step, (each) => this.deleted.has(each));
    } catch (error) {
      throw this.failure(urn, error);
    }
    const state = this.states.get(urn);
    if (!state) throw new EngineError(`the resource ${urn} was planned without a state`);
    return state;
  }

  /** Takes the outputs of a component; those of the stack are its exports. */
  async registerOutputs(urn: string, outputs: PropertyMap): Promise<void> {
    const state = this.states.get(urn);
    if (!state) throw new EngineError(`outputs for ${urn}, which was not registered`);
    const before = state.outputs ?? {};
    state.outputs = fromProgram(outputs) as PropertyMap;
    if (state.type === STACK_TYPE) this.options.events.outputs(state.outputs, before);
    if (!sameValue(before, state.outputs)) await this.options.journal.save();
  }

  /** Deletes what the program did not register, and the old halves of replacements. */
  async deleteUnregistered(): Promise<void> {
    this.refuseWhenStopped();
    const steps = planDeletes(this.options.snapshot.resources.filter((each) => !this.isNew(each)), (urn) => this.settled.has(urn));
    refuseProtected(steps);
    this.steps.push(...steps);
    for (const { op, urn } of steps) if (op === "delete") this.deleted.add(urn);
    for (const group of scheduleDeletes(steps)) {
      this.refuseWhenStopped();
      const results = await Promise.allSettled(group.map((step) => this.options.executor.execute(step, (urn) => this.deleted.has(urn))));
      const failed = results.filter((result) => result.status === "rejected");
      this.failures += failed.length;
      if (failed.length > 0) throw new StoppedError("a deletion failed");
    }
  }

  private isNew(resource: ResourceState): boolean {
    return this.states.get(resource.urn) === resource;
  }

  private refuseWhenStopped(): void {
    if (this.stopReason !== undefined) throw new StoppedError(this.stopReason);
    if (this.failures > 0) throw new StoppedError("an earlier step failed");
  }

  private failure(urn: string, error: unknown): StoppedError {
    if (error instanceof StoppedError) return error;
    this.failures++;
    this.options.events.message("error", urn, messageOf(error));
    return new StoppedError(messageOf(error));
  }

  private async providerReference(goal: Goal): Promise<string> {
    if (!goal.custom || isProviderType(goal.type)) return "";
    return goal.provider === "" ? this.defaults.reference(packageOf(goal.type), goal.version) : goal.provider;
  }

  /** Plans a resource and notes what the plan means for those to come. */
  private async plan(urn: string, goal: Goal, provider: string): Promise<Step[]> {
    this.refuseWhenStopped();
    if (this.goals.has(urn)) throw new EngineError(`Duplicate resource URN '${urn}'; try giving it a unique name`);
    const old = this.live.get(urn);
    if (!old) this.refuseAlias(goal);
    this.goals.set(urn, goal);
    const next = this.stateFor(urn, goal, provider, old);
    await this.check(next, old, goal);
    const diff = old ? await this.diff(old, next) : NO_DIFF;
    const deletedForDependency = this.deletedForDependency.has(urn);
    const steps = planStep(old, next, diff, {
      deleteBeforeReplace: goal.deleteBeforeReplace,
      replaceOnChanges: goal.replaceOnChanges,
      deletedForDependency,
      dependents: old && !deletedForDependency ? await this.dependents(old, diff, goal) : [],
    });
    this.settle(urn, next, steps);
    return steps;
  }

  private settle(urn: string, next: ResourceState, steps: readonly Step[]): void {
    this.settled.add(urn);
    this.states.set(urn, next);
    this.steps.push(...steps);
    for (const step of steps) if (step.op === "delete-replaced" && step.urn !== urn) this.deletedForDependency.add(step.urn);
  }

  private refuseAlias({ aliases }: Goal): void {
    const alias = aliases.find((each) => this.live.has(each));
    if (alias !== undefined) {
      throw new EngineError(`the option "aliases" is not supported by the embedded engine, and ${alias} exists under its old name. Use the Pulumi CLI`);
    }
  }

  private stateFor(urn: string, goal: Goal, provider: string, old: ResourceState | undefined): ResourceState {
    const parent = this.goals.get(goal.parent);
    const parentState = this.states.get(goal.parent);
    return {
      urn,
      custom: goal.custom,
      type: goal.type,
      inputs: fromProgram(goal.inputs) as PropertyMap,
      parent: goal.parent,
      protect: goal.protect ?? (parent && parentState?.protect) ?? false,
      retainOnDelete: goal.retainOnDelete ?? (parent && parentState?.retainOnDelete) ?? false,
      dependencies: [...goal.dependencies],
      provider,
      propertyDependencies: { ...goal.propertyDependencies },
      additionalSecretOutputs: [...goal.additionalSecretOutputs],
      customTimeouts: goal.customTimeouts,
      deletedWith: goal.deletedWith || (parentState?.deletedWith ?? ""),
      sourcePosition: goal.sourcePosition,
      ignoreChanges: [...goal.ignoreChanges],
      replaceOnChanges: [...goal.replaceOnChanges],
      ...(old?.carried ? { carried: old.carried } : {}),
    };
  }

  /** Fills in what `ignoreChanges` keeps and what the provider adds to the inputs. */
  private async check(next: ResourceState, old: ResourceState | undefined, goal: Goal): Promise<void> {
    let inputs = await hashAssets(next.inputs ?? {}, this.options.directory);
    if (old) inputs = this.ignoreChanges(next.urn, inputs, old.inputs ?? {}, goal.ignoreChanges);
    next.inputs = inputs;
    if (!next.custom) return;
    const provider = await this.provider(next);
    const result: CheckResult = await provider.check(this.options.executor.contextFor(next), old?.inputs, inputs);
    if (result.failures.length > 0) {
      const list = result.failures.map(({ property, reason }) => `\n  - property ${property} has a problem: ${reason}`);
      throw new EngineError(`${next.type} resource '${goal.name}' is not valid:${list.join("")}`);
    }
    next.inputs = result.inputs;
  }

  private ignoreChanges(urn: string, inputs: PropertyMap, old: PropertyMap, paths: readonly string[]): PropertyMap {
    let kept = inputs;
    const impossible: string[] = [];
    for (const path of paths) {
      const reset = resetPath(kept, old, parsePath(path));
      if (reset) kept = reset;
      else impossible.push(path);
    }
    if (impossible.length > 0) {
      const list = impossible.map((path) => `"${path}"`).join(", ");
      this.options.events.message("info", urn, `cannot ignore changes in added or removed elements of the path: ${list}`);
    }
    return kept;
  }

  private async diff(old: ResourceState, next: ResourceState): Promise<DiffResult> {
    if (this.providerChanged(old, next)) return { changed: true, changedKeys: ["provider"], replaceKeys: ["provider"] };
    if (!next.custom) return diffOf(old.inputs ?? {}, next.inputs ?? {});
    return this.askDiff(old, next.inputs ?? {});
  }

  private async askDiff(old: ResourceState, inputs: PropertyMap): Promise<DiffResult> {
    const provider = await this.provider(old);
    const { id = "", inputs: oldInputs = {}, outputs = {} } = old;
    return provider.diff(this.options.executor.contextFor(old), { id, inputs: oldInputs, outputs }, inputs);
  }

  /** A resource moves between default providers (another version of the package) without being replaced. */
  private providerChanged(old: ResourceState, next: ResourceState): boolean {
    if (!old.provider || !next.provider || old.provider === next.provider) return false;
    const [before, after] = [parseProviderReference(old.provider), parseProviderReference(next.provider)];
    return !(this.defaults.isDefault(before.urn) && this.defaults.isDefault(after.urn));
  }

  private async dependents(old: ResourceState, diff: DiffResult, goal: Goal): Promise<ResourceState[]> {
    if (!needsReplacement(old, diff, goal.replaceOnChanges) || !deletesFirst(old, diff, goal.deleteBeforeReplace)) return [];
    return dependentsToReplace(old, this.options.resources, (urn) => this.settled.has(urn), async (resource, replaced) => {
      if (resource.deletedWith && replaced.has(resource.deletedWith)) return true;
      if (resource.provider && replaced.has(parseProviderReference(resource.provider).urn)) return true;
      const inputs = { ...resource.inputs };
      for (const [key, urns] of Object.entries(resource.propertyDependencies ?? {})) {
        if (urns.some((urn) => replaced.has(urn))) inputs[key] = UNKNOWN;
      }
      return needsReplacement(resource, await this.askDiff(resource, inputs), resource.replaceOnChanges ?? []);
    });
  }

  /** The provider of a resource; the engine's own for provider resources. */
  private provider(resource: ResourceState): Promise<Provider> {
    return providerFor(this.options.providers, resource);
  }
}

/** The provider that manages a resource: that of its package, or the engine's own for provider resources. */
export async function providerFor(registry: ProviderRegistry, resource: ResourceState): Promise<Provider> {
  if (isProviderType(resource.type)) {
    // Asking for it here refuses a package that the engine lacks before anything depends on it.
    await registry.get(resource.type.slice(PROVIDER_TYPE_PREFIX.length));
    return PROVIDER_RESOURCES;
  }
  return registry.get(packageOf(resource.type));
}

/** Manages provider resources themselves: they have an id and nothing outside of the state. */
const PROVIDER_RESOURCES: Provider = {
  check: (_context, _old, inputs) => Promise.resolve({ inputs, failures: [] }),
  diff: (_context, old, inputs) => Promise.resolve(diffOf(old.inputs, inputs)),
  create: (_context, inputs) => Promise.resolve({ id: randomUUID(), outputs: inputs }),
  update: (_context, _old, inputs) => Promise.resolve(inputs),
  delete: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
