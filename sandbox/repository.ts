import * as fs from "node:fs";
import * as path from "node:path";

/**
 * Returns the repository's root: the nearest directory above this code whose package.json is this project's. The code
 * runs from `sandbox/` in tests and from `dist/` when it is bundled.
 */
export function repositoryRoot(): string {
  for (let directory = __dirname; ; directory = path.dirname(directory)) {
    if (isRoot(directory)) return directory;
    if (directory === path.dirname(directory)) {
      throw new Error(
        `no package.json of vehicleservice-production above ${__dirname}: run the sandbox from a clone`,
      );
    }
  }
}

function isRoot(directory: string): boolean {
  try {
    const manifest: unknown = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8"));
    return (manifest as { name?: unknown }).name === "vehicleservice-production";
  } catch {
    return false;
  }
}
