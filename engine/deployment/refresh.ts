import { EngineError, messageOf } from "../errors";
import type { ReadResult } from "../providers/provider";
import type { ResourceState } from "../state/resource";
import { isProviderType } from "../state/urn";
import { NO_DIFF, sameValue, type DiffKind, type DiffResult } from "../values/diff";
import { markSecrets, maskedFailure, type Executor, type ExecutorOptions } from "./executor";
import type { Step } from "./planner";
import { Semaphore } from "./semaphore";

/** What a refresh works with. */
export interface RefreshOptions extends ExecutorOptions {
  readonly executor: Executor;
  /** Aborted where no more resources are to be looked at. */
  readonly gracefully: AbortSignal;
}

/**
 * Looks at every resource of a state as it is now, and takes that into the snapshot. What is gone is taken out, with all
 * that refers to it put right. Resolves with what was found, in the order of the state; fails where one could not be
 * looked at, and keeps what the others said.
 */
export async function refreshSnapshot(options: RefreshOptions): Promise<Step[]> {
  const { snapshot, journal, parallel, gracefully } = options;
  const slots = new Semaphore(parallel);
  const before = snapshot.resources;
  const found = await Promise.all(
    before.map((resource) =>
      slots.run(async () => (gracefully.aborted ? undefined : lookAt(resource, options))),
    ),
  );
  const steps = before.map(
    (old, index): Step => found[index] ?? { op: "same", urn: old.urn, old, next: old },
  );
  // The old half of a replacement has the name of the new one, which is there.
  const left = new Set(steps.flatMap(({ next }) => (next && next.delete !== true ? [next.urn] : [])));
  const gone = new Map(
    steps
      .filter(({ op, urn }) => op === "delete" && !left.has(urn))
      .map(({ urn, old }) => [urn, old?.parent]),
  );
  const next = steps.flatMap((step) => (step.next ? [withoutGone(step.next, gone)] : []));
  snapshot.rebase(next);
  await journal.save();
  if (gracefully.aborted) throw new EngineError("the refresh was cancelled");
  const failures = found.filter((step) => step === undefined).length;
  if (failures > 0) throw new EngineError(`${String(failures)} resource(s) could not be looked at`);
  return steps;
}

/** Looks at one resource; undefined where that failed, which is then shown. */
async function lookAt(old: ResourceState, options: RefreshOptions): Promise<Step | undefined> {
  const { events } = options;
  const began = performance.now();
  try {
    const step = await stepOf(old, options);
    events.stepFinished(step, (performance.now() - began) / 1000);
    return step;
  } catch (error) {
    const text = messageOf(maskedFailure(error, { op: "same", urn: old.urn, old }));
    events.message("error", old.urn, text);
    return undefined;
  }
}

async function stepOf(old: ResourceState, options: RefreshOptions): Promise<Step> {
  const { urn } = old;
  const same: Step = { op: "same", urn, old, next: old };
  if (!old.custom || isProviderType(old.type) || old.pendingReplacement) return same;
  const provider = await options.provider(old);
  if (!provider.read) return same;
  const context = options.executor.contextFor(old);
  const { id = "", inputs = {}, outputs = {} } = old;
  const result = await provider.read(context, { id, inputs, outputs });
  if (!result) return { op: "delete", urn, old, refreshed: true };
  if (result.initErrors)
    context.log("warning", `the resource is there, but not ready: ${result.initErrors.join("; ")}`);
  const next = refreshed(old, result, options.now());
  if (old.external) return sameValue(outputs, next.outputs) ? { ...same, next } : update(old, next, NO_DIFF);
  // What an `up` would have to put right, seen from the other side.
  const asked = { id: result.id, inputs: next.inputs ?? {}, outputs: next.outputs ?? {} };
  const diff = await provider.diff(context, asked, inputs);
  return diff.changed ? update(old, next, inverted(diff)) : { ...same, next };
}

function update(old: ResourceState, next: ResourceState, diff: DiffResult): Step {
  return { op: "update", urn: old.urn, old, next, diff, refreshed: true };
}

function refreshed(old: ResourceState, result: ReadResult, now: Date): ResourceState {
  const next: ResourceState = {
    ...old,
    id: result.id,
    inputs: result.inputs ?? old.inputs ?? {},
    outputs: markSecrets(old, result.outputs),
    initErrors: [...(result.initErrors ?? [])],
  };
  const changed = !sameValue(old.inputs ?? {}, next.inputs) || !sameValue(old.outputs ?? {}, next.outputs);
  return changed ? { ...next, modified: now.toISOString() } : next;
}

const OPPOSITES: Partial<Record<DiffKind, DiffKind>> = { add: "delete", delete: "add" };

/** The diff the other way round; it forces nothing. */
function inverted(diff: DiffResult): DiffResult {
  const detailed = Object.entries(diff.detailed ?? {}).map(([path, kind]) => {
    const plain = kind.replace("-replace", "") as DiffKind;
    return [path, OPPOSITES[plain] ?? plain];
  });
  return {
    changed: true,
    changedKeys: diff.changedKeys,
    replaceKeys: [],
    ...(diff.detailed ? { detailed: Object.fromEntries(detailed) as Record<string, DiffKind> } : {}),
  };
}

/** The resource without references to what is gone; a child goes to the nearest ancestor that is left. */
function withoutGone(resource: ResourceState, gone: ReadonlyMap<string, string | undefined>): ResourceState {
  if (gone.size === 0) return resource;
  const left = (urns: readonly string[] | undefined): string[] =>
    (urns ?? []).filter((urn) => !gone.has(urn));
  let parent = resource.parent ?? "";
  while (gone.has(parent)) parent = gone.get(parent) ?? "";
  return {
    ...resource,
    parent,
    dependencies: left(resource.dependencies),
    propertyDependencies: Object.fromEntries(
      Object.entries(resource.propertyDependencies ?? {}).map(([key, urns]) => [key, left(urns)]),
    ),
    deletedWith: gone.has(resource.deletedWith ?? "") ? "" : (resource.deletedWith ?? ""),
  };
}
