import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { EngineError, ExitCode, messageOf } from "../errors";

/** The types that the config schema of a project file knows. */
export type ConfigType = "string" | "integer" | "number" | "boolean" | "array" | "object";

/** One entry of the project's config schema. */
export interface ConfigSchema {
  /** Default: any type. */
  readonly type?: ConfigType;
  /** The value where the stack sets none. Without it the key is required. */
  readonly default?: unknown;
  /** Whether the stack has to set it encrypted. Default: false. */
  readonly secret?: boolean;
  readonly description?: string;
}

/** A project file as far as the engine knows it. */
export interface Project {
  readonly name: string;
  /** The directory of the project file. */
  readonly root: string;
  /** The project file itself. */
  readonly file: string;
  /** The directory in which the program runs. */
  readonly programDirectory: string;
  /** What is run: a file relative to `programDirectory`, or `.` for what package.json says. */
  readonly entry: string;
  /** Arguments for Node. Default: none. */
  readonly nodeArguments: readonly string[];
  /** Where stack config files are. Default: the project's directory. */
  readonly stackConfigDirectory: string;
  /** Directories of provider plugins by package. */
  readonly plugins: ReadonlyMap<string, string>;
  /** The backend that the file names. */
  readonly backendUrl: string | undefined;
  /** The config schema by full key (`namespace:name`). */
  readonly config: ReadonlyMap<string, ConfigSchema>;
}

const TYPES: readonly string[] = ["string", "integer", "number", "boolean", "array", "object"];

/** Keys of a project file that are read; keys that only inform people are let pass. */
const KNOWN_KEYS = ["name", "runtime", "main", "stackConfigDir", "backend", "config", "plugins"];
const INFORMATIVE_KEYS = ["description", "author", "website", "license", "template", "options"];

/** Finds the directory with the project file, from `start` upwards; undefined where there is none. */
export function findProjectDirectory(start: string): string | undefined {
  for (let directory = resolve(start); ; directory = dirname(directory)) {
    if (existsSync(join(directory, "Pulumi.yaml"))) return directory;
    if (directory === dirname(directory)) return undefined;
  }
}

/** Loads the project that `start` lies in. Fails with every fault of the file at once. */
export function loadProject(start: string): Project {
  const root = findProjectDirectory(start);
  if (root === undefined) {
    throw new EngineError(`no Pulumi.yaml in ${resolve(start)} or above it`, ExitCode.configuration);
  }
  const file = join(root, "Pulumi.yaml");
  let content: unknown;
  try {
    content = parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new EngineError(`${file} is not YAML: ${messageOf(error)}`, ExitCode.configuration);
  }
  return new ProjectReader(file, asObject(content) ?? {}).read();
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Reads one project file and gathers its faults, so that all are told together. */
class ProjectReader {
  private readonly faults: string[] = [];
  private readonly root: string;

  constructor(
    private readonly file: string,
    private readonly content: Record<string, unknown>,
  ) {
    this.root = dirname(file);
  }

  read(): Project {
    this.refuseUnknownKeys();
    const name = this.text("name") ?? "";
    if (name === "") this.faults.push("name: missing");
    const main = this.text("main");
    const target = main === undefined ? this.root : resolve(this.root, main);
    const isFile = main !== undefined && /\.[cm]?[jt]s$/.test(main);
    const project: Project = {
      name,
      root: this.root,
      file: this.file,
      programDirectory: isFile ? dirname(target) : target,
      entry: isFile ? target : ".",
      nodeArguments: this.nodeArguments(),
      stackConfigDirectory: resolve(this.root, this.text("stackConfigDir") ?? "."),
      plugins: this.plugins(),
      backendUrl: this.backendUrl(),
      config: this.schema(name),
    };
    if (this.faults.length > 0) {
      const list = this.faults.map((fault) => `  - ${fault}`).join("\n");
      throw new EngineError(`${this.file} is not usable:\n${list}`, ExitCode.configuration);
    }
    return project;
  }

  private refuseUnknownKeys(): void {
    for (const key of Object.keys(this.content)) {
      if (KNOWN_KEYS.includes(key) || INFORMATIVE_KEYS.includes(key)) continue;
      this.faults.push(`${key}: not supported by the embedded engine; use the Pulumi CLI`);
    }
  }

  private text(key: string): string | undefined {
    const value = this.content[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string") return value;
    this.faults.push(`${key}: expected a string`);
    return undefined;
  }

  private nodeArguments(): string[] {
    const runtime = this.content["runtime"];
    const name = typeof runtime === "string" ? runtime : asObject(runtime)?.["name"];
    if (name !== "nodejs")
      this.faults.push(`runtime: the embedded engine runs "nodejs" only, not ${JSON.stringify(name)}`);
    const options = asObject(asObject(runtime)?.["options"]) ?? {};
    for (const key of Object.keys(options)) {
      // The program's TypeScript is always transpiled without a type check, and packages are there already.
      if (["nodeargs", "typescript", "packagemanager"].includes(key)) continue;
      this.faults.push(`runtime.options.${key}: not supported by the embedded engine`);
    }
    const text = options["nodeargs"] ?? "";
    if (typeof text !== "string") this.faults.push("runtime.options.nodeargs: expected a string");
    return typeof text === "string" ? text.split(" ").filter((part) => part !== "") : [];
  }

  /** The plugins that are named by path: `plugins: {providers: [{name, path}]}`. */
  private plugins(): Map<string, string> {
    const plugins = asObject(this.content["plugins"] ?? {}) ?? {};
    for (const key of Object.keys(plugins))
      if (key !== "providers") this.faults.push(`plugins.${key}: not supported by the embedded engine`);
    const providers = plugins["providers"] ?? [];
    if (!Array.isArray(providers)) this.faults.push("plugins.providers: expected a list");
    const entries = Array.isArray(providers) ? (providers as unknown[]) : [];
    return new Map(entries.flatMap((entry, index) => this.plugin(entry, index)));
  }

  private plugin(entry: unknown, index: number): [string, string][] {
    const { name, path } = asObject(entry) ?? {};
    if (typeof name === "string" && name !== "" && typeof path === "string" && path !== "")
      return [[name, resolve(this.root, path)]];
    this.faults.push(
      `plugins.providers[${String(index)}]: expected a package's name and the path of the directory that holds its plugin`,
    );
    return [];
  }

  private backendUrl(): string | undefined {
    const url = asObject(this.content["backend"])?.["url"];
    if (url === undefined || typeof url === "string") return url;
    this.faults.push("backend.url: expected a string");
    return undefined;
  }

  private schema(project: string): Map<string, ConfigSchema> {
    const schema = new Map<string, ConfigSchema>();
    for (const [key, value] of Object.entries(asObject(this.content["config"]) ?? {})) {
      const fullKey = key.includes(":") ? key : `${project}:${key}`;
      const entry = asObject(value);
      schema.set(fullKey, entry === undefined ? { default: value } : this.entry(key, entry));
    }
    return schema;
  }

  private entry(key: string, entry: Record<string, unknown>): ConfigSchema {
    const { type, secret, description } = entry;
    if (type !== undefined && !(typeof type === "string" && TYPES.includes(type))) {
      this.faults.push(
        `config.${key}.type: expected one of ${TYPES.join(", ")}, not ${JSON.stringify(type)}`,
      );
    }
    if (secret !== undefined && typeof secret !== "boolean")
      this.faults.push(`config.${key}.secret: expected true or false`);
    const value = entry["default"] ?? entry["value"];
    return {
      ...(typeof type === "string" ? { type: type as ConfigType } : {}),
      ...(value === undefined ? {} : { default: value }),
      ...(secret === true ? { secret } : {}),
      ...(typeof description === "string" ? { description } : {}),
    };
  }
}
