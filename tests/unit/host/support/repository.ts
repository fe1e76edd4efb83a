import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryDirectory } from "./fixtures";

/** A real Git repository with tags, at a `file://` address. */
export class Repository {
  readonly directory = temporaryDirectory();
  readonly url = `file://${this.directory}`;

  constructor() {
    this.git("init", "--quiet", "--initial-branch=main");
  }

  /** Commits exactly these files under a tag, which is moved where it exists. Returns the commit. */
  tag(name: string, files: Readonly<Record<string, string>>, annotated = false): string {
    this.git("rm", "-r", "-q", "--ignore-unmatch", ".");
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.directory, path)), { recursive: true });
      writeFileSync(join(this.directory, path), text);
    }
    this.git("add", "--all");
    this.git("commit", "--quiet", "--allow-empty", "--message", name);
    this.git("tag", "--force", ...(annotated ? ["--annotate", "--message", name] : []), name);
    return this.git("rev-parse", "HEAD").trim();
  }

  /** Makes it unreachable, for good. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private git(...args: string[]): string {
    const env = {
      PATH: process.env["PATH"] ?? "",
      HOME: this.directory,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "Test",
      GIT_AUTHOR_EMAIL: "test@example.com",
      GIT_COMMITTER_NAME: "Test",
      GIT_COMMITTER_EMAIL: "test@example.com",
    };
    return execFileSync("git", args, {
      cwd: this.directory,
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
}
