import { chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Failed } from "../faults";
import { readIfThere, removeDurably, writeDurably } from "../system/durable-file";
import type { Account } from "./enclosure";
import { fileDrift, findFile, sha256 } from "../drift/kept-file";
import type { Paths } from "../paths";
import type { InstalledRelease } from "../site";

/** The environments that releases run with, one file each. */
export interface Environments {
  /**
   * Keeps an environment under its hash. What is there already, whole, is left alone.
   * @returns SHA-256 of its file, in hex, by which a change of it is found.
   */
  write(hash: string, variables: Readonly<Record<string, string>>): Promise<string>;
  /**
   * Returns an environment.
   * @throws Failed where it is not on this host, or cannot be read.
   */
  read(hash: string): Promise<Record<string, string>>;
  /** Removes all environments but those in use and those of releases that are kept on the disk. */
  prune(inUse: readonly string[]): Promise<void>;
}

/** Mode of an environment's file. */
export const ENVIRONMENT_MODE = 0o600;

/** File of an environment. The launcher reads it, as the user that runs the releases. */
export function environmentFile(paths: Paths, hash: string): string {
  return join(paths.environments, `${hash}.json`);
}

/**
 * Environments under {@link Paths.environments}: JSON, which holds every text byte for byte (dotenv files do not), mode
 * 0600, owned by the user that runs the releases.
 */
export function environmentsOnDisk(paths: Paths, { uid, gid }: Account): Environments {
  return {
    async write(hash, variables) {
      const file = environmentFile(paths, hash);
      const text = `${JSON.stringify(variables, null, 2)}\n`;
      const mark = { path: file, sha256: sha256(text), mode: ENVIRONMENT_MODE, owner: uid };
      if (fileDrift(mark, await findFile(file)) !== null) {
        await mkdir(paths.environments, { recursive: true, mode: 0o711 });
        await writeDurably(file, text, mark.mode);
        await chown(file, uid, gid);
      }
      return mark.sha256;
    },
    async read(hash) {
      const text = await readIfThere(environmentFile(paths, hash));
      if (text === null) {
        throw new Failed(`environment ${hash} is not on this host; \`pulumi up\` sends it`);
      }
      try {
        return JSON.parse(text) as Record<string, string>;
      } catch {
        // Not what the parser says: it repeats what it reads.
        throw new Failed(`${environmentFile(paths, hash)} is damaged; \`pulumi up\` writes it anew`);
      }
    },
    async prune(inUse) {
      const kept = new Set([...inUse, ...(await hashesOfReleases(paths))]);
      for (const name of await readdir(paths.environments).catch(() => [])) {
        if (!kept.has(name.replace(/\.json$/, ""))) {
          await removeDurably(join(paths.environments, name));
        }
      }
    },
  };
}

async function hashesOfReleases(paths: Paths): Promise<string[]> {
  const names = await readdir(paths.records);
  const texts = await Promise.all(names.map((name) => readIfThere(join(paths.records, name))));
  return texts
    .filter((text) => text !== null)
    .map((text) => (JSON.parse(text) as InstalledRelease).intent.environment);
}
