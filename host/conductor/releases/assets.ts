import { link, lstat, mkdir, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Files of the last releases, in one directory that the front door serves: a page that a browser loaded from one
 * release finds its scripts there when another one has taken its place.
 *
 * A name that releases use for different contents is in none but the releases themselves, so that each of them answers
 * for its own.
 */
export class SharedAssets {
  /**
   * @param shared Directory that the front door serves.
   * @param source Directory in each release, relative to it, whose files are shared.
   */
  constructor(
    private readonly shared: string,
    private readonly source: string,
  ) {}

  /**
   * Adds the files of `release`, as hard links. What is there already is left alone.
   * @param others Directories of the other releases that are kept.
   */
  async add(release: string, others: readonly string[]): Promise<void> {
    const from = join(release, this.source);
    for (const file of await filesBelow(from)) {
      const [own, shared] = [join(from, file), join(this.shared, file)];
      if (await isFile(shared)) {
        if (!(await isSameFile(own, shared))) {
          await rm(shared);
        }
      } else if (!(await isInOneOf(others, join(this.source, file)))) {
        await mkdir(dirname(shared), { recursive: true });
        await link(own, shared);
      }
    }
  }

  /** Removes the files that none of `releases`, those that are kept, has. */
  async prune(releases: readonly string[]): Promise<void> {
    for (const file of await filesBelow(this.shared)) {
      if (!(await isInOneOf(releases, join(this.source, file)))) {
        await rm(join(this.shared, file));
        await removeEmpty(dirname(join(this.shared, file)), this.shared);
      }
    }
  }
}

/** All regular files below a directory, relative to it; none where it is not there. Links are not followed. */
export async function filesBelow(directory: string): Promise<string[]> {
  if ((await lstat(directory).catch(() => null))?.isDirectory() !== true) {
    return [];
  }
  const files: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      const below = await filesBelow(join(directory, entry.name));
      files.push(...below.map((file) => join(entry.name, file)));
    } else if (entry.isFile()) {
      files.push(entry.name);
    }
  }
  return files;
}

async function isFile(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isFile() === true;
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = [await lstat(one), await lstat(other)];
  if (a.ino === b.ino && a.dev === b.dev) {
    return true;
  }
  return a.size === b.size && (await readFile(one)).equals(await readFile(other));
}

async function isInOneOf(directories: readonly string[], path: string): Promise<boolean> {
  for (const directory of directories) {
    if (await isFile(join(directory, path))) {
      return true;
    }
  }
  return false;
}

/** Removes `directory` and those above it, up to `top`, as far as they are empty. */
async function removeEmpty(directory: string, top: string): Promise<void> {
  for (let at = directory; at !== top; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") {
        throw error;
      }
      return;
    }
  }
}
