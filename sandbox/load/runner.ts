import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A script that Node can run as the load process. */
export interface Runner {
  readonly path: string;
  /** Call once the process has read it. */
  dispose(): void;
}

/**
 * Finds the bundled load process beside the caller's bundle. In a source tree (tests), where there need not be a
 * build, it bundles the sources into a temporary folder, which takes some 50 ms.
 */
export function loadRunner(): Runner {
  const built = join(__dirname, "load.js");
  if (existsSync(built)) return { path: built, dispose: () => undefined };
  const source = join(__dirname, "main.ts");
  if (!existsSync(source)) throw new Error(`${built} is missing: run "npm run build"`);
  const directory = mkdtempSync(join(tmpdir(), "load-"));
  const path = join(directory, "load.js");
  const bundle = [
    "--bundle",
    "--platform=node",
    "--target=node22",
    "--log-level=warning",
    `--outfile=${path}`,
  ];
  execFileSync(createRequire(__filename).resolve("esbuild/bin/esbuild"), [source, ...bundle], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { path, dispose: () => rmSync(directory, { recursive: true, force: true }) };
}
