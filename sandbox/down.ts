import * as fs from "node:fs";

import { removeNamespaceDirectory } from "./hosts/network";
import { allHosts, clearHost, closeWorldIfEmpty } from "./hosts/removal";
import { withLock } from "./lock";
import { SandboxProject } from "./project";
import { serviceNames, stopService } from "./services";
import { projectDirectories } from "./site";
import { MACHINE_LOCK, type World } from "./world";

/**
 * Puts the machine back: ends and removes every host and service of the world, its network, mounts and cgroups, its
 * Pulumi projects and its state. Goes by what is there, so it works after a killed run and may be repeated. What stays:
 * installed packages and the image cache.
 */
export async function takeDown(
  world: World,
  onProgress: (line: string) => void = () => undefined,
): Promise<void> {
  await withLock(MACHINE_LOCK, async () => {
    for (const name of serviceNames(world)) {
      onProgress(`ending ${name}`);
      await stopService(world, name);
    }
    for (const name of allHosts(world)) {
      onProgress(`removing host ${name}`);
      await clearHost(world, name);
    }
    await closeWorldIfEmpty(world);
    await removeNamespaceDirectory();
    for (const directory of projectDirectories(world)) {
      const project = SandboxProject.find(directory);
      if (project === null) continue;
      onProgress(`removing ${directory}`);
      project.remove();
    }
    fs.rmSync(world.stateDirectory, { recursive: true, force: true });
  });
}
