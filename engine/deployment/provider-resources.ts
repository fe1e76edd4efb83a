import { randomUUID } from "node:crypto";
import type { PluginPool } from "../providers/plugin/pool";
import type { Provider } from "../providers/provider";
import { DYNAMIC_PACKAGE, type ProviderRegistry } from "../providers/registry";
import type { ResourceState } from "../state/resource";
import { isProviderType, packageOf, packageOfProvider, parseUrn, PROVIDER_TYPE_PREFIX } from "../state/urn";
import { diffOf } from "../values/diff";
import { UNKNOWN, type PropertyMap } from "../values/property";
import type { Goal } from "./goal";
import { PluginResources } from "./plugin-resources";
import type { StandIns } from "./stand-ins";

/** Registers the default provider of each package and version that a program uses, once. */
export class DefaultProviders {
  private readonly registered = new Map<string, Promise<string>>();

  /** `configOf` gives the inputs of a package's provider. */
  constructor(
    private readonly register: (goal: Goal) => Promise<ResourceState>,
    private readonly configOf: (packageName: string) => PropertyMap,
  ) {}

  /** The reference (`URN::ID`) of a package's default provider. */
  async reference(packageName: string, version: string): Promise<string> {
    const name = version === "" ? "default" : `default_${version.replace(/[^A-Za-z0-9]/g, "_")}`;
    const key = `${packageName} ${name}`;
    const known = this.registered.get(key);
    if (known) return known;
    const reference = this.register(goalFor(packageName, name, version, this.configOf(packageName))).then(
      ({ urn, id }) => `${urn}::${id || UNKNOWN}`,
    );
    this.registered.set(key, reference);
    return reference;
  }
}

/** Whether a provider's URN is that of a default one. */
export function isDefaultProvider(urn: string): boolean {
  const { type, name } = parseUrn(urn);
  return isProviderType(type) && /^default(?:_|$)/.test(name);
}

function goalFor(packageName: string, name: string, version: string, config: PropertyMap): Goal {
  return {
    type: `${PROVIDER_TYPE_PREFIX}${packageName}`,
    name,
    parent: "",
    custom: true,
    inputs: version === "" ? config : { ...config, version },
    provider: "",
    version: "",
    dependencies: [],
    propertyDependencies: {},
    protect: undefined,
    retainOnDelete: undefined,
    deleteBeforeReplace: undefined,
    deletedWith: "",
    ignoreChanges: [],
    replaceOnChanges: [],
    additionalSecretOutputs: [],
    customTimeouts: {},
    aliases: [],
    sourcePosition: "",
  };
}

/** Knows who manages a resource: its package's provider, or for provider resources the engine itself. */
export class Providers {
  private readonly plugins: PluginResources;

  /** `find` looks for a provider resource in the state; `standIns` are there where nobody is to be asked. */
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly pool: PluginPool,
    private readonly standIns: StandIns | undefined,
    find: (urn: string, id: string) => ResourceState | undefined,
  ) {
    this.plugins = new PluginResources(pool, find);
  }

  /** Begins to start what will be asked for by whoever has these resources. */
  prepare(resources: readonly ResourceState[]): void {
    if (this.standIns) return;
    for (const { type } of resources) if (isProviderType(type)) this.pool.prepare(packageOfProvider(type));
    // Loading the SDK takes long enough to begin with it where it will be needed.
    if (resources.some(({ type }) => packageOf(type) === DYNAMIC_PACKAGE))
      void this.registry.get(DYNAMIC_PACKAGE);
  }

  /** The provider of a custom resource. Fails, naming the package, where there is none. */
  async for({ type, provider = "" }: ResourceState): Promise<Provider> {
    if (!isProviderType(type)) return this.serving(provider, packageOf(type));
    const packageName = packageOfProvider(type);
    const standIn = this.standIns?.of(packageName);
    if (standIn) return standIn;
    if (this.pool.has(packageName)) return this.plugins;
    // Asking for it here refuses a package that the engine lacks before anything depends on it.
    await this.registry.get(packageName);
    return PROVIDER_RESOURCES;
  }

  /** The provider that a provider resource (`URN::ID`) of a package stands for. */
  async serving(reference: string, packageName: string): Promise<Provider> {
    const standIn = this.standIns?.of(packageName);
    if (standIn) return standIn;
    return this.pool.has(packageName) ? this.plugins.serving(reference) : this.registry.get(packageName);
  }

  /** Closes every provider that was used. */
  async close(): Promise<void> {
    await Promise.all([this.registry.close(), this.plugins.close()]);
  }
}

/** Manages provider resources of packages that the engine has: they have an id and nothing outside of the state. */
const PROVIDER_RESOURCES: Provider = {
  check: (_context, _old, inputs) => Promise.resolve({ inputs, failures: [] }),
  diff: (_context, old, inputs) => Promise.resolve(diffOf(old.inputs, inputs)),
  create: (_context, inputs) => Promise.resolve({ id: randomUUID(), outputs: inputs }),
  update: (_context, _old, inputs) => Promise.resolve(inputs),
  delete: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
