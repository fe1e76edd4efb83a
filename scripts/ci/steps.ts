import { readFileSync, writeFileSync } from "node:fs";
import { StepError } from "./faults";
import { GitHub } from "./github";
import { runName, runUrl, setOutput, summarise, type Job } from "./job";
import { headline, planMarkdown } from "./markdown";
import type { Plan } from "./plan";
import { restorePriorConfig } from "./prior-config";
import { preview, up, type LockWait, type StackOf } from "./pulumi";

/** Previews a stack for people: on the run's page, in a file for a comment, and as outputs for a job that waits. */
export async function previewStep(job: Job, of: StackOf, markdownFile: string | undefined): Promise<void> {
  const plan = await preview(job, of);
  const markdown = planMarkdown(of.stack, plan);
  summarise(job, markdown);
  if (markdownFile !== undefined) writeFileSync(markdownFile, markdown);
  setOutput(job, "digest", plan.digest);
  setOutput(job, "changes", String(plan.changes.length > 0));
  refuseFailed(of, plan);
}

/** Shows a preview on a pull request, in the place of the last one. */
export async function commentStep(job: Job, of: StackOf, pullRequest: number, file: string): Promise<void> {
  const markdown = `${readFileSync(file, "utf8")}\n\n[The run](${runUrl(job)})`;
  await new GitHub(job).comment(pullRequest, `preview of ${of.stack}`, markdown);
}

/**
 * Carries out what was approved: previews once more, and goes on only where that finds the same.
 * @param approved Digest of the preview that was approved.
 */
export async function deployStep(job: Job, of: StackOf, approved: string, wait: LockWait): Promise<void> {
  const plan = await preview(job, of);
  refuseFailed(of, plan);
  if (plan.digest !== approved) {
    summarise(job, planMarkdown(of.stack, plan));
    throw new StepError(
      `what an \`up\` of ${of.stack} would do now (${headline(plan)}) is not what was approved: something changed meanwhile. Start the workflow again, and look at the new preview`,
    );
  }
  await up(job, of, `deploy, run ${runName(job)}`, wait);
  summarise(job, `\`${of.stack}\` is up to date: ${headline(plan)}.`);
}

/**
 * Applies the config that a stack had at a commit. No preview and no approval: the way back is short.
 * @param ref The commit; empty for the one before the last change of the config.
 */
export async function rollbackStep(job: Job, of: StackOf, ref: string, wait: LockWait): Promise<void> {
  const { commit, undone, unchanged } = await restorePriorConfig(of.directory, of.stack, ref);
  const short = commit.slice(0, 12);
  const change = undone?.slice(0, 12);
  if (change !== undefined) {
    job.log(`no commit was named: the config of ${short}, before ${change} changed Pulumi.${of.stack}.yaml`);
  }
  if (unchanged) job.log(`Pulumi.${of.stack}.yaml is the same at ${short} and now; applied all the same`);
  await up(job, of, `rollback to the config of ${short}, run ${runName(job)}`, wait);
  summarise(
    job,
    [
      `\`${of.stack}\` has the config of ${short} again${change === undefined ? "" : `, as it was before ${change} changed it`}. The branch still says something else, which the next deployment would bring back. To keep the site as it is now, merge:`,
      "",
      "```sh",
      `git checkout ${short} -- Pulumi.${of.stack}.yaml`,
      `git commit -m "${of.stack}: back to the config of ${short}"`,
      "```",
    ].join("\n"),
  );
}

/** Looks whether somebody changed by hand what a stack looks after; keeps one open issue as long as that is so. */
export async function driftStep(job: Job, of: StackOf): Promise<void> {
  const plan = await preview(job, of, ["--refresh", "--expect-no-changes"]);
  const markdown = planMarkdown(of.stack, plan);
  summarise(job, markdown);
  const mark = `drift of ${of.stack}`;
  const github = new GitHub(job);
  if (plan.changes.length === 0 && !plan.failed) {
    const closed = await github.closeIssue(mark, `No longer so: ${runUrl(job)}`);
    job.log(`${of.stack} is as it was left${closed ? "; the issue is closed" : ""}`);
    return;
  }
  const title = `${of.stack} ${plan.failed ? "could not be compared with" : "is not as"} its config`;
  const advice = plan.failed
    ? "The preview failed, so that nobody knows whether the stack is as it was left."
    : "Somebody changed it by hand, or the branch was not deployed. An `up` puts it right; or write the change into the config.";
  const address = await github.openIssue(mark, title, `${advice}\n\n${markdown}\n\nSeen by ${runUrl(job)}`);
  throw new StepError(`${title}; see ${address}`);
}

function refuseFailed({ stack }: StackOf, { failed, messages }: Plan): void {
  if (!failed) return;
  const said = messages.map(({ severity, text }) => `${severity}: ${text}`).join("\n");
  throw new StepError(`the preview of ${stack} failed\n${said}`);
}
