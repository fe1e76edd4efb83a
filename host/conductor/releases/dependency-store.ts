import { chown, copyFile, lstat, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Failed } from "../faults";
import { FETCH_TIMEOUT_SECONDS, type Step, type StepRunner } from "./build-step";
import { CommandFailed, runCommand } from "../system/command";
import type { Account } from "./enclosure";
import { isThere } from "./records";

/** How a release got its node_modules from the store. */
export type Sharing = "linked" | "copied";

const MODULES = "node_modules";

/** Written once an entry is on the disk for good: a power cut may leave names without their content. */
const WHOLE = "whole";

/** Written where a build wants to change files that it shares. */
const NOT_SHARED = "not-shared";

/**
 * Keeps what an install made, so that the next release with the same lock file has it without an install.
 *
 * Files belong to the conductor's user and are hard links in the releases; directories belong to the builder there. So
 * a build may add, replace and remove what it likes, and cannot write into a file that another release runs. The store
 * lies beside the releases, on their file system, in directories that the builder cannot change.
 */
export class DependencyStore {
  /** Entries that were made since this conductor started: no power was cut since. */
  private readonly fresh = new Set<string>();

  constructor(
    private readonly directory: string,
    private readonly builder: Account,
  ) {}

  /**
   * Puts an entry's node_modules into a release. Hard links; copies where files cannot be linked, where a build is known
   * to write into them, or where that is asked for.
   * @returns null where there is no such entry.
   */
  async take(key: string, release: string, steps: StepRunner, asked: Sharing): Promise<Sharing | null> {
    const entry = this.entry(key);
    if (!(await isThere(join(entry, WHOLE))) && !(this.fresh.has(key) && (await isThere(entry)))) {
      return null;
    }
    return this.place(key, release, steps, asked);
  }

  /**
   * Takes over the node_modules that an install made in a release, and puts it back as {@link DependencyStore.take} does.
   * @returns null where there is none that could be kept; the release has its own then.
   */
  async keep(key: string, release: string, steps: StepRunner, asked: Sharing): Promise<Sharing | null> {
    const made = join(release, MODULES);
    const found = await lstat(made).catch(() => null);
    if (found?.isDirectory() !== true) {
      return null;
    }
    // As the builder, for whom a link that leads elsewhere leads nowhere: afterwards, all can read, nobody but the owner write.
    const modes = "u+rwX,go+rX,go-w,ug-s,-t";
    const open = this.step("open the dependencies", ["chmod", "-R", modes, MODULES], "builder");
    await steps.run({ ...open, cwd: release });
    const entry = this.entry(key);
    await rm(entry, { recursive: true, force: true });
    await mkdir(entry, { recursive: true, mode: 0o700 });
    const kept = join(entry, MODULES);
    await rename(made, kept);
    await steps.run(this.step("take the dependencies over", ["chown", "-hR", this.owner(), kept]));
    const odd = await steps.run(this.step("look at the dependencies", findWritable(kept)));
    if (odd !== "") {
      await rm(entry, { recursive: true, force: true });
      throw new Failed(`${odd.trim()} changed while it was taken into the store; find out who writes there`);
    }
    this.fresh.add(key);
    return this.place(key, release, steps, asked);
  }

  /** Counts an entry as whole, power cuts included. Its files have to be on the disk by now. */
  async seal(key: string): Promise<void> {
    await writeFile(join(this.entry(key), WHOLE), "");
  }

  /** Remembers that releases with this entry need copies. */
  async shareNoMore(key: string): Promise<void> {
    await writeFile(join(this.entry(key), NOT_SHARED), "");
  }

  /** Removes all entries but these. Releases keep what they have. */
  async prune(used: readonly string[]): Promise<void> {
    for (const name of await readdir(this.directory).catch(() => [])) {
      if (!used.includes(name)) {
        await rm(join(this.directory, name), { recursive: true, force: true });
      }
    }
  }

  private async place(key: string, release: string, steps: StepRunner, asked: Sharing): Promise<Sharing> {
    const copied = asked === "copied" || (await isThere(join(this.entry(key), NOT_SHARED)));
    if (!copied) {
      try {
        await this.link(key, release, steps);
        return "linked";
      } catch (error) {
        if (!(error instanceof CommandFailed)) {
          throw error;
        }
        steps.tell(`dependencies cannot be linked here, so they are copied (${error.ending})`);
      }
    }
    await this.copy(key, release, steps);
    return "copied";
  }

  private async link(key: string, release: string, steps: StepRunner): Promise<void> {
    const staged = await this.stage();
    const from = join(this.entry(key), MODULES);
    await runCommand({
      argv: ["cp", "-al", "--", from, staged],
      timeoutSeconds: FETCH_TIMEOUT_SECONDS,
    });
    const hand = ["-type", "d", "-exec", "chown", "-h", this.account(), "{}", "+"];
    await steps.run(this.step("hand the dependencies over", ["find", join(staged, MODULES), ...hand]));
    await this.ownRecords(join(staged, MODULES));
    await rename(join(staged, MODULES), join(release, MODULES));
  }

  private async copy(key: string, release: string, steps: StepRunner): Promise<void> {
    const staged = await this.stage();
    const from = join(this.entry(key), MODULES);
    const copy = ["cp", "-a", "--reflink=auto", "--", from, staged];
    await steps.run(this.step("copy the dependencies", copy));
    const hand = ["chown", "-hR", this.account(), join(staged, MODULES)];
    await steps.run(this.step("hand the dependencies over", hand));
    await rename(join(staged, MODULES), join(release, MODULES));
  }

  /** What a package manager writes about node_modules lies in files whose names begin with a dot; it writes them in place. */
  private async ownRecords(modules: string): Promise<void> {
    for (const entry of await readdir(modules, { withFileTypes: true })) {
      if (entry.isFile() && entry.name.startsWith(".")) {
        const [file, own] = [join(modules, entry.name), join(modules, `${entry.name}.own`)];
        await copyFile(file, own);
        await chown(own, this.builder.uid, this.builder.gid);
        await rename(own, file);
      }
    }
  }

  /** An empty directory that the builder cannot look into, so that nothing in it changes under the conductor's hands. */
  private async stage(): Promise<string> {
    const staged = join(this.directory, "staging");
    await rm(staged, { recursive: true, force: true });
    await mkdir(staged, { recursive: true, mode: 0o700 });
    return staged;
  }

  private step(name: string, argv: readonly string[], as: Step["as"] = "conductor"): Step {
    const wayOut = (): string => `see whether ${this.directory} can be written`;
    return { name, argv, timeoutSeconds: FETCH_TIMEOUT_SECONDS, wayOut, quiet: true, as };
  }

  private entry(key: string): string {
    return join(this.directory, key);
  }

  private account(): string {
    return `${this.builder.uid}:${this.builder.gid}`;
  }

  /** The conductor's own user and group. */
  private owner(): string {
    return `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  }
}

/** Prints the first file that others than its owner could write, or run as its owner. */
function findWritable(directory: string): string[] {
  return [
    "find",
    directory,
    "!",
    "-type",
    "l",
    "(",
    "-perm",
    "/022",
    "-o",
    "-perm",
    "/6000",
    ")",
    "-print",
    "-quit",
  ];
}
