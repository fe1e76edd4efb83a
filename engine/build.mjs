/**
 * Bundles the engine: `node engine/build.mjs [DIRECTORY]`, default `dist/`.
 *   engine.js          the entry: switches the compile cache on and starts the program's process at once
 *   engine-cli.js      the engine itself, loaded from the compile cache
 *   engine-program.js  what runs in the program's process
 *   engine-dynamic.js  what runs in the process of the providers that a program brings along
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Writes the four files into a directory. */
export async function buildEngine(directory) {
  await build({
    absWorkingDir: fileURLToPath(new URL("..", import.meta.url)),
    entryPoints: {
      engine: "engine/main.ts",
      "engine-cli": "engine/cli/main.ts",
      "engine-program": "engine/language/launcher.ts",
      "engine-dynamic": "engine/providers/dynamic/server/main.ts",
    },
    outdir: directory,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node24",
    sourcemap: "linked",
    logLevel: "warning",
    // Both come with a binary of their own, and are loaded only when they are needed.
    external: ["ssh2", "esbuild"],
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildEngine(resolve(process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url))));
}
