import { Failed } from "../faults";
import { FETCH_TIMEOUT_SECONDS, type Step, type StepRunner } from "./build-step";
import type { Paths } from "../paths";
import type { ReleaseIntent } from "../protocol";
import { finishedReleases } from "./records";

/** Where a release's files come from: a bare repository on the host that tags are fetched into. */
export class ReleaseSource {
  constructor(
    private readonly paths: Paths,
    private readonly intent: ReleaseIntent,
    private readonly steps: StepRunner,
  ) {}

  /**
   * Fetches the release's tag, and returns its commit.
   * @throws Failed where the tag cannot be had, or is not the commit that it has to be.
   */
  async fetch(): Promise<string> {
    const { paths, intent } = this;
    const ref = `refs/tags/${intent.tag}`;
    const room = ["git", "init", "--quiet", "--bare", paths.source];
    await this.steps.run({ ...this.step("make room for the source", []), argv: room });
    await this.removeLocks();
    const fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--force", "--"];
    await this.git(`fetch ${intent.tag}`, [...fetch, intent.repository, `+${ref}:${ref}`]);
    const revision = ["rev-parse", "--verify", "--end-of-options", `${ref}^{commit}`];
    const commit = (await this.git(`resolve ${intent.tag}`, revision)).trim();
    requireCommit(intent, commit);
    await this.requireKnownCommit(commit);
    await this.forgetOthers();
    return commit;
  }

  /** Takes away the locks of a Git that was killed, by which every later one is refused; no other one is at it. */
  private async removeLocks(): Promise<void> {
    const find = ["find", this.paths.source, "-name", "*.lock", "-type", "f", "-delete"];
    await this.steps.run({ ...this.step("remove Git's locks", []), argv: find, quiet: true });
  }

  /**
   * Takes away the tags of releases that are gone, so that their files are none of the source's any more, and Git's own
   * housekeeping removes them. A tag that is needed again is fetched again.
   */
  private async forgetOthers(): Promise<void> {
    const kept = new Set((await finishedReleases(this.paths)).map(({ record }) => record.intent.tag));
    const list = await this.git("list the tags", ["for-each-ref", "--format=%(refname)", "refs/tags"], true);
    const tags = list.split("\n").map((ref) => ref.replace(/^refs\/tags\//, ""));
    const gone = tags.filter((tag) => tag !== "" && tag !== this.intent.tag && !kept.has(tag));
    if (gone.length > 0) {
      await this.git("forget tags", ["tag", "--delete", "--", ...gone], true);
    }
  }

  /** Writes all files of `commit` into `directory`. */
  async checkOut(commit: string, directory: string): Promise<void> {
    await this.git("read the tree", ["read-tree", commit]);
    const checkOut = [`--work-tree=${directory}`, "checkout-index", "--all", "--force"];
    await this.steps.run({ ...this.step("check out", checkOut), cwd: directory });
  }

  /** Hashes of the files of `commit`, by path. */
  async files(commit: string): Promise<Map<string, string>> {
    const list = await this.git("list the files", ["ls-tree", "-r", "-z", commit], true);
    const entries = list.split("\0").flatMap((line) => {
      const [, mode, type, hash, path] = /^(\d+) (\w+) ([0-9a-f]+)\t(.*)$/s.exec(line) ?? [];
      return type === "blob" && mode !== "120000" ? [[path ?? "", hash ?? ""] as const] : [];
    });
    return new Map(entries);
  }

  /** Text of a file of the repository, by its hash. */
  async text(hash: string): Promise<string> {
    return this.git("read a file", ["cat-file", "blob", hash], true);
  }

  private git(name: string, args: readonly string[], quiet = false): Promise<string> {
    return this.steps.run({ ...this.step(name, args), quiet });
  }

  private step(name: string, args: readonly string[]): Step {
    const { paths } = this;
    // `ext` would run any program that a repository's address names.
    const git = ["git", `--git-dir=${paths.source}`, "-c", "protocol.ext.allow=never"];
    // A server that does not send is given up after half a minute.
    const patience = ["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30"];
    const argv = [...git, ...patience, ...args];
    const wayOut = (output: string): string => this.wayOut(output);
    return { name, argv, timeoutSeconds: FETCH_TIMEOUT_SECONDS, wayOut, as: "builder" };
  }

  private wayOut(output: string): string {
    const { tag, repository, version } = this.intent;
    return /couldn't find remote ref|could not find remote ref/i.test(output)
      ? `publish the tag ${tag}, or correct the version ${version} or source.tagPattern`
      : `check source.repository, and that this host reaches it: \`git ls-remote --tags ${repository}\` on the host`;
  }

  /** A version is one commit for ever: a tag of a repository may not have moved since it was released. */
  private async requireKnownCommit(commit: string): Promise<void> {
    const { tag, repository } = this.intent;
    for (const { record } of await finishedReleases(this.paths)) {
      const same = record.intent.tag === tag && record.intent.repository === repository;
      if (same && record.commit !== commit) {
        throw new Failed(
          `tag ${tag} was commit ${record.commit} when it was released here, and is ${commit} now; ` +
            "a tag that moved is not released: publish a new version",
        );
      }
    }
  }
}

/** @throws Failed where the config pins another commit than the tag's. */
export function requireCommit(intent: ReleaseIntent, commit: string): void {
  if (intent.commit !== null && intent.commit !== commit) {
    throw new Failed(
      `tag ${intent.tag} is commit ${commit}, and the config pins ${intent.commit}; ` +
        "a tag that moved is not released: publish a new version, or correct the pin",
    );
  }
}
