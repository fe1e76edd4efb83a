import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "./command";
import { withLock } from "./lock";
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
  fs.mkdirSync(directory, { recursive: true });
  // Who comes second finds what the first one installed.
  await withLock(path.dirname(directory), () => install(directory, packages));
  return directory;
}

async function install(directory: string, packages: readonly string[]): Promise<void> {
  const stamp = path.join(directory, ".installed");
  const wanted = packages.join("\n");
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted) return;
  fs.rmSync(directory, { recursive: true, force: true });
  await run(["python3", "-m", "venv", directory]);
  const pip = [path.join(directory, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check"];
  await run([...pip, ...packages]);
  fs.writeFileSync(stamp, wanted);
}
