import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot } from "../../../../sandbox/repository";
import { environmentsIn } from "../../environments";
import { runSteps } from "../../program";
import { readSettings, settingsFile } from "../../settings";
import { TestJob } from "./support";

const GOOD = {
  AWS_REGION: "eu-central-1",
  PULUMI_BACKEND_URL: "s3://state?region=eu-central-1&awssdk=v2",
  PREVIEW_ROLE_ARN: "arn:aws:iam::123456789012:role/site-preview",
  DEPLOY_ROLE_ARN: "arn:aws:iam::123456789012:role/site-deploy",
  SSH_SECURITY_GROUP_ID: "sg-0123456789abcdef0",
  SSH_PORT: "22",
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "settings-"));
  mkdirSync(join(directory, ".github", "environments"), { recursive: true });
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(values: Record<string, string>): void {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${value}`);
  writeFileSync(join(directory, settingsFile("production")), `# About it.\n\n${lines.join("\n")}\n`);
}

test.each([
  ["preview", GOOD.PREVIEW_ROLE_ARN],
  ["deploy", GOOD.DEPLOY_ROLE_ARN],
  ["rollback", GOOD.DEPLOY_ROLE_ARN],
] as const)(
  "a job for %s gets its role and the rest, as variables of its later steps",
  async (purpose, role) => {
    write(GOOD);
    const job = new TestJob();
    const words = ["settings", "--cwd", directory, "--stack", "production", "--for", purpose];
    expect(await runSteps(words, job)).toBe(0);
    expect(job.written("env").trim().split("\n").sort()).toEqual([
      `AWS_REGION=${GOOD.AWS_REGION}`,
      `AWS_ROLE_ARN=${role}`,
      `PULUMI_BACKEND_URL=${GOOD.PULUMI_BACKEND_URL}`,
      `SSH_PORT=22`,
      `SSH_SECURITY_GROUP_ID=${GOOD.SSH_SECURITY_GROUP_ID}`,
    ]);
    job.remove();
  },
);

test("all faults are told at once, by key, and none by a stack trace", async () => {
  write({ ...GOOD, AWS_REGION: "[region]", DEPLOY_ROLE_ARN: "site-deploy", SSH_PORT: "22x", OTHER: "1" });
  const job = new TestJob();
  const words = ["settings", "-C", directory, "-s", "production", "--for", "preview"];
  expect(await runSteps(words, job)).toBe(1);
  expect(job.logged).toBe(
    [
      "ci: .github/environments/production.env:",
      "  - OTHER is no key of it",
      "  - AWS_REGION is still a placeholder: eu-central-1",
      '  - DEPLOY_ROLE_ARN cannot be "site-deploy": arn:aws:iam::<account>:role/<name>',
      '  - SSH_PORT cannot be "22x": 22',
    ].join("\n"),
  );
  expect(job.written("env")).toBe("");
  job.remove();
});

test("a missing key, and a stack without a file, are told", () => {
  write({});
  expect(() => readSettings(directory, "production", "deploy")).toThrow(
    "AWS_REGION is missing: eu-central-1",
  );
  for (const stack of ["staging", "../production", ""]) {
    expect(() => readSettings(directory, stack, "deploy")).toThrow("has no file");
  }
});

test("the committed files hold a placeholder for each key that has to be filled in, and nothing else is wrong", () => {
  const stacks = environmentsIn(repositoryRoot());
  expect(stacks).toContain("production");
  expect(stacks).not.toContain("sandbox");
  for (const stack of stacks) {
    expect(() => readSettings(repositoryRoot(), stack, "deploy")).toThrow(
      /^[^\n]+:(\n {2}- \w+ is still a placeholder: .+){4}$/,
    );
    expect(readFileSync(join(repositoryRoot(), settingsFile(stack)), "utf8")).toContain("[");
  }
});

test("stacks are those with a file, but for the ones of a single machine", async () => {
  writeFileSync(join(directory, "Pulumi.yaml"), "name: site\nruntime: nodejs\n");
  writeFileSync(join(directory, "Pulumi.staging.yaml"), "config:\n  site:environment: production\n");
  writeFileSync(join(directory, "Pulumi.production.yaml"), "secretsprovider: awskms://alias/x\n");
  writeFileSync(join(directory, "Pulumi.mine.yaml"), "config:\n  site:environment: sandbox\n");
  writeFileSync(join(directory, "Pulumi.empty.yaml"), "");
  const job = new TestJob();
  expect(await runSteps(["environments", "-C", directory], job)).toBe(0);
  expect(job.output("environments")).toBe('["empty","production","staging"]');
  job.remove();
});
