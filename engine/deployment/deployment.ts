import { randomBytes } from "node:crypto";
import { EngineError, messageOf } from "../errors";
import type { ResourceState } from "../state/resource";
import type { Snapshot } from "../state/snapshot";
import { isProviderType, makeUrn, packageOf, STACK_TYPE } from "../state/urn";
import { NO_DIFF, sameValue, type DiffResult } from "../values/diff";
import { fromProgram, type PropertyMap } from "../values/property";
import type { InvokeResult, Provider } from "../providers/provider";
import type { FunctionCall, Goal, ReadGoal } from "./goal";
import { Aliases } from "./aliases";
import type { Journal } from "./journal";
import {
  needsReplacement,
  planDeletes,
  planRead,
  planStep,
  refuseProtected,
  scheduleDeletes,
  type Step,
} from "./planner";
import { DefaultProviders } from "./provider-resources";
import { ResourceChecks, SEED_BYTES, type ResourceChecksOptions } from "./resource-checks";
import { Semaphore } from "./semaphore";
import { readState, wantedState } from "./wanted-state";

/** What a deployment works with. */
export interface DeploymentOptions extends ResourceChecksOptions {
  readonly project: string;
  readonly stack: string;
  readonly snapshot: Snapshot;
  readonly journal: Journal;
  /** True in a preview. */
  readonly dryRun: boolean;
  /** How many providers may be asked at a time. */
  readonly parallel: number;
  /** The provider that a provider resource (`URN::ID`) of a package stands for. */
  readonly serving: (reference: string, packageName: string) => Promise<Provider>;
  /** The inputs of a package's default provider. */
  readonly providerConfig: (packageName: string) => PropertyMap;
}

/** Why a deployment takes no more registrations; the reason was shown already. */
export class StoppedError extends EngineError {}

/** What is to be done for a resource. */
interface Plan {
  readonly steps: readonly Step[];
  /** The ends of plans that delete first what this one replaces or would delete, too. */
  readonly after: readonly Promise<void>[];
  /** To be called when the plan was carried out, well or badly. */
  readonly end: () => void;
}

/** Turns what a program registers, or the lack of it, into steps, and has them carried out. */
export class Deployment {
  /** The steps that were carried out so far (in a preview: planned), in order. */
  readonly steps: Step[] = [];
  private readonly live: Map<string, ResourceState>;
  private readonly registered = new Set<string>();
  private readonly states = new Map<string, ResourceState>();
  private readonly settled = new Set<string>();
  private readonly deleted = new Set<string>();
  /** The ends of plans by the resources that they delete for what these depend on. By object: a URN may change by an alias. */
  private readonly deletedForDependency = new Map<ResourceState, Promise<void>>();
  /** How many providers may be asked about a resource at a time. */
  private readonly asking: Semaphore;
  /** What goes with a resource depends on what was planned before, so that plans are made one at a time. */
  private readonly planning = new Semaphore(1);
  private readonly aliases: Aliases;
  private readonly defaults: DefaultProviders;
  private readonly checks: ResourceChecks;
  private exports: PropertyMap | undefined;
  private stopReason: string | undefined;
  private failures = 0;

  constructor(private readonly options: DeploymentOptions) {
    this.live = new Map(options.resources.filter((each) => !each.delete).map((each) => [each.urn, each]));
    this.aliases = new Aliases(this.live, options.resources, (urn) => this.registered.has(urn));
    this.defaults = new DefaultProviders((goal) => this.register(goal), options.providerConfig);
    this.checks = new ResourceChecks(options);
    this.asking = new Semaphore(options.parallel);
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
    return this.bringAbout(goal, async (urn) => {
      const own = goal.custom && !isProviderType(goal.type);
      const provider = own ? await this.providerReference(goal, packageOf(goal.type)) : "";
      return this.plan(urn, goal, provider);
    });
  }

  /** Finds an existing resource for the program, which does not become its own. Resolves and fails as `register` does. */
  async read(goal: ReadGoal): Promise<ResourceState> {
    return this.bringAbout(goal, async (urn) => {
      const provider = await this.providerReference(goal, packageOf(goal.type));
      return this.planReading(urn, goal, provider);
    });
  }

  /** Calls a function. The program gets its failure, and may go on. */
  async invoke(call: FunctionCall): Promise<InvokeResult> {
    this.refuseWhenStopped();
    const packageName = packageOf(call.token);
    const provider = await this.options.serving(await this.providerReference(call, packageName), packageName);
    if (!provider.invoke)
      throw new EngineError(`the embedded engine does not have the function ${call.token}`);
    if (call.dependencies.some((urn) => this.isPending(urn)))
      return { outputs: {}, failures: [], unknown: true };
    try {
      return await provider.invoke(
        call.token,
        fromProgram(call.arguments) as PropertyMap,
        this.options.dryRun,
      );
    } catch (error) {
      throw new EngineError(`invocation of ${call.token} returned an error: ${messageOf(error)}`);
    }
  }

  /** Whether a resource does not exist yet, and will not in a preview. */
  private isPending(urn: string): boolean {
    const state = this.states.get(urn);
    return !state || (state.custom && (state.id ?? "") === "");
  }

  /** Plans a resource and carries the plan out. */
  private async bringAbout(
    { parent, type, name }: Pick<Goal, "parent" | "type" | "name">,
    plan: (urn: string) => Promise<Plan>,
  ): Promise<ResourceState> {
    const urn = makeUrn(this.options.stack, this.options.project, parent, type, name);
    try {
      this.refuseWhenStopped();
      await this.carryOut(await plan(urn));
    } catch (error) {
      throw this.failure(urn, error);
    }
    const state = this.states.get(urn);
    if (!state) throw new EngineError(`the resource ${urn} was planned without a state`);
    return state;
  }

  private async carryOut({ steps, after, end }: Plan): Promise<void> {
    try {
      // No circle: a plan only waits for those that were made before it.
      await Promise.all(after);
      if (after.length > 0) this.refuseWhenStopped();
      for (const step of steps) await this.execute(step);
    } finally {
      end();
    }
  }

  /**
   * Takes the outputs of a component. Those of the stack, its exports, are kept back until `acceptExports`: a program
   * that fails sends them, too, and they are not all there.
   */
  async registerOutputs(urn: string, outputs: PropertyMap): Promise<void> {
    const state = this.states.get(urn);
    if (!state) throw new EngineError(`outputs for ${urn}, which was not registered`);
    const accepted = fromProgram(outputs) as PropertyMap;
    if (state.type === STACK_TYPE) this.exports = accepted;
    else await this.takeOutputs(state, accepted);
  }

  /** The program ended well: what it exported becomes the stack's outputs. */
  async acceptExports(): Promise<void> {
    const state = this.states.get(this.rootUrn);
    if (!state || !this.exports) return;
    this.options.events.outputs(this.exports, state.outputs ?? {});
    await this.takeOutputs(state, this.exports);
  }

  private async takeOutputs(state: ResourceState, outputs: PropertyMap): Promise<void> {
    const changed = !sameValue(state.outputs ?? {}, outputs);
    state.outputs = outputs;
    if (changed) await this.options.journal.save();
  }

  /**
   * Deletes what the program did not register, and the old halves of replacements. With `spared`, which are URNs that
   * have to stay, these are left alone.
   */
  async deleteUnregistered(spared: ReadonlySet<string> = new Set()): Promise<void> {
    this.refuseWhenStopped();
    const steps = planDeletes(
      this.options.snapshot.resources.filter((each) => !this.isNew(each) && !spared.has(each.urn)),
      (urn) => this.settled.has(urn),
    );
    refuseProtected(steps);
    for (const { op, urn } of steps) if (op === "delete") this.deleted.add(urn);
    const requireGoing = (): void => {
      this.refuseWhenStopped();
    };
    for (const group of scheduleDeletes(steps)) {
      requireGoing();
      const results = await Promise.allSettled(group.map((step) => this.execute(step, requireGoing)));
      for (const [index, result] of results.entries()) {
        if (result.status === "rejected") this.failure(group[index]?.urn ?? "", result.reason);
      }
      // Some of the group were not even begun.
      if (results.some((result) => result.status === "rejected" && result.reason instanceof StoppedError))
        requireGoing();
    }
  }

  private async execute(step: Step, requireGoing?: () => void): Promise<void> {
    await this.options.executor.execute(step, (urn) => this.deleted.has(urn), requireGoing);
    this.steps.push(step);
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

  private async providerReference(
    { provider, version }: Pick<Goal, "provider" | "version">,
    packageName: string,
  ): Promise<string> {
    return provider === "" ? this.defaults.reference(packageName, version) : provider;
  }

  /** Plans a resource and notes what the plan means for those to come. */
  private async plan(urn: string, goal: Goal, provider: string): Promise<Plan> {
    const old = this.claim(urn) ?? this.aliases.find(urn, goal);
    const next = wantedState(urn, goal, provider, { old, parent: this.states.get(goal.parent) });
    const current = (): ResourceState | undefined =>
      this.isDeletedForDependency(old) || old?.external ? undefined : old;
    const compared = current();
    let diff = await this.asking.run(() => this.compare(compared, next, goal));
    return this.planning.run(async () => {
      const kept = current();
      // Another plan took it meanwhile: one of what it depended on, and depends on no longer.
      if (kept !== compared) diff = await this.asking.run(() => this.compare(kept, next, goal));
      // What is registered already no longer depends on it: what does has to wait for its outputs.
      const dependents = kept
        ? await this.checks.dependents(kept, diff, goal, (each) => this.registered.has(each))
        : [];
      const steps = planStep(old, next, diff, {
        deleteBeforeReplace: goal.deleteBeforeReplace,
        replaceOnChanges: goal.replaceOnChanges,
        deletedForDependency: this.isDeletedForDependency(old),
        dependents: dependents.filter((each) => !this.isDeletedForDependency(each)),
      });
      return this.settle(next, steps, [old, ...dependents]);
    });
  }

  /** Has the resource's provider check its inputs, and say what differs from `old`, unless it is made anew. */
  private async compare(
    old: ResourceState | undefined,
    next: ResourceState,
    goal: Goal,
  ): Promise<DiffResult> {
    const seed = randomBytes(SEED_BYTES);
    await this.checks.check(next, old, goal, seed);
    if (!old) return NO_DIFF;
    const diff = await this.checks.diff(old, next);
    // What the provider filled in for the old one, such as a made-up name, is not the new one's.
    if (needsReplacement(old, diff, goal.replaceOnChanges))
      await this.checks.check(next, undefined, goal, seed);
    return diff;
  }

  private async planReading(urn: string, goal: ReadGoal, provider: string): Promise<Plan> {
    const old = this.claim(urn);
    const next = readState(urn, goal, provider);
    return this.planning.run(() => {
      const steps = planRead(old, next, this.isDeletedForDependency(old));
      return Promise.resolve(this.settle(next, steps, [old]));
    });
  }

  /** Takes a URN for the one resource that may have it, and gives back what had it before. */
  private claim(urn: string): ResourceState | undefined {
    this.refuseWhenStopped();
    if (this.registered.has(urn))
      throw new EngineError(`Duplicate resource URN '${urn}'; try giving it a unique name`);
    this.registered.add(urn);
    return this.live.get(urn);
  }

  private isDeletedForDependency(resource: ResourceState | undefined): boolean {
    return resource !== undefined && this.deletedForDependency.has(resource);
  }

  /** Notes a plan, and what it means for those to come. `before` are the resources that have to be as planned when it begins. */
  private settle(
    next: ResourceState,
    steps: readonly Step[],
    before: readonly (ResourceState | undefined)[],
  ): Plan {
    const { urn } = next;
    this.settled.add(urn);
    this.states.set(urn, next);
    const after = before.flatMap((each) => (each && this.deletedForDependency.get(each)) ?? []);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    for (const { op, old, urn: each } of steps)
      if (op === "delete-replaced" && old && each !== urn) this.deletedForDependency.set(old, promise);
    return {
      steps,
      after,
      end: () => {
        resolve(undefined);
      },
    };
  }
}
