/**
 * The entry of the embedded engine. It only starts what takes long, at once and side by side: the process that loads
 * the Pulumi SDK for the program, and (from the compile cache) the engine itself.
 */
import { mkdirSync } from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import { join } from "node:path";
import { startEarly } from "./language/early";

const OLDEST_NODE = 22;
if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(
    `error: the embedded engine needs Node ${String(OLDEST_NODE)} or later, and this is ${process.version}\n`,
  );
  process.exit(1);
}

const cache = process.env["PULUMI_ENGINE_CACHE"] ?? join(__dirname, "..", "node_modules", ".cache", "engine");
mkdirSync(cache, { recursive: true, mode: 0o700 });
enableCompileCache(cache);
const launcher = join(__dirname, "engine-program.js");
const early = startEarly(process.argv.slice(2), launcher, cache);

// A file of its own, because the cache is of use only to what is loaded after it was switched on.
const { main } = createRequire(__filename)("./engine-cli.js") as typeof import("./cli/main");
const dynamicServer = join(__dirname, "engine-dynamic.js");
void main(process.argv, { launcher, dynamicServer, cache, early });
