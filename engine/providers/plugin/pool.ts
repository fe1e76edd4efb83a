import { EngineError } from "../../errors";
import type { PluginProvider } from "./provider";
import { PluginSecrets } from "./secrets";

/** The engine as plugins see it. */
export interface PluginService {
  /** Where it listens, `HOST:PORT`. */
  address(): Promise<string>;
  close(): void;
}

/** What the plugins of a run are started with. */
export interface PluginPoolOptions {
  /** The directory of each package's plugin, as the project file names it. */
  readonly directories: ReadonlyMap<string, string>;
  /** Makes what the plugins talk to; a run without plugins has no need of it. */
  readonly openService: () => Promise<PluginService>;
  /** The program's directory. */
  readonly workingDirectory: string;
  readonly project: string;
  readonly signal: AbortSignal;
}

/** Starts the plugins of a run and ends them with it. */
export class PluginPool {
  /** What all of them were told that must not be shown. */
  readonly secrets = new PluginSecrets();
  private readonly running = new Set<PluginProvider>();
  /** Processes that were started before anybody asked for them, by package. */
  private readonly ready = new Map<string, Promise<PluginProvider>[]>();
  private service: Promise<PluginService> | undefined;

  constructor(private readonly options: PluginPoolOptions) {}

  /** Whether a package's provider is a plugin. */
  has(packageName: string): boolean {
    return this.options.directories.has(packageName);
  }

  /** Begins to start a process that will be asked for, where the package has a plugin: that takes long. */
  prepare(packageName: string): void {
    if (!this.has(packageName)) return;
    const starting = this.begin(packageName);
    // Whoever asks for it meets the failure then; nobody may.
    starting.catch(() => undefined);
    this.ready.set(packageName, [...(this.ready.get(packageName) ?? []), starting]);
  }

  /** A new process of a package's plugin: each provider resource has one of its own, as each has its own config. */
  start(packageName: string): Promise<PluginProvider> {
    return this.ready.get(packageName)?.shift() ?? this.begin(packageName);
  }

  private async begin(packageName: string): Promise<PluginProvider> {
    const { directories, workingDirectory, project, signal } = this.options;
    const directory = directories.get(packageName);
    if (directory === undefined) throw new EngineError(`no plugin is named for package ${packageName}`);
    this.service ??= this.options.openService();
    const engineAddress = await (await this.service).address();
    // The protocol's code is loaded only where there is somebody to talk to.
    const { PluginProvider } = await import("./provider.js");
    const { secrets } = this;
    const plugin = new PluginProvider({
      ...{ packageName, directory, engineAddress, workingDirectory, project },
      ...{ secrets, signal },
    });
    this.running.add(plugin);
    return plugin;
  }

  /** Ends one that is not needed any more. */
  async stop(plugin: PluginProvider): Promise<void> {
    this.running.delete(plugin);
    await plugin.close();
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.ready.values()].flat());
    await Promise.all([...this.running].map((plugin) => this.stop(plugin)));
    (await this.service)?.close();
  }
}
