import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { buildSync } from "esbuild";

import { repositoryRoot } from "../../../sandbox/repository";

/** A TypeScript program of a test in a process of its own, so that it can be killed at any moment. */
export class ChildProgram {
  private readonly directory: string;
  private readonly file: string;

  /** @param source TypeScript; its imports are relative to the repository's root */
  constructor(source: string) {
    const cache = path.join(repositoryRoot(), "node_modules", ".cache");
    fs.mkdirSync(cache, { recursive: true });
    // Within the repository, for the code looks for its scripts from where it is.
    this.directory = fs.mkdtempSync(path.join(cache, "test-"));
    this.file = path.join(this.directory, "child.js");
    buildSync({
      stdin: { contents: source, loader: "ts", resolveDir: repositoryRoot() },
      bundle: true,
      platform: "node",
      packages: "external",
      outfile: this.file,
    });
  }

  /** Starts it, with its standard output as a pipe. */
  start(): ChildProcess {
    return spawn(process.execPath, [this.file], { stdio: ["ignore", "pipe", "inherit"] });
  }

  /** Starts it, and returns when it has written something. Throws when it ends before. */
  async startAndWait(): Promise<ChildProcess> {
    const child = this.start();
    const said = await Promise.race([
      once(child, "exit").then(() => false),
      once(child.stdout!, "data").then(() => true),
    ]);
    if (!said) throw new Error("the child ended before it said anything; see above");
    return child;
  }

  remove(): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}
