import * as fs from "node:fs";
import * as path from "node:path";

import { applicationNamed, type Application } from "./applications";
import { run } from "./command";
import { waitFor } from "./processes";
import { repositoryRoot } from "./repository";
import { listens } from "./reachable";
import { findService, serviceLog, startService, stopService } from "./services";
import type { World } from "./world";

/** Port of the git protocol. */
const GIT_PORT = 9418;

/** Longest wait for the git daemon to listen, in seconds. */
const LISTEN_SECONDS = 60;

/** What an application leaves in its directory when it is built and tested there; no part of it. */
const LEFT_BEHIND = ["tests", "dist", "node_modules", ".next", "next-env.d.ts", "tsconfig.tsbuildinfo"];

/** An application's git repository. The same versions in the same order are the same commits, on every machine. */
export class Source {
  /** Directory that the git daemon serves: the repositories of all applications that were made in it. */
  readonly base: string;
  private readonly repository: string;

  private constructor(
    private readonly directory: string,
    readonly application: Application,
  ) {
    this.base = servedIn(directory);
    this.repository = path.join(this.base, application.repository);
  }

  /** Makes the repository with the application's versions in `directory`, over what is there of it. */
  static async create(directory: string, application = applicationNamed("plain")): Promise<Source> {
    const source = new Source(directory, application);
    fs.rmSync(source.repository, { recursive: true, force: true });
    fs.mkdirSync(source.base, { recursive: true });
    await run(["git", "init", "--quiet", "--bare", "--initial-branch=main", source.repository], {
      env: gitEnvironment(),
    });
    for (const { version, edit } of application.versions) await source.addTag(version, edit);
    return source;
  }

  /** Returns the source that {@link Source.create} made in `directory`. */
  static open(directory: string, application = applicationNamed("plain")): Source {
    return new Source(directory, application);
  }

  /** Tells whether {@link Source.create} came to its end in `directory`. */
  static isComplete(directory: string, application = applicationNamed("plain")): boolean {
    const tags = path.join(servedIn(directory), application.repository, "refs", "tags");
    return application.versions.every(({ version }) => fs.existsSync(path.join(tags, tagOf(version))));
  }

  /**
   * Publishes `version` (as `v1.2.3`) under its tag: the application, with the version in its manifests, after `edit` has
   * changed the files in the directory it is given. An existing tag is moved. Returns the commit.
   */
  async addTag(version: string, edit: (directory: string) => void = () => undefined): Promise<string> {
    const tree = path.join(this.directory, `tree-${this.application.name}`);
    fs.rmSync(tree, { recursive: true, force: true });
    copyApplication(this.application, tree);
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
    return `git://${address}/${this.application.repository}`;
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

function servedIn(directory: string): string {
  return path.join(directory, "served");
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
function copyApplication({ directory }: Application, target: string): void {
  const source = path.join(repositoryRoot(), "sandbox", directory);
  const left = new Set(LEFT_BEHIND.map((name) => path.join(source, name)));
  fs.cpSync(source, target, { recursive: true, filter: (file) => !left.has(file) });
  // Only the execute bit is part of a commit, but a clone's umask decides on the rest.
  for (const entry of fs.readdirSync(target, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) fs.chmodSync(path.join(entry.parentPath, entry.name), 0o644);
  }
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
