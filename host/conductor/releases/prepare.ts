import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Failed, Refused } from "../faults";
import { SharedAssets } from "./assets";
import { buildRelease } from "./build";
import { StepRunner, type Builder, type Caller } from "./build-step";
import { requireNoSecrets } from "./client-secrets";
import { DependencyStore } from "./dependency-store";
import { bytesOf, flush, freeBytes, inMegabytes } from "./disk";
import type { Paths } from "../paths";
import type { ReleaseIntent, SiteSettings } from "../protocol";
import {
  finishedReleases,
  isThere,
  readRecord,
  removeRecord,
  writeRecord,
  type FinishedRelease,
} from "./records";
import { requireCommit } from "./source";
import type { InstalledRelease } from "../site";
import { forBuild } from "./variables";

/** Puts releases on the disk, and takes them off it. */
export interface Releases {
  /**
   * Returns the release that `intent` names: the finished directory where there is one, without any download;
   * otherwise a new one, fetched, installed and built while the old one serves.
   * @throws Failed that names the step, with the last lines of what it ran. Nothing of it is left on the disk then.
   * Refused where the disk has no room for it. The signal's reason where it was given up.
   */
  prepare(intent: ReleaseIntent, keeping: Keeping, caller: Caller): Promise<InstalledRelease>;
  /**
   * Builds a release again, in its own directory, where that or its script is gone; leaves it alone otherwise.
   * @throws as {@link Releases.prepare}
   */
  restore(release: InstalledRelease, keeping: Keeping, caller: Caller): Promise<void>;
  /**
   * Removes all finished releases but those in use and the last `releasesKept` others, every unfinished one, and what
   * only they had in the dependency store and among the shared assets.
   */
  prune(keeping: Keeping): Promise<void>;
}

/** What has to stay on the disk, and by which settings. */
export interface Keeping {
  /** Directories of the releases that run, or that a colour goes back to. */
  readonly inUse: readonly string[];
  readonly settings: Pick<SiteSettings, "releasesKept" | "builds" | "assetsPath">;
}

/** Releases under {@link Paths.releases}, with a record of each finished one under {@link Paths.records}. */
export function releasesOnDisk(app: string, builder: Builder): Releases {
  return new ReleasesOnDisk(app, builder);
}

class ReleasesOnDisk implements Releases {
  private readonly paths: Paths;
  private readonly store: DependencyStore;

  constructor(
    private readonly app: string,
    private readonly builder: Builder,
  ) {
    this.paths = builder.paths;
    this.store = new DependencyStore(builder.paths.dependencies, builder.account);
  }

  async prepare(intent: ReleaseIntent, keeping: Keeping, caller: Caller): Promise<InstalledRelease> {
    const directory = join(this.paths.releases, directoryName(this.app, intent));
    const finished = await readRecord(this.paths, directory);
    if (finished !== null) {
      requireCommit(intent, finished.commit);
    }
    const commit = finished?.commit ?? (await this.build(intent, directory, keeping, caller));
    await this.shareAssets(directory, keeping);
    return { intent, commit, directory };
  }

  async restore({ intent, directory }: InstalledRelease, keeping: Keeping, caller: Caller): Promise<void> {
    // The script may be there before the rest is.
    if (
      (await readRecord(this.paths, directory)) !== null &&
      (await isThere(join(directory, intent.script)))
    ) {
      return;
    }
    caller.progress(`${intent.version}: ${directory} is gone; it is built again`);
    await this.build(intent, directory, keeping, caller);
    await this.shareAssets(directory, keeping);
  }

  async prune(keeping: Keeping): Promise<void> {
    const surplus = (await this.spare(keeping)).filter(
      ({ finishedAt }, index) => finishedAt < 0 || index >= keeping.settings.releasesKept,
    );
    await this.remove(surplus, keeping);
  }

  private async build(
    intent: ReleaseIntent,
    directory: string,
    keeping: Keeping,
    caller: Caller,
  ): Promise<string> {
    await this.requireSpace(keeping, caller.progress);
    const environment = await this.builder.environments.read(intent.environment);
    const variables = forBuild(environment, intent.buildVariables);
    const steps = new StepRunner(this.builder, intent.version, variables, caller);
    const { assets, cache, timeoutSeconds } = keeping.settings.builds;
    try {
      const order = { intent, directory, cache, timeoutSeconds };
      const built = await buildRelease(order, this.builder, this.store, steps);
      await requireNoSecrets({ version: intent.version, directory, assets }, environment);
      const bytes = await bytesOf(directory);
      // A record outlives a power cut, so that what it stands for has to.
      await flush(this.paths.releases);
      if (built.dependencies !== null) {
        await this.store.seal(built.dependencies);
      }
      await writeRecord(this.paths, { intent, ...built, directory, bytes });
      return built.commit;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Makes room for one more release: removes spare ones, the oldest first, where there is too little.
   * @throws Refused with the figures, where that is not enough.
   */
  private async requireSpace(keeping: Keeping, progress: (line: string) => void): Promise<void> {
    const { minFreeMegabytes } = keeping.settings.builds;
    const last = (await finishedReleases(this.paths))[0]?.record.bytes ?? 0;
    const needed = minFreeMegabytes * 1024 * 1024 + 2 * last;
    for (;;) {
      const free = await freeBytes(this.paths.releases);
      if (free >= needed) {
        return;
      }
      const oldest = (await this.spare(keeping)).at(-1);
      if (oldest === undefined) {
        throw new Refused(
          `${this.paths.releases} has ${inMegabytes(free)} MB left, and a build needs ${inMegabytes(needed)}: ` +
            `application.minFreeMegabytes (${minFreeMegabytes}) and twice the last release (${inMegabytes(last)}). ` +
            "No spare release is left to remove; make room on the host, or lower application.minFreeMegabytes",
        );
      }
      progress(`removing ${oldest.directory}: ${inMegabytes(free)} MB of ${inMegabytes(needed)} are free`);
      await this.remove([oldest], keeping);
    }
  }

  /** Releases on the disk that are not in use, newest first; unfinished ones last. */
  private async spare({ inUse }: Keeping): Promise<Spare[]> {
    const finished = new Map(
      (await finishedReleases(this.paths)).map(({ record, finishedAt }) => [record.directory, finishedAt]),
    );
    const names = (await readdir(this.paths.releases)).filter((name) => isDirectoryName(this.app, name));
    return names
      .map((name) => join(this.paths.releases, name))
      .filter((directory) => !inUse.includes(directory))
      .map((directory) => ({ directory, finishedAt: finished.get(directory) ?? -1 }))
      .sort((a, b) => b.finishedAt - a.finishedAt);
  }

  private async remove(releases: readonly Spare[], { settings }: Keeping): Promise<void> {
    for (const { directory } of releases) {
      await removeRecord(this.paths, directory);
      await rm(directory, { recursive: true, force: true });
    }
    const kept = (await finishedReleases(this.paths)).map(({ record }) => record);
    await this.store.prune(kept.flatMap(({ dependencies }) => dependencies ?? []));
    await this.assets(settings)?.prune(kept.map(({ directory }) => directory));
  }

  private async shareAssets(directory: string, { settings }: Keeping): Promise<void> {
    const assets = this.assets(settings);
    if (assets === null) {
      return;
    }
    const kept = (await finishedReleases(this.paths)).map(({ record }) => record.directory);
    try {
      await assets.add(
        directory,
        kept.filter((other) => other !== directory),
      );
    } catch (error) {
      throw new Failed(
        `sharing the files of application.assets failed: ${(error as Error).message}; ` +
          `see whether ${this.paths.assets} can be written, and lies on the file system of ${this.paths.releases}`,
      );
    }
  }

  private assets({ assetsPath, builds }: Keeping["settings"]): SharedAssets | null {
    return assetsPath === null ? null : new SharedAssets(join(this.paths.assets, assetsPath), builds.assets);
  }
}

/** A release that nothing runs; -1 where it was never finished. */
type Spare = Pick<FinishedRelease, "finishedAt"> & { readonly directory: string };

/**
 * Name of a release's directory. The hash covers all that the directory is a function of, so that the same version
 * with other build commands is another directory, and a finished one is never written again.
 */
export function directoryName(app: string, intent: ReleaseIntent): string {
  const {
    version,
    tag,
    repository,
    install,
    build: buildCommand,
    prune,
    environment,
    buildVariables,
  } = intent;
  const content = JSON.stringify([
    [version, tag, repository, install, buildCommand, prune],
    [environment, buildVariables],
  ]);
  return `${app}-${version}-${createHash("sha256").update(content).digest("hex").slice(0, 8)}`;
}

/** Is it a name that {@link directoryName} gives? Whatever else lies beside the releases is not ours to remove. */
function isDirectoryName(app: string, name: string): boolean {
  return (
    name.startsWith(`${app}-`) &&
    /^v?[0-9]+(\.[0-9]+){1,3}(-[0-9A-Za-z.]+)?-[0-9a-f]{8}$/.test(name.slice(app.length + 1))
  );
}
