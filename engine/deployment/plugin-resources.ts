import { randomUUID } from "node:crypto";
import { EngineError } from "../errors";
import type { PluginPool } from "../providers/plugin/pool";
import type { PluginProvider } from "../providers/plugin/provider";
import type {
  CheckResult,
  CreateResult,
  OldResource,
  Provider,
  ProviderContext,
} from "../providers/provider";
import type { ResourceState } from "../state/resource";
import { packageOfProvider, parseProviderReference, parseUrn } from "../state/urn";
import type { DiffResult } from "../values/diff";
import { UNKNOWN, type PropertyMap } from "../values/property";

/** The input by which the engine knows which plugin is wanted, and which no plugin may change. */
const VERSION = "version";
/** The input in which Pulumi's engine keeps things of its own: the state has it wherever a version is, and nobody else. */
const INTERNAL = "__internal";

/**
 * Manages the provider resources of packages whose providers are plugins, and knows which process serves which of them:
 * each has one of its own, configured with its inputs.
 */
export class PluginResources implements Provider {
  /** Processes by provider reference (`URN::ID`). */
  private readonly configured = new Map<string, Promise<PluginProvider>>();
  /** Processes that were only asked to check a config so far, by URN. */
  private readonly checked = new Map<string, PluginProvider>();

  /** `find` looks for a provider resource in the state. */
  constructor(
    private readonly pool: PluginPool,
    private readonly find: (urn: string, id: string) => ResourceState | undefined,
  ) {}

  /** The process that serves the resources of a provider resource; it is started where only the state knows of it. */
  serving(reference: string): Promise<PluginProvider> {
    const known = this.configured.get(reference);
    if (known) return known;
    const starting = this.fromState(reference);
    this.configured.set(reference, starting);
    return starting;
  }

  async check(
    context: ProviderContext,
    old: PropertyMap | undefined,
    inputs: PropertyMap,
  ): Promise<CheckResult> {
    const plugin = await this.pool.start(packageOfProvider(context.type));
    const result = await plugin.checkConfig(context, withoutInternal(old ?? {}), withoutInternal(inputs));
    const before = this.checked.get(context.urn);
    if (before) await this.pool.stop(before);
    this.checked.set(context.urn, plugin);
    const version = inputs[VERSION];
    if (version === undefined) return result;
    return { ...result, inputs: { ...result.inputs, version, [INTERNAL]: {} } };
  }

  async diff(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    // What is compared only to see what a replacement drags along was not checked.
    const plugin = this.checked.get(context.urn) ?? (await this.serving(`${context.urn}::${old.id}`));
    const before = { ...old, inputs: withoutInternal(old.inputs) };
    return plugin.diffConfig(context, before, withoutInternal(inputs));
  }

  async create(context: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    const id = context.dryRun ? UNKNOWN : randomUUID();
    await this.configure(context, id, inputs);
    return { id: context.dryRun ? "" : id, outputs: withoutInternal(inputs) };
  }

  async update(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    await this.configure(context, old.id, inputs);
    return withoutInternal(inputs);
  }

  async keep(context: ProviderContext, { id, inputs }: OldResource): Promise<void> {
    await this.configure(context, id, inputs);
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  /** Has the process that checked a config serve with it, from now on instead of another that served with the old one. */
  private async configure(context: ProviderContext, id: string, inputs: PropertyMap): Promise<void> {
    const plugin = this.checked.get(context.urn) ?? (await this.pool.start(packageOfProvider(context.type)));
    this.checked.delete(context.urn);
    await plugin.configure(context, id, withoutInternal(inputs));
    this.configured.set(`${context.urn}::${id}`, Promise.resolve(plugin));
  }

  private async fromState(reference: string): Promise<PluginProvider> {
    const { urn, id } = parseProviderReference(reference);
    const state = this.find(urn, id);
    if (!state) throw new EngineError(`the provider ${reference} is not in the state`);
    const { type, name } = parseUrn(urn);
    const plugin = await this.pool.start(packageOfProvider(type));
    await plugin.configure({ urn, type, name }, id, withoutInternal(state.inputs ?? {}));
    return plugin;
  }
}

function withoutInternal(inputs: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => key !== INTERNAL));
}
