import { chown, lstat, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Failed } from "../faults";
import { FETCH_TIMEOUT_SECONDS, StepFailed, type Builder, type StepRunner } from "./build-step";
import { dependencyKey, LOCK_FILES } from "./dependency-key";
import type { DependencyStore, Sharing } from "./dependency-store";
import type { ReleaseIntent } from "../protocol";
import { finishedReleases, isThere, removeRecord } from "./records";
import { ReleaseSource } from "./source";
import { wayOutOf, wayOutOfTime } from "./way-out";

/** A release to build. */
export interface BuildOrder {
  readonly intent: ReleaseIntent;
  /** Where to; nothing of what is there stays. */
  readonly directory: string;
  /** Directories, relative to the release, that are taken over from the newest finished release. */
  readonly cache: readonly string[];
  /** Longest install, build or prune, in seconds. */
  readonly timeoutSeconds: number;
}

/** What came of a {@link BuildOrder}. */
export interface Built {
  readonly commit: string;
  /** Entry of the dependency store that it was made with; null for none. */
  readonly dependencies: string | null;
}

/**
 * Fetches, installs and builds a release.
 * @throws Failed that names the step, with the last lines of what it ran and the way out.
 */
export async function buildRelease(
  order: BuildOrder,
  builder: Builder,
  store: DependencyStore,
  steps: StepRunner,
): Promise<Built> {
  const { intent, directory } = order;
  await builder.enclosure.end();
  const source = new ReleaseSource(builder.paths, intent, steps);
  const commit = await source.fetch();
  const dependencies = await keyOf(source, commit, intent, steps);
  // A directory that was removed by hand left its record: half of what comes now would count as finished.
  await removeRecord(builder.paths, directory);
  const attempt = async (asked: Sharing): Promise<Sharing | null> => {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o755 });
    await chown(directory, builder.account.uid, builder.account.gid);
    await source.checkOut(commit, directory);
    const shared = await install({ order, dependencies, asked }, store, steps);
    await takeCacheOver(order, builder, steps);
    try {
      await runCommandOf(order, "build", steps);
      await runCommandOf(order, "prune", steps);
      return shared;
    } catch (error) {
      if (dependencies === null || shared !== "linked" || !isForbidden(error)) {
        throw error;
      }
      steps.tell("the build may not write into files that releases share; again, with a copy of its own");
      const copied = await attempt("copied");
      await store.shareNoMore(dependencies);
      return copied;
    }
  };
  const shared = await attempt("linked");
  if (!(await isThere(join(directory, intent.script)))) {
    throw new Failed(
      `${intent.version}: ${intent.script} is not there after the build; check application.script`,
    );
  }
  return { commit, dependencies: shared === null ? null : dependencies };
}

function isForbidden(error: unknown): boolean {
  return error instanceof StepFailed && /\b(EACCES|EPERM)\b|permission denied/i.test(error.output);
}

async function keyOf(
  source: ReleaseSource,
  commit: string,
  intent: ReleaseIntent,
  steps: StepRunner,
): Promise<string | null> {
  const files = await source.files(commit);
  const lockFile = LOCK_FILES.find((name) => files.has(name));
  const read = async (name: string | undefined): Promise<string | null> => {
    const hash = files.get(name ?? "");
    return hash === undefined ? null : source.text(hash);
  };
  const [manifest, lock] = [await read("package.json"), await read(lockFile)];
  if (manifest === null || lock === null) {
    return null;
  }
  const node = await steps.run({
    name: "ask for the version of Node",
    argv: ["node", "--print", "`${process.version} ${process.platform} ${process.arch}`"],
    timeoutSeconds: FETCH_TIMEOUT_SECONDS,
    wayOut: () => "see whether `node` is in the PATH of the host",
    quiet: true,
    as: "builder",
  });
  return dependencyKey({ install: intent.install, node: node.trim(), manifest, lock, files });
}

interface Install {
  readonly order: BuildOrder;
  readonly dependencies: string | null;
  readonly asked: Sharing;
}

/** Takes node_modules from the store, or installs and keeps them there. Null: they are the release's own. */
async function install(
  { order, dependencies, asked }: Install,
  store: DependencyStore,
  steps: StepRunner,
): Promise<Sharing | null> {
  const { directory } = order;
  const taken = dependencies === null ? null : await store.take(dependencies, directory, steps, asked);
  if (taken !== null) {
    steps.tell(`install: nothing to do, the dependencies of this lock file are here (${taken})`);
    return taken;
  }
  await runCommandOf(order, "install", steps);
  return dependencies === null ? null : store.keep(dependencies, directory, steps, asked);
}

async function runCommandOf(
  { intent, directory, timeoutSeconds }: BuildOrder,
  which: "install" | "build" | "prune",
  steps: StepRunner,
): Promise<void> {
  const argv = intent[which];
  if (argv.length > 0) {
    await steps.run({
      name: `${which} (${argv.join(" ")})`,
      argv,
      cwd: directory,
      writes: directory,
      timeoutSeconds,
      wayOut: (output) => wayOutOf(which, output),
      wayOutOfTime: wayOutOfTime(timeoutSeconds),
      as: "stranger",
    });
  }
}

/** A cache makes a build faster, and is nothing that a release could fail for. */
async function takeCacheOver(
  { directory, cache }: BuildOrder,
  builder: Builder,
  steps: StepRunner,
): Promise<void> {
  const newest = (await finishedReleases(builder.paths))[0]?.record.directory;
  for (const path of newest === undefined ? [] : cache) {
    const found = await lstat(join(newest ?? "", path)).catch(() => null);
    if (found?.isDirectory() !== true || (await isThere(join(directory, path)))) {
      continue;
    }
    try {
      await steps.run({
        name: `take ${path} over`,
        argv: ["cp", "-a", "--reflink=auto", "--parents", "--", path, directory],
        cwd: newest ?? "",
        writes: directory,
        timeoutSeconds: FETCH_TIMEOUT_SECONDS,
        wayOut: () => "the build goes on without it",
        // The install may have put a link in the way, to what serves.
        as: "stranger",
      });
    } catch (error) {
      // The release that it is taken from may be running, and changing it.
      steps.tell(`without ${path}: ${(error as Error).message}`);
      await rm(join(directory, path), { recursive: true, force: true });
    }
  }
}
