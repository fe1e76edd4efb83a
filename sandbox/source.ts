import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "./command";
import { waitFor } from "./processes";
import { repositoryRoot } from "./repository";
import { listens } from "./reachable";
import { findService, serviceLog, startService, stopService } from "./services";
import type { World } from "./world";

/** Versions that every sandbox's source has, oldest first. */
export const PUBLISHED_VERSIONS = ["v0.9.9", "v1.0.0", "v1.1.0"] as const;

/** Port of the git protocol. */
const GIT_PORT = 9418;

/** Longest wait for the git daemon to listen, in seconds. */
const LISTEN_SECONDS = 10;

/** The sample's git repository. The same versions in the same order are the same commits, on every machine. */
export class Source {
  /** Directory that the git daemon serves. */
  readonly base: string;
  private readonly repository: string;

  private constructor(private readonly directory: string) {
    this.base = path.join(directory, "served");
    this.repository = path.join(this.base, "sample.git");
  }

  /** Makes the repository with {@link PUBLISHED_VERSIONS} in `directory`, over what is there. */
  static async create(directory: string): Promise<Source> {
    fs.rmSync(directory, { recursive: true, force: true });
    const source = new Source(directory);
    fs.mkdirSync(source.base, { recursive: true });
    await run(["git", "init", "--quiet", "--bare", "--initial-branch=main", source.repository], {
      env: gitEnvironment(),
    });
    for (const version of PUBLISHED_VERSIONS) await source.addTag(version);
    return source;
  }

  /** Returns the source that {@link Source.create} made in `directory`. */
  static open(directory: string): Source {
    return new Source(directory);
  }

  /** Tells whether {@link Source.create} came to its end in `directory`. */
  static isComplete(directory: string): boolean {
    const tags = path.join(directory, "served", "sample.git", "refs", "tags");
    return PUBLISHED_VERSIONS.every((version) => fs.existsSync(path.join(tags, tagOf(version))));
  }

  /**
   * Publishes `version` (as `v1.2.3`) under its tag: the sample, with the version in its manifests, after `edit` has
   * changed the files in the directory it is given. An existing tag is moved. Returns the commit.
   */
  async addTag(version: string, edit: (directory: string) => void = () => undefined): Promise<string> {
    const tree = path.join(this.directory, "tree");
    fs.rmSync(tree, { recursive: true, force: true });
    copySample(tree);
    writeVersion(tree, version);
    edit(tree);
    const commits = Number(await this.git({}, "rev-list", "--all", "--count"));
    const into = { GIT_WORK_TREE: tree, ...datesOf(commits) };
    await this.git(into, "add", "--all", "--force");
    await this.git(into, "commit", "--quiet", "--allow-empty", `--message=Release ${version}`);
    await this.git(into, "tag", "--force", "--annotate", `--message=Release ${version}`, tagOf(version));
    fs.rmSync(tree, { recursive: true });
    return this.git({}, "rev-parse", "HEAD");
  }

  /** Serves the repository on `address` until {@link stopServing}; returns its URL. Idempotent. */
  async serve(world: World, address: string): Promise<string> {
    const name = serviceName(address);
    if (findService(world, name) === null) {
      // The daemon itself: its wrapper `git` would be one more process to end.
      const { stdout: directory } = await run(["git", "--exec-path"]);
      startService(world, name, [
        path.join(directory.trim(), "git-daemon"),
        ...[`--listen=${address}`, `--port=${GIT_PORT}`, "--reuseaddr", "--informative-errors"],
        ...["--export-all", `--base-path=${this.base}`, this.base],
      ]);
    }
    await waitFor(
      `the git daemon on ${address} (see ${serviceLog(world, name)})`,
      LISTEN_SECONDS,
      async () => ((await listens(address, GIT_PORT)) ? true : undefined),
    );
    return `git://${address}/sample.git`;
  }

  private async git(environment: Readonly<Record<string, string>>, ...args: string[]): Promise<string> {
    const env = { ...gitEnvironment(), GIT_DIR: this.repository, ...environment };
    return (await run(["git", ...args], { env })).stdout.trim();
  }
}

/** Ends the git daemon that serves on `address`. */
export async function stopServing(world: World, address: string): Promise<void> {
  await stopService(world, serviceName(address));
}

/** The tag that a version is published under: the stack's `source.tagPattern`. */
export function tagOf(version: string): string {
  return `${version}-production`;
}

function serviceName(address: string): string {
  return `git-${address}`;
}

/** The user's own git configuration must not find its way into the commits. */
function gitEnvironment(): NodeJS.ProcessEnv {
  const person = { NAME: "Sandbox", EMAIL: "sandbox@vehicleservice.test" };
  return {
    PATH: process.env["PATH"],
    LC_ALL: "C.UTF-8",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: person.NAME,
    GIT_AUTHOR_EMAIL: person.EMAIL,
    GIT_COMMITTER_NAME: person.NAME,
    GIT_COMMITTER_EMAIL: person.EMAIL,
  };
}

/** Dates of the commit with `before` others before it: one a day, at noon. */
function datesOf(before: number): Record<string, string> {
  const date = new Date(Date.UTC(2025, 0, 1 + before, 12)).toISOString();
  return { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
}

/** Copies what belongs to the application; its tests and what it builds stay behind. */
function copySample(target: string): void {
  const sample = path.join(repositoryRoot(), "sandbox", "sample");
  const left = new Set(["tests", "dist", "node_modules"].map((name) => path.join(sample, name)));
  fs.cpSync(sample, target, { recursive: true, filter: (file) => !left.has(file) });
  // Only the execute bit is part of a commit, but a clone's umask decides on the rest.
  for (const name of fs.readdirSync(target)) fs.chmodSync(path.join(target, name), 0o644);
}

function writeVersion(directory: string, version: string): void {
  const number = version.replace(/^v/, "");
  for (const name of ["package.json", "package-lock.json"]) {
    const file = path.join(directory, name);
    const manifest = JSON.parse(fs.readFileSync(file, "utf8")) as Manifest;
    manifest.version = number;
    if (manifest.packages?.[""] !== undefined) manifest.packages[""].version = number;
    fs.writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
  }
}

interface Manifest {
  version: string;
  packages?: { ""?: { version: string } };
}
