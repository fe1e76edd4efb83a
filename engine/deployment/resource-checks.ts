import { EngineError } from "../errors";
import type { CheckResult, Provider } from "../providers/provider";
import type { ResourceState } from "../state/resource";
import { parseProviderReference } from "../state/urn";
import { hashAssets } from "../values/asset";
import { diffOf, type DiffResult } from "../values/diff";
import { parsePath, resetPath } from "../values/path";
import { fromProgram, UNKNOWN, type PropertyMap } from "../values/property";
import type { DeploymentEvents } from "./events";
import type { Executor } from "./executor";
import type { Goal } from "./goal";
import { deletesFirst, dependentsToReplace, needsReplacement } from "./planner";
import { isDefaultProvider } from "./provider-resources";

/** Length of what a provider draws made-up names from. */
export const SEED_BYTES = 32;

/** What the checks work with. */
export interface ResourceChecksOptions {
  /** The program's directory. */
  readonly directory: string;
  /** The state before, dependencies before dependents. */
  readonly resources: readonly ResourceState[];
  readonly events: DeploymentEvents;
  readonly executor: Executor;
  readonly provider: (resource: ResourceState) => Promise<Provider>;
}

/** What providers say about a resource before it is planned: whether it is valid, what changed, who goes with it. */
export class ResourceChecks {
  constructor(private readonly options: ResourceChecksOptions) {}

  /**
   * Fills in what `ignoreChanges` keeps and what the provider adds to the inputs. `old` is undefined for a resource that
   * is made anew. `seed` is for made-up names: the same for all checks of a resource.
   */
  async check(next: ResourceState, old: ResourceState | undefined, goal: Goal, seed: Buffer): Promise<void> {
    let inputs = await hashAssets(fromProgram(goal.inputs) as PropertyMap, this.options.directory);
    if (old) inputs = this.ignoreChanges(next.urn, inputs, old.inputs ?? {}, goal.ignoreChanges);
    next.inputs = inputs;
    if (!next.custom) return;
    const provider = await this.options.provider(next);
    const result: CheckResult = await provider.check(
      this.options.executor.contextFor(next),
      old?.inputs,
      inputs,
      seed,
    );
    if (result.failures.length > 0) {
      const list = result.failures.map(
        ({ property, reason }) => `\n  - property ${property} has a problem: ${reason}`,
      );
      throw new EngineError(`${next.type} resource '${goal.name}' is not valid:${list.join("")}`);
    }
    next.inputs = result.inputs;
  }

  private ignoreChanges(
    urn: string,
    inputs: PropertyMap,
    old: PropertyMap,
    paths: readonly string[],
  ): PropertyMap {
    let kept = inputs;
    const impossible: string[] = [];
    for (const path of paths) {
      const reset = resetPath(kept, old, parsePath(path));
      if (reset) kept = reset;
      else impossible.push(path);
    }
    if (impossible.length > 0) {
      const list = impossible.map((path) => `"${path}"`).join(", ");
      this.options.events.message(
        "info",
        urn,
        `cannot ignore changes in added or removed elements of the path: ${list}`,
      );
    }
    return kept;
  }

  /** What differs between a resource as it was and as it is to be. */
  async diff(old: ResourceState, next: ResourceState): Promise<DiffResult> {
    if (this.providerChanged(old, next)) return { changed: true, changedKeys: [], replaceKeys: ["provider"] };
    if (!next.custom) return diffOf(old.inputs ?? {}, next.inputs ?? {});
    // Whoever is to manage it from now on says what that takes.
    return this.askDiff(old, next.inputs ?? {}, next);
  }

  private async askDiff(old: ResourceState, inputs: PropertyMap, subject = old): Promise<DiffResult> {
    const provider = await this.options.provider(subject);
    const { id = "", inputs: oldInputs = {}, outputs = {} } = old;
    const before = { id, inputs: oldInputs, outputs };
    return provider.diff(this.options.executor.contextFor(subject), before, inputs);
  }

  /** A resource moves between default providers (another version of the package) without being replaced. */
  private providerChanged(old: ResourceState, next: ResourceState): boolean {
    if (!old.provider || !next.provider || old.provider === next.provider) return false;
    const [before, after] = [parseProviderReference(old.provider), parseProviderReference(next.provider)];
    return !(isDefaultProvider(before.urn) && isDefaultProvider(after.urn));
  }

  /** The resources that have to be deleted before this one can be replaced, in the order of their deletion. */
  async dependents(
    old: ResourceState,
    diff: DiffResult,
    goal: Goal,
    isSettled: (urn: string) => boolean,
  ): Promise<ResourceState[]> {
    const replaced = needsReplacement(old, diff, goal.replaceOnChanges);
    if (!replaced || !deletesFirst(old, diff, goal.deleteBeforeReplace)) return [];
    return dependentsToReplace(old, this.options.resources, isSettled, (each, urns) =>
      this.mustGo(each, urns),
    );
  }

  /** Whether a resource cannot stay while those with the given URNs are replaced. */
  private async mustGo(resource: ResourceState, replaced: ReadonlySet<string>): Promise<boolean> {
    const { deletedWith, provider, propertyDependencies = {}, replaceOnChanges = [] } = resource;
    if (deletedWith && replaced.has(deletedWith)) return true;
    if (provider && replaced.has(parseProviderReference(provider).urn)) return true;
    const inputs = { ...resource.inputs };
    for (const [key, urns] of Object.entries(propertyDependencies)) {
      if (urns.some((urn) => replaced.has(urn))) inputs[key] = UNKNOWN;
    }
    return needsReplacement(resource, await this.askDiff(resource, inputs), replaceOnChanges);
  }
}
