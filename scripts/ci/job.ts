import { appendFileSync } from "node:fs";
import { StepError } from "./faults";

/** What a step has around it: its job on GitHub, or a terminal where somebody tries it by hand. */
export interface Job {
  /** The step's environment; GitHub's own variables are part of it. */
  readonly environment: NodeJS.ProcessEnv;
  /** Tells a line in the job's log. */
  readonly log: (line: string) => void;
  readonly now: () => Date;
}

/**
 * Reads a variable of the step's environment.
 * @param purpose What it is for, for the error's message.
 * @throws StepError where it is missing or empty
 */
export function required(job: Job, name: string, purpose: string): string {
  const value = job.environment[name] ?? "";
  if (value === "") throw new StepError(`${name} is not set: it is ${purpose}; see docs/production.md`);
  return value;
}

/** Hands a value to later steps and jobs; logged only where no job is around. */
export function setOutput(job: Job, name: string, value: string): void {
  if (/[\r\n]/.test(value)) throw new StepError(`output ${name}: a value of one line is needed`);
  appendTo(job, "GITHUB_OUTPUT", `${name}=${value}`);
}

/** Sets a variable for the job's later steps; logged only where no job is around. */
export function setVariable(job: Job, name: string, value: string): void {
  if (/[\r\n]/.test(value)) throw new StepError(`${name}: a value of one line is needed`);
  appendTo(job, "GITHUB_ENV", `${name}=${value}`);
}

/** Puts Markdown on the page of the run; logged only where no job is around. */
export function summarise(job: Job, markdown: string): void {
  appendTo(job, "GITHUB_STEP_SUMMARY", `${markdown}\n`);
}

function appendTo(job: Job, variable: string, text: string): void {
  const file = job.environment[variable] ?? "";
  if (file === "") job.log(text);
  else appendFileSync(file, `${text}\n`);
}

/** Names this run and attempt, for what is left behind of it: `8421337-2`. */
export function runName(job: Job): string {
  const id = required(job, "GITHUB_RUN_ID", "the number of the run, which GitHub sets");
  return `${id}-${job.environment["GITHUB_RUN_ATTEMPT"] ?? "1"}`;
}

/** Address of the run's page, or its name where that is not known. */
export function runUrl(job: Job): string {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = job.environment;
  if (server === undefined || repository === undefined || id === undefined) return "a run outside of GitHub";
  return `${server}/${repository}/actions/runs/${id}`;
}
