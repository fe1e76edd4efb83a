import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "../../job";

/** A job as GitHub gives it to its steps: variables, and files to write into. */
export class TestJob implements Job {
  readonly lines: string[] = [];
  readonly directory = mkdtempSync(join(tmpdir(), "job-"));
  readonly environment: NodeJS.ProcessEnv;

  constructor(environment: NodeJS.ProcessEnv = {}) {
    this.environment = {
      ...{ PATH: process.env["PATH"], HOME: this.directory },
      ...{ GITHUB_RUN_ID: "77", GITHUB_RUN_ATTEMPT: "2", GITHUB_REPOSITORY: "your-org/site" },
      GITHUB_SERVER_URL: "https://github.example",
      GITHUB_OUTPUT: join(this.directory, "output"),
      GITHUB_ENV: join(this.directory, "env"),
      GITHUB_STEP_SUMMARY: join(this.directory, "summary"),
      ...environment,
    };
  }

  readonly log = (line: string): void => void this.lines.push(line);
  readonly now = (): Date => new Date();

  /** What was written into one of GitHub's files; empty for nothing. */
  written(file: "output" | "env" | "summary"): string {
    try {
      return readFileSync(join(this.directory, file), "utf8");
    } catch {
      return "";
    }
  }

  /** An output that a step has set. */
  output(name: string): string | undefined {
    const lines = this.written("output")
      .split("\n")
      .filter((line) => line.startsWith(`${name}=`));
    return lines.at(-1)?.slice(name.length + 1);
  }

  get logged(): string {
    return this.lines.join("\n");
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
