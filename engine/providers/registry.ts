import { EngineError } from "../errors";
import type { DynamicProviderOptions } from "./dynamic/provider";
import type { Provider } from "./provider";

/** The package that stands for the providers a program brings along itself. */
export const DYNAMIC_PACKAGE = "pulumi-nodejs";

/** Loads a package's provider on its first use, so that a run pays only for the packages it has. */
const LOADERS: Readonly<Record<string, (dynamic: DynamicProviderOptions) => Promise<Provider>>> = {
  command: async () => new (await import("./command/provider.js")).CommandProvider(),
  random: async () => new (await import("./random/provider.js")).RandomProvider(),
  [DYNAMIC_PACKAGE]: async (dynamic) => new (await import("./dynamic/provider.js")).DynamicProvider(dynamic),
};

/** The providers of one run, by package. */
export class ProviderRegistry {
  private readonly loaded = new Map<string, Promise<Provider>>();

  constructor(private readonly dynamic: DynamicProviderOptions) {}

  /** The provider of a package. Fails, naming the package, where the engine has none. */
  async get(packageName: string): Promise<Provider> {
    const known = this.loaded.get(packageName);
    if (known) return known;
    const load = Object.hasOwn(LOADERS, packageName) ? LOADERS[packageName] : undefined;
    if (!load) {
      throw new EngineError(
        `no provider for package ${packageName} in the embedded engine (it has: ${Object.keys(LOADERS).join(", ")}). Name the directory of its plugin in the project file (plugins.providers), or use the Pulumi CLI`,
      );
    }
    const provider = load(this.dynamic);
    this.loaded.set(packageName, provider);
    return provider;
  }

  /** Closes every provider that was used. */
  async close(): Promise<void> {
    const providers = await Promise.all(this.loaded.values());
    await Promise.all(providers.map((provider) => provider.close()));
  }
}
