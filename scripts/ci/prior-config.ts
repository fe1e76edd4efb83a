import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, type CommandResult } from "../../sandbox/command";
import { StepError } from "./faults";

/** What the config of a stack was at some commit. */
export interface PriorConfig {
  /** The commit, in full. */
  readonly commit: string;
  /** The commit whose change of the config is taken back, in full; null where a commit was named. */
  readonly undone: string | null;
  /** The stack's file at that commit says what the file says now. */
  readonly unchanged: boolean;
}

type Git = (...args: readonly string[]) => Promise<CommandResult>;

/**
 * Puts a stack's file back to what it was at a commit; nothing else in the work tree changes.
 * @param ref Any name of the commit. It has to be one that the checked-out branch holds: what never was on it was
 *   never reviewed. Empty: the one before the last change of that file.
 * @throws StepError where there is no such commit or file
 */
export async function restorePriorConfig(
  directory: string,
  stack: string,
  ref: string,
): Promise<PriorConfig> {
  const file = `Pulumi.${stack}.yaml`;
  const git: Git = (...args) => run(["git", "-C", directory, ...args], { check: false });
  const undone = ref === "" ? await lastChange(git, file) : null;
  const wanted = undone === null ? ref : `${undone}^`;
  const found = await git("rev-parse", "--verify", "--quiet", "--end-of-options", `${wanted}^{commit}`);
  const commit = found.stdout.trim();
  if (found.exitCode !== 0 && undone !== null) {
    throw new StepError(
      `${file} was never changed on this branch since ${undone}, its first commit: there is no prior config`,
    );
  }
  if (found.exitCode !== 0) {
    throw new StepError(
      `${JSON.stringify(ref)} names no commit here; give one of: git log --oneline -- ${file}`,
    );
  }
  if ((await git("merge-base", "--is-ancestor", commit, "HEAD")).exitCode !== 0) {
    throw new StepError(`${commit} is not on this branch, so that nobody has reviewed its ${file}`);
  }
  // `./`: the path is meant from this directory, not from the repository's root.
  const before = await git("show", `${commit}:./${file}`);
  if (before.exitCode !== 0) throw new StepError(`there is no ${file} at ${commit}: ${before.stderr.trim()}`);
  const unchanged = (await git("diff", "--quiet", commit, "--", file)).exitCode === 0;
  writeFileSync(join(directory, file), before.stdout);
  return { commit, undone, unchanged };
}

/** The last commit that changed a file on the branch itself: a merge is one change, for what lay within it was never deployed. */
async function lastChange(git: Git, file: string): Promise<string> {
  const found = await git("log", "--first-parent", "-1", "--format=%H", "--", file);
  const commit = found.stdout.trim();
  if (found.exitCode === 0 && commit !== "") return commit;
  throw new StepError(
    `no commit of this branch holds ${file}${found.stderr.trim() && `: ${found.stderr.trim()}`}`,
  );
}
