import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "./command";
import { installOnce } from "./install";
import { cacheDirectory } from "./world";

/**
 * Installs packages into the machine's cache, unless they are there: a virtual environment of Python's own, filled from the
 * package index as pip is configured. Needs the Debian package `python3-venv`.
 * @param name of the environment; another list of packages under it makes it anew
 * @param packages each with its version, `name==1.2.3`
 * @returns where it is
 */
export async function installPython(name: string, packages: readonly string[]): Promise<string> {
  const directory = path.join(cacheDirectory(), name);
  await installOnce(directory, packages.join("\n"), () => install(directory, packages));
  return directory;
}

async function install(directory: string, packages: readonly string[]): Promise<void> {
  fs.rmSync(directory, { recursive: true, force: true });
  await run(["python3", "-m", "venv", directory]);
  const pip = [path.join(directory, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check"];
  await run([...pip, ...packages]);
}
