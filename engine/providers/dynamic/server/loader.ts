import Module from "node:module";
import type { ResourceProvider } from "@pulumi/pulumi/dynamic";
import type { Values } from "../messages";

/** A provider of a program's: what it is told and says is data. */
export type SourceProvider = ResourceProvider<Values, Values>;

/** What of Node's modules has no types. */
interface SourceModule {
  paths: string[];
  filename: string;
  exports: { readonly handler: () => SourceProvider };
  _compile: (source: string, filename: string) => void;
}
const loader = Module as unknown as {
  new (id: string): SourceModule;
  _nodeModulePaths: (directory: string) => string[];
};

/**
 * Makes providers of their source texts, each once, and configures it. A source is a module that exports `handler`, which
 * returns the provider; it finds packages from the directory that the process works in.
 */
export class ProviderLoader {
  private readonly loaded = new Map<string, Promise<SourceProvider>>();

  /** `config` is the stack's, by full key; `project` the namespace of keys that are asked for without one. */
  constructor(
    private readonly config: Values,
    private readonly project: string,
  ) {}

  /** The provider of a source. Fails with what its `handler`, or its `configure`, throws. */
  get(source: unknown): Promise<SourceProvider> {
    const text = String(source);
    const known = this.loaded.get(text);
    if (known) return known;
    const loading = this.load(text);
    this.loaded.set(text, loading);
    return loading;
  }

  private async load(source: string): Promise<SourceProvider> {
    const module = new loader("");
    module.filename = "";
    module.paths = loader._nodeModulePaths(process.cwd());
    module._compile(source, "");
    const provider = module.exports.handler();
    await provider.configure?.({ config: { get: this.find, require: this.require } });
    return provider;
  }

  private readonly find = (key: string): string | undefined =>
    this.config[key.includes(":") ? key : `${this.project}:${key}`] as string | undefined;

  private readonly require = (key: string): string => {
    const value = this.find(key);
    if (value !== undefined) return value;
    throw new Error(
      `missing required configuration key "${key}"; set it with \`pulumi config set ${key} VALUE\``,
    );
  };
}
