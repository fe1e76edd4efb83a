import { DynamicProcess } from "../providers/dynamic/process";
import { PluginPool, type PluginService } from "../providers/plugin/pool";
import { ProviderRegistry } from "../providers/registry";
import { secret, type PropertyMap } from "../values/property";
import type { ConfigValue } from "../workspace/config";
import type { RunOptions } from "./run";

/** The providers that the engine has, and those of the program itself. */
export function openRegistry(options: RunOptions, config: PropertyMap): ProviderRegistry {
  const { project } = options.stack.session;
  const processOptions = {
    ...options.dynamicProviders,
    directory: project.programDirectory,
    project: project.name,
  };
  return new ProviderRegistry({
    config,
    signal: options.interruption.atOnce,
    start: (mask) =>
      new DynamicProcess(processOptions, (_stream, line) => {
        options.events.message("info", "", mask(line));
      }),
  });
}

/** The plugins that the project file names. */
export function openPool(
  { stack, interruption }: RunOptions,
  openService: () => Promise<PluginService>,
): PluginPool {
  const { project } = stack.session;
  return new PluginPool({
    directories: project.plugins,
    openService,
    workingDirectory: project.programDirectory,
    project: project.name,
    signal: interruption.atOnce,
  });
}

/** The config in a package's namespace, by name: what its default provider gets. A group comes as JSON text. */
export function configOfPackage(config: PropertyMap, packageName: string): PropertyMap {
  const prefix = `${packageName}:`;
  const own = Object.entries(config).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** The config as properties, by full key, with its secret marks. */
export function configProperties(config: ReadonlyMap<string, ConfigValue>): PropertyMap {
  return Object.fromEntries(
    [...config].map(([key, value]) => [key, value.secret ? secret(value.text) : value.text]),
  );
}
