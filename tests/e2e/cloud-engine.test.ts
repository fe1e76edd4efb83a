import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  DeleteBucketCommand,
  GetBucketTaggingCommand,
  HeadBucketCommand,
  PutBucketTaggingCommand,
  S3Client,
} from "@aws-sdk/client-s3";

import { pluginDirectory } from "../../sandbox/aws/sandbox-cloud";
import { run, type CommandResult } from "../../sandbox/command";
import { repositoryRoot } from "../../sandbox/repository";
import { TestCloud } from "./support/cloud";

jest.setTimeout(480_000);

/** The embedded engine with the stand-in for AWS, as a project file names it by path, and a program of `@pulumi/aws`. */
const WORLD = "cloud-engine-test";

let cloud: TestCloud;
let directory: string;

beforeAll(async () => {
  cloud = await TestCloud.create(WORLD);
  directory = fs.mkdtempSync(path.join(os.tmpdir(), `${WORLD}-`));
  fs.cpSync(path.join(__dirname, "support", "bucket-program"), directory, { recursive: true });
  fs.symlinkSync(path.join(repositoryRoot(), "node_modules"), path.join(directory, "node_modules"));
  const plugins = { providers: [{ name: "aws", path: pluginDirectory() }] };
  const project = { name: "buckets", runtime: "nodejs", main: "index.ts", plugins };
  fs.writeFileSync(path.join(directory, "Pulumi.yaml"), JSON.stringify(project));
  await pulumi("stack init test");
  for (const [key, value] of Object.entries(cloud.cloud.providerConfig)) {
    const secret = key === "accessKey" || key === "secretKey" ? "--secret " : "";
    const text = typeof value === "string" ? value : JSON.stringify(value);
    await pulumi(`config set ${secret}aws:${key}`, { stdin: text });
  }
  await pulumi("config set purpose tests");
}, 240_000);

afterAll(async () => {
  fs.rmSync(directory, { recursive: true, force: true });
  await cloud.remove();
});

async function pulumi(
  words: string,
  options: { stdin?: string; check?: boolean } = {},
): Promise<CommandResult> {
  const env = {
    ...process.env,
    PULUMI_HOME: path.join(directory, "home"),
    PULUMI_CONFIG_PASSPHRASE: "correct horse",
    VEHICLESERVICE_SANDBOX_WORLD: WORLD,
  };
  const engine = path.join(repositoryRoot(), "dist", "engine.js");
  return run([process.execPath, engine, "-C", directory, ...words.split(" ")], { env, ...options });
}

async function output(name: string): Promise<string> {
  return (await pulumi(`stack output ${name}`)).stdout.trim();
}

async function exists(bucket: string): Promise<boolean> {
  try {
    await new S3Client(cloud.client()).send(new HeadBucketCommand({ Bucket: bucket }));
    return true;
  } catch {
    return false;
  }
}

/** The name of the second bucket. */
async function copies(): Promise<string> {
  return output("copy");
}

const up = "up --yes --skip-preview";

it("brings up, changes, notices and takes down what a program of @pulumi/aws says", async () => {
  const preview = await pulumi("preview");
  expect(preview.stdout).toContain("+ 5 to create");
  await pulumi(up);
  const bucket = await output("bucket");
  expect(bucket).toMatch(/^backups-[0-9a-f]{7}$/);
  expect(await output("arn")).toBe(`arn:aws:s3:::${bucket}`);
  expect(await output("where")).toBe("us-east-1");
  expect(await output("who")).toMatch(/^arn:aws:iam::\d{12}:user\//);
  expect((await pulumi(`${up} --expect-no-changes`)).stdout).toContain("5 unchanged");
  const state = fs.readFileSync(path.join(directory, ".pulumi/stacks/buckets/test.json"), "utf8");
  expect(state).not.toContain(cloud.cloud.deployer.secretAccessKey);

  await pulumi("config set purpose other-tests");
  expect((await pulumi(up)).stdout).toContain("~ 1 updated");
  const s3 = new S3Client(cloud.client());
  const { TagSet } = await s3.send(new GetBucketTaggingCommand({ Bucket: bucket }));
  expect(TagSet).toContainEqual({ Key: "purpose", Value: "other-tests" });

  await s3.send(new PutBucketTaggingCommand({ Bucket: bucket, Tagging: { TagSet: [] } }));
  await s3.send(new DeleteBucketCommand({ Bucket: await copies() }));
  const noticed = await pulumi("refresh --yes --skip-preview --expect-no-changes", { check: false });
  expect(noticed.exitCode).toBe(7);
  expect(noticed.stdout).toContain(" ~  aws:s3/bucket:Bucket backups updated");
  // The tags of the bucket, and of the same one as it is only read.
  expect(noticed.stdout).toContain("~ 2 updated, - 1 deleted");
  expect((await pulumi(up)).stdout).toContain("+ 1 created, ~ 1 updated");
  expect(await exists(await copies())).toBe(true);
  expect((await pulumi(`${up} --refresh --expect-no-changes`)).stdout).toContain("5 unchanged");

  const plan = await pulumi("preview --offline-plan");
  expect(plan.stdout).toContain("nothing is checked by aws; what comes from there is unknown, and");
  // Its tags hold what a function answers.
  expect(plan.stdout).toContain("Resources: ~ 1 to update, 4 unchanged");

  await pulumi("config set protect true");
  await pulumi(up);
  await pulumi("destroy --yes --exclude-protected");
  expect([await exists(bucket), await exists(await copies())]).toEqual([false, true]);
  await pulumi("config set protect false");
  await pulumi(up);
  const last = await copies();
  await pulumi("destroy --yes");
  expect(await exists(last)).toBe(false);
});
