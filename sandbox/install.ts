import * as fs from "node:fs";
import * as path from "node:path";

import { withLock } from "./lock";

/**
 * Installs something into a directory of the machine's cache, unless it is there. Who comes second waits, and finds what the
 * first one installed; who finds it there does not wait for what others install.
 *
 * @param directory `work` may make it anew
 * @param wanted what is installed, with its version: another one is installed over it
 * @param work installs it; where it fails, nothing counts as installed
 */
export async function installOnce(
  directory: string,
  wanted: string,
  work: () => Promise<unknown>,
): Promise<void> {
  const stamp = path.join(directory, ".installed");
  const isThere = (): boolean => fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted;
  if (isThere()) return;
  fs.mkdirSync(path.dirname(directory), { recursive: true });
  await withLock(path.dirname(directory), async () => {
    if (isThere()) return;
    fs.rmSync(stamp, { force: true });
    await work();
    fs.writeFileSync(stamp, wanted);
  });
}
