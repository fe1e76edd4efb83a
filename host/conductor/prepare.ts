import { createHash } from "node:crypto";
import { access, chown, mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { Failed } from "./acts";
import { CommandFailed, runCommand } from "./command";
import { readIfThere, removeDurably, writeDurably } from "./durable-file";
import type { Environments } from "./environments";
import type { Paths } from "./paths";
import type { ReleaseIntent } from "./protocol";
import type { InstalledRelease } from "./site";
import { forBuild } from "./variables";

/** Puts releases on the disk, and takes them off it. */
export interface Releases {
  /**
   * Returns the release that `intent` names: the finished directory where there is one, without any download;
   * otherwise a new one, fetched, installed and built while the old one serves.
   * @throws Failed that names the step, with the last lines of what it ran. Nothing of it is left on the disk then.
   */
  prepare(intent: ReleaseIntent, progress: (line: string) => void): Promise<InstalledRelease>;
  /** Removes all finished releases but those in use and the last `kept` others, and every unfinished one. */
  prune(inUse: readonly string[], kept: number): Promise<void>;
}

/** User and group that a release is built and run by. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

const FETCH_TIMEOUT_SECONDS = 300;
const BUILD_TIMEOUT_SECONDS = 1800;

/** Releases under {@link Paths.releases}, with a record of each finished one under {@link Paths.records}. */
export function releasesOnDisk(
  app: string,
  paths: Paths,
  account: Account,
  environments: Pick<Environments, "read">,
): Releases {
  return {
    async prepare(intent, progress) {
      const directory = join(paths.releases, directoryName(app, intent));
      const finished = await readRecord(paths, directory);
      if (finished !== null) {
        requireCommit(intent, finished.commit);
        return { ...finished, intent };
      }
      const variables = forBuild(await environments.read(intent.environment), intent.buildVariables);
      try {
        return await build({ paths, account, intent, variables, directory, progress });
      } catch (error) {
        await rm(directory, { recursive: true, force: true });
        throw error;
      }
    },
    async prune(inUse, kept) {
      const used = new Set(inUse);
      const found = (await readdir(paths.releases)).filter((name) => isDirectoryName(app, name));
      const spare: { readonly directory: string; readonly finishedAt: number }[] = [];
      for (const directory of found.map((name) => join(paths.releases, name)).filter((d) => !used.has(d))) {
        const record = await stat(recordPath(paths, directory)).catch(() => null);
        spare.push({ directory, finishedAt: record?.mtimeMs ?? -1 });
      }
      const newestFirst = spare.sort((a, b) => b.finishedAt - a.finishedAt);
      const surplus = newestFirst.filter(({ finishedAt }, index) => finishedAt < 0 || index >= kept);
      for (const { directory } of surplus) {
        await removeDurably(recordPath(paths, directory));
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

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

function recordPath(paths: Paths, directory: string): string {
  return join(paths.records, `${basename(directory)}.json`);
}

async function readRecord(paths: Paths, directory: string): Promise<InstalledRelease | null> {
  const text = await readIfThere(recordPath(paths, directory));
  const present = await access(directory).then(
    () => true,
    () => false,
  );
  return text === null || !present ? null : (JSON.parse(text) as InstalledRelease);
}

function requireCommit(intent: ReleaseIntent, commit: string): void {
  if (intent.commit !== null && intent.commit !== commit) {
    throw new Failed(
      `tag ${intent.tag} is commit ${commit}, and the config pins ${intent.commit}; ` +
        "a tag that moved is not released: publish a new version, or correct the pin",
    );
  }
}

interface BuildInput {
  readonly paths: Paths;
  readonly account: Account;
  readonly intent: ReleaseIntent;
  /** What installs and builds see of the release's environment. */
  readonly variables: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly progress: (line: string) => void;
}

async function build(input: BuildInput): Promise<InstalledRelease> {
  const { paths, account, intent, variables, directory, progress } = input;
  const step = async (
    name: string,
    argv: readonly string[],
    timeoutSeconds: number,
    cwd?: string,
  ): Promise<string> => {
    progress(`${intent.version}: ${name}`);
    try {
      return await runCommand({
        // The other colour serves users on the same processors.
        argv: ["nice", "-n", "19", "ionice", "-c", "3", ...argv],
        env: { ...variables, ...buildEnvironment(paths) },
        timeoutSeconds,
        ...account,
        ...(cwd === undefined ? {} : { cwd }),
      });
    } catch (error) {
      throw error instanceof CommandFailed ? new Failed(`${intent.version}: ${name} ${error.ending}`) : error;
    }
  };
  await rm(directory, { recursive: true, force: true });
  const commit = await fetchTag(input, step);
  await checkKnownCommit(paths, intent, commit);
  await mkdir(directory, { mode: 0o755 });
  await chown(directory, account.uid, account.gid);
  await step("read the tree", git(paths, "read-tree", commit), FETCH_TIMEOUT_SECONDS);
  const checkOut = git(paths, `--work-tree=${directory}`, "checkout-index", "--all", "--force");
  await step("check out", checkOut, FETCH_TIMEOUT_SECONDS, directory);
  for (const [name, argv] of [
    ["install", intent.install],
    ["build", intent.build],
    ["prune", intent.prune],
  ] as const) {
    if (argv.length > 0) {
      await step(`${name} (${argv.join(" ")})`, argv, BUILD_TIMEOUT_SECONDS, directory);
    }
  }
  await access(join(directory, intent.script)).catch(() => {
    throw new Failed(
      `${intent.version}: ${intent.script} is not there after the build; check application.script`,
    );
  });
  const release: InstalledRelease = { intent, commit, directory };
  await writeDurably(recordPath(paths, directory), `${JSON.stringify(release, null, 2)}\n`);
  return release;
}

function git(paths: Paths, ...args: string[]): string[] {
  // `ext` would run any program that a repository's address names.
  return ["git", `--git-dir=${paths.source}`, "-c", "protocol.ext.allow=never", ...args];
}

type Step = (name: string, argv: readonly string[], timeoutSeconds: number) => Promise<string>;

async function fetchTag({ paths, intent }: BuildInput, step: Step): Promise<string> {
  const ref = `refs/tags/${intent.tag}`;
  await step(
    "make room for the source",
    ["git", "init", "--quiet", "--bare", paths.source],
    FETCH_TIMEOUT_SECONDS,
  );
  await step(
    `fetch ${intent.tag}`,
    git(
      paths,
      "fetch",
      "--quiet",
      "--depth=1",
      "--no-tags",
      "--force",
      "--",
      intent.repository,
      `+${ref}:${ref}`,
    ),
    FETCH_TIMEOUT_SECONDS,
  );
  const revision = ["rev-parse", "--verify", "--end-of-options", `${ref}^{commit}`];
  const commit = (await step(`resolve ${intent.tag}`, git(paths, ...revision), FETCH_TIMEOUT_SECONDS)).trim();
  requireCommit(intent, commit);
  return commit;
}

/** A version is one commit for ever: the same tag from the same repository may not have moved since it was released. */
async function checkKnownCommit(paths: Paths, intent: ReleaseIntent, commit: string): Promise<void> {
  for (const name of await readdir(paths.records)) {
    const text = await readIfThere(join(paths.records, name));
    const known = text === null ? null : (JSON.parse(text) as InstalledRelease);
    const same = known?.intent.tag === intent.tag && known.intent.repository === intent.repository;
    if (known !== null && same && known.commit !== commit) {
      throw new Failed(
        `tag ${intent.tag} was commit ${known.commit} when it was released here, and is ${commit} now; ` +
          "a tag that moved is not released: publish a new version",
      );
    }
  }
}

/** What installs and builds see: no secret of the conductor's, and nothing that asks a question. */
function buildEnvironment(paths: Paths): Record<string, string> {
  const certificates = process.env["NODE_EXTRA_CA_CERTS"];
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: paths.home,
    LANG: "C.UTF-8",
    CI: "true",
    GIT_TERMINAL_PROMPT: "0",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
    NEXT_TELEMETRY_DISABLED: "1",
    NPM_CONFIG_AUDIT: "false",
    NPM_CONFIG_FUND: "false",
    NPM_CONFIG_UPDATE_NOTIFIER: "false",
    ...(certificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificates }),
  };
}
