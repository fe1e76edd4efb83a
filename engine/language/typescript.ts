import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import Module, { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** What of Node's module loader is replaced; it has no types. */
interface ModuleLoader {
  _extensions: Record<string, (module: CompilableModule, filename: string) => void>;
  _resolveFilename: (
    request: string,
    parent: { filename?: string } | undefined,
    ...rest: unknown[]
  ) => string;
}

interface CompilableModule {
  _compile: (code: string, filename: string) => void;
}

interface SourceMapSupport {
  install: (options: object) => void;
}

/** Changes whenever the transpiler's options do, so that the cache holds nothing that was made with others. */
const CACHE_FORMAT = 1;
const NO_MAP = '{"version":3,"sources":[],"names":[],"mappings":""}';
const MAP_COMMENT = "//# sourceMappingURL=data:application/json;base64,";

/**
 * Lets `require` load TypeScript: transpiled without a type check, cached by content, with source maps for stack
 * traces. Relative imports may leave out the extension, or have `.js` for a file that is `.ts`.
 */
export function registerTypeScript(programDirectory: string, sdk: NodeJS.Require): void {
  const transpiler = new Transpiler(programDirectory);
  const loader = Module as unknown as ModuleLoader;
  for (const extension of [".ts", ".cts"]) {
    loader._extensions[extension] = (module, filename) => {
      module._compile(transpiler.transpile(filename), filename);
    };
  }
  resolveScriptNames(loader);
  mapStackTraces(sdk, transpiler);
}

function resolveScriptNames(loader: ModuleLoader): void {
  const resolve = loader._resolveFilename;
  loader._resolveFilename = function (request, parent, ...rest): string {
    try {
      return resolve.call(this, request, parent, ...rest);
    } catch (error) {
      if (!/^\.{1,2}\/.*\.c?js$/.test(request) || !/\.c?ts$/.test(parent?.filename ?? "")) throw error;
      return resolve.call(this, request.replace(/js$/, "ts"), parent, ...rest);
    }
  };
}

/** The SDK reads stack traces through source-map-support, which cannot find maps of code that is in no file. */
function mapStackTraces(sdk: NodeJS.Require, transpiler: Transpiler): void {
  (sdk("source-map-support") as SourceMapSupport).install({
    environment: "node",
    handleUncaughtExceptions: false,
    retrieveSourceMap: (filename: string) => {
      // The SDK's own maps take long to read, and lead to sources that its package does not have.
      if (filename.includes("/node_modules/@pulumi/")) return { url: filename, map: NO_MAP };
      const map = transpiler.sourceMap(filename);
      return map === undefined ? null : { url: filename, map };
    },
  });
}

/** Transpiles files and remembers their source maps. */
class Transpiler {
  private readonly outputs = new Map<string, string>();
  private readonly cacheDirectory: string | undefined = process.env["PULUMI_ENGINE_CACHE"];
  private readonly tsconfig: string;

  constructor(programDirectory: string) {
    const path = join(programDirectory, "tsconfig.json");
    this.tsconfig = existsSync(path) ? readFileSync(path, "utf8") : "{}";
  }

  transpile(filename: string): string {
    const source = readFileSync(filename, "utf8");
    const output = this.cached(filename, source);
    this.outputs.set(filename, output);
    return output;
  }

  sourceMap(filename: string): string | undefined {
    const output = this.outputs.get(filename);
    const start = output?.lastIndexOf(MAP_COMMENT) ?? -1;
    if (output === undefined || start < 0) return undefined;
    return Buffer.from(output.slice(start + MAP_COMMENT.length).trim(), "base64").toString("utf8");
  }

  private cached(filename: string, source: string): string {
    if (this.cacheDirectory === undefined) return this.compile(filename, source);
    const parts = [CACHE_FORMAT, process.version, this.tsconfig, filename, source];
    const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
    const path = join(this.cacheDirectory, "typescript", `${digest}.js`);
    if (existsSync(path)) return readFileSync(path, "utf8");
    const output = this.compile(filename, source);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // Two programs may transpile the same file at once; a rename lets neither see half of it.
    const temporary = `${path}.${String(process.pid)}.tmp`;
    writeFileSync(temporary, output, { mode: 0o600 });
    renameSync(temporary, path);
    return output;
  }

  private compile(filename: string, source: string): string {
    // Loaded only when a file is not in the cache: it starts a process of its own.
    const { transformSync } = createRequire(__filename)("esbuild") as typeof import("esbuild");
    return transformSync(source, {
      loader: "ts",
      format: "cjs",
      platform: "node",
      target: `node${process.versions.node}`,
      sourcefile: filename,
      sourcemap: "inline",
      tsconfigRaw: this.tsconfig,
    }).code;
  }
}
