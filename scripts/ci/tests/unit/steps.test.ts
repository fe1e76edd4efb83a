import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineBundle } from "../../../../engine/tests/harness";
import { repositoryRoot } from "../../../../sandbox/repository";
import type { Job } from "../../job";
import { runSteps } from "../../program";
import { up } from "../../pulumi";
import { TestJob } from "./support";

/* The steps of a deployment and of a rollback, with the embedded engine, at a stack of local commands. */

jest.setTimeout(600_000);

const SECRET = "correct-horse-battery";

let engine: EngineBundle;
/** A stack that nothing was deployed of yet, to be copied. */
let template: string;
let directory: string;
let job: TestJob;

beforeAll(async () => {
  engine = await EngineBundle.build();
  template = directory = mkdtempSync(join(tmpdir(), "pipeline-"));
  cpSync(join(repositoryRoot(), "engine", "tests", "programs", "table"), directory, { recursive: true });
  symlinkSync(join(repositoryRoot(), "node_modules"), join(directory, "node_modules"));
  // bin/pulumi takes the program of this name that is on the PATH.
  mkdirSync(join(directory, "cli"));
  const cli = `#!/bin/sh\nexec ${process.execPath} ${engine.entry} "$@"\n`;
  writeFileSync(join(directory, "cli", "pulumi"), cli, { mode: 0o755 });
  job = newJob();
  rows({ first: "echo one" });
  pulumi("stack", "init", "production");
  pulumi("config", "set", "--stack", "production", "--secret", "password", SECRET);
  job.remove();
});
afterAll(() => {
  rmSync(template, { recursive: true });
  engine.remove();
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pipeline-"));
  cpSync(template, directory, { recursive: true });
  job = newJob();
});
afterEach(() => {
  job.remove();
  rmSync(directory, { recursive: true });
});

function newJob(): TestJob {
  return new TestJob({
    PATH: `${join(directory, "cli")}:${process.env["PATH"] ?? ""}`,
    PULUMI_HOME: join(directory, "home"),
    PULUMI_CONFIG_PASSPHRASE: "correct horse",
    PULUMI_ENGINE_CACHE: join(repositoryRoot(), "node_modules", ".cache", "engine-tests", "cache"),
  });
}

/** Puts commands into the program, by name. */
function rows(commands: Readonly<Record<string, string>>): void {
  const all = Object.entries(commands).map(([name, create]) => ({
    name,
    args: { create, update: create, stdin: { $secret: "password" } },
  }));
  writeFileSync(join(directory, "table.json"), JSON.stringify({ rows: all, outputs: {} }));
}

function pulumi(...words: string[]): string {
  const program = join(repositoryRoot(), "bin", "pulumi");
  return execFileSync(program, ["--cwd", directory, ...words], {
    env: job.environment,
    encoding: "utf8",
    stdio: "pipe",
  });
}

function git(...words: string[]): string {
  const identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"];
  return execFileSync("git", ["-C", directory, ...identity, ...words], {
    encoding: "utf8",
    stdio: "pipe",
  }).trim();
}

const step = (name: string, ...words: string[]) =>
  runSteps([name, "--cwd", directory, "--stack", "production", ...words], job);

async function previewed(): Promise<string> {
  expect(await step("preview")).toBe(0);
  return job.output("digest")!;
}

test("what a preview found is shown, handed on, and carried out", async () => {
  const file = join(directory, "preview.md");
  expect(await step("preview", "--markdown", file)).toBe(0);
  expect(readFileSync(file, "utf8")).toContain("| create | command:local:Command | first |");
  expect(job.written("summary")).toContain(readFileSync(file, "utf8"));
  expect(job.output("changes")).toBe("true");
  expect(await step("deploy", "--approved", job.output("digest")!)).toBe(0);
  expect(job.written("summary")).toContain("is up to date");
  await previewed();
  expect(job.output("changes")).toBe("false");
  for (const text of [job.logged, job.written("summary"), job.written("output")])
    expect(text).not.toContain(SECRET);
});

test("what was not approved is not carried out", async () => {
  const approved = await previewed();
  const witness = join(directory, "witness");
  rows({ first: "echo one", second: `touch ${witness}` });
  expect(await step("deploy", "--approved", approved)).toBe(1);
  expect(job.logged).toContain("is not what was approved");
  expect(existsSync(witness)).toBe(false);
  expect(pulumi("stack", "--stack", "production")).not.toContain("second");
  expect(await step("deploy", "--approved", await previewed())).toBe(0);
  expect(existsSync(witness)).toBe(true);
});

test("a preview that fails is shown all the same, and fails its step", async () => {
  rows({ first: "echo one" });
  writeFileSync(join(directory, "table.json"), "{");
  const file = join(directory, "preview.md");
  expect(await step("preview", "--markdown", file)).toBe(1);
  expect(readFileSync(file, "utf8")).toContain("**failed**");
  expect(await step("deploy", "--approved", job.output("digest")!)).toBe(1);
  expect(job.logged).not.toContain("$ up");
});

test("an up that fails fails its step, with the way on", async () => {
  rows({ first: "exit 3" });
  expect(await step("deploy", "--approved", await previewed())).toBe(1);
  expect(job.logged).toContain("the same `up` goes on where this one ended");
});

describe("a rollback", () => {
  let before: string;
  beforeEach(async () => {
    git("init", "--quiet", "--initial-branch=main");
    writeFileSync(join(directory, ".gitignore"), "home\ncli\nnode_modules\n.pulumi\n");
    git("add", ".");
    git("commit", "--quiet", "-m", "one");
    before = git("rev-parse", "HEAD");
    pulumi("config", "set", "--stack", "production", "level", "5");
    git("commit", "--quiet", "-a", "-m", "two");
    expect(await step("deploy", "--approved", await previewed())).toBe(0);
  });

  const config = () => readFileSync(join(directory, "Pulumi.production.yaml"), "utf8");

  test("applies the config that was, with the program as it is now, and says how to keep it", async () => {
    rows({ first: "echo one", newer: "echo two" });
    git("commit", "--quiet", "-a", "-m", "three");
    expect(config()).toContain("level");
    expect(await step("rollback", "--ref", "HEAD~2")).toBe(0);
    expect(config()).not.toContain("level");
    expect(pulumi("stack", "--stack", "production")).toContain("newer");
    expect(job.written("summary")).toContain(`git checkout ${before.slice(0, 12)} -- Pulumi.production.yaml`);
    // The next deployment takes what the branch says.
    git("checkout", "--", "Pulumi.production.yaml");
    expect(config()).toContain("level");
  });

  describe("without a commit", () => {
    const short = () => before.slice(0, 12);

    test("goes to before the last change of the config, however many other commits came since", async () => {
      const changing = git("rev-parse", "--short=12", "HEAD");
      rows({ first: "echo one", newer: "echo two" });
      git("commit", "--quiet", "-a", "-m", "three");
      git("commit", "--quiet", "--allow-empty", "-m", "four");
      expect(await step("rollback", "--ref", "")).toBe(0);
      expect(config()).not.toContain("level");
      expect(job.logged).toContain(`no commit was named: the config of ${short()}, before ${changing}`);
      expect(job.written("summary")).toContain(
        `has the config of ${short()} again, as it was before ${changing} changed it`,
      );
      expect(job.written("summary")).toContain(`git checkout ${short()} -- Pulumi.production.yaml`);
      expect(pulumi("stack", "--stack", "production")).toContain("newer");
    });

    test("takes a merged branch for one change: what lay between its commits was never deployed", async () => {
      git("checkout", "--quiet", "-b", "rollout");
      for (const level of ["6", "7"]) {
        pulumi("config", "set", "--stack", "production", "level", level);
        git("commit", "--quiet", "-a", "-m", `level ${level}`);
      }
      git("checkout", "--quiet", "main");
      git("commit", "--quiet", "--allow-empty", "-m", "meanwhile");
      git("merge", "--quiet", "--no-ff", "-m", "merged", "rollout");
      expect(config()).toContain('level: "7"');
      expect(await step("rollback")).toBe(0);
      expect(config()).toContain('level: "5"');
    });

    test("says that there is none before the first one", async () => {
      git("checkout", "--quiet", "--orphan", "new");
      git("commit", "--quiet", "-m", "all at once");
      expect(await step("rollback")).toBe(1);
      expect(job.logged).toContain("Pulumi.production.yaml was never changed on this branch since");
      git("rm", "--quiet", "--cached", "Pulumi.production.yaml");
      git("commit", "--quiet", "--amend", "-m", "without it");
      expect(await step("rollback")).toBe(1);
      expect(job.logged).toContain("no commit of this branch holds Pulumi.production.yaml");
    });
  });

  test("to what is there already is applied all the same", async () => {
    expect(await step("rollback", "--ref", "main")).toBe(0);
    expect(job.logged).toContain("is the same at");
  });

  test("takes nothing that was never on the branch, and nothing that is no commit", async () => {
    git("checkout", "--quiet", "-b", "other", before);
    writeFileSync(join(directory, "Pulumi.production.yaml"), `${config()}  table:level: "9"\n`);
    git("commit", "--quiet", "-a", "-m", "never reviewed");
    git("checkout", "--quiet", "main");
    const at = config();
    for (const ref of ["other", "nothing", "--help", "HEAD:Pulumi.yaml", "$(touch x)"]) {
      const words = ref.startsWith("-") ? [`--ref=${ref}`] : ["--ref", ref];
      expect([ref, await step("rollback", ...words)]).toEqual([ref, 1]);
    }
    expect(job.logged).toContain("is not on this branch");
    expect(job.logged).toContain('"nothing" names no commit here');
    expect(config()).toBe(at);
  });

  test("to a commit where the stack had no config is refused", async () => {
    git("mv", "Pulumi.production.yaml", "Pulumi.staging.yaml");
    git("commit", "--quiet", "-m", "moved");
    expect(await step("rollback", "--ref", "HEAD")).toBe(1);
    expect(job.logged).toContain("there is no Pulumi.production.yaml at");
  });
});

describe("a stack that another run is changing", () => {
  const of = () => ({ stack: "production", directory });
  /** A lock in the engine's and the CLI's form, of a machine that is not this one. */
  function lock(): string {
    const folder = join(directory, ".pulumi", "locks", "organization", "table", "production");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "0c0a3f4e-0000-4000-8000-000000000000.json");
    const holder = { pid: 1, username: "runner", hostname: "elsewhere", timestamp: new Date().toISOString() };
    writeFileSync(file, JSON.stringify(holder));
    return file;
  }

  test("is waited for", async () => {
    const file = lock();
    // It ends as soon as somebody has seen it.
    const seen = job.log;
    const watching: Job = {
      environment: job.environment,
      now: job.now,
      log: (line) => {
        seen(line);
        if (line.includes("waiting for its end")) rmSync(file);
      },
    };
    await up(watching, of(), "x", { minutes: 5, pauseMs: 1 });
    expect(job.logged).toContain("another run is changing this stack");
    expect(pulumi("stack", "--stack", "production")).toContain("first");
  });

  test("is not waited for for ever", async () => {
    lock();
    await expect(up(job, of(), "x", { minutes: 0, pauseMs: 1 })).rejects.toThrow("`pulumi cancel`");
  });
});
