import * as fs from "node:fs";
import { Agent, request } from "node:https";
import * as path from "node:path";
import {
  AttachRolePolicyCommand,
  CreateInstanceProfileCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeletePolicyCommand,
  DeleteRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  DeleteRolePolicyCommand,
  GetRoleCommand,
  IAMClient,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  SetDefaultPolicyVersionCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateRoleCommand,
} from "@aws-sdk/client-iam";
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EncryptCommand,
  GetKeyRotationStatusCommand,
  KMSClient,
  ListKeysCommand,
} from "@aws-sdk/client-kms";
import {
  CreateBucketCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  DeletePublicAccessBlockCommand,
  GetBucketEncryptionCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/nested-clients/sts";
import { run } from "../../sandbox/command";
import { repositoryRoot } from "../../sandbox/repository";
import { block } from "../support/document-blocks";
import { Terminal } from "../support/shell";
import { TestAws } from "./support/aws";

/* `bin/bootstrap-state` at AWS' emulator: what it makes, that it makes it once, and what the roles may then do. */

jest.setTimeout(120_000);

const REPOSITORY = "your-org@1234/site@5678";
const BUCKET = "vehicleservice-pulumi-state-000000000000";
const BOUNDARY = "arn:aws:iam::000000000000:policy/vehicleservice-boundary";
const WIDE = "arn:aws:iam::000000000000:policy/wide";
const policy = { PolicyArn: BOUNDARY };
const HOST = "vehicleservice-production-host";
const OBJECT = ".pulumi/stacks/vehicleservice/production.json";

let aws: TestAws;
let s3: S3Client;
let kms: KMSClient;
let iam: IAMClient;

beforeAll(async () => {
  aws = await TestAws.start();
  s3 = new S3Client(aws.client());
  kms = new KMSClient(aws.client());
  iam = new IAMClient(aws.client());
  const { lines } = await bootstrap();
  expect(lines.filter((line) => line.endsWith(": made"))).toEqual([
    "key alias/vehicleservice-pulumi: made",
    `bucket ${BUCKET}: made`,
    "policy vehicleservice-boundary: made",
    "identity provider token.actions.githubusercontent.com: made",
    "role vehicleservice-preview: made",
    "role vehicleservice-deploy: made",
  ]);
}, 300_000);

afterAll(async () => {
  for (const client of [s3, kms, iam]) client.destroy();
  await aws.remove();
});

async function tryBootstrap(...words: string[]) {
  const env = { PATH: process.env["PATH"], HOME: process.env["HOME"], ...aws.environment() };
  const argv = [path.join(repositoryRoot(), "bin", "bootstrap-state"), ...words];
  return run(argv, { env, check: false });
}

/** Runs it, and returns what it changed and what it says to do next. */
async function bootstrap(...words: string[]): Promise<{ lines: string[]; next: string }> {
  const all = words.length > 0 ? words : ["--github", REPOSITORY, "--stacks", "staging,production"];
  const { stdout, stderr, exitCode } = await tryBootstrap(...all);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const [before = "", next = ""] = stdout.split("\n\nNext:\n");
  const lines = before.split("\n").slice(0, -1);
  expect(before.split("\n").at(-1)).toBe(
    lines.length === 0 ? "nothing to change" : `${String(lines.length)} changes`,
  );
  return { lines, next };
}

/** Takes a role as a job of GitHub's does, by a token that says who it is. */
async function assume(role: string, claims: object): Promise<{ status: number; keys: Keys }> {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = `${part({ alg: "RS256" })}.${part(claims)}.${Buffer.from("signature").toString("base64url")}`;
  const body = new URLSearchParams({
    ...{ Action: "AssumeRoleWithWebIdentity", Version: "2011-06-15", RoleSessionName: "test" },
    ...{ RoleArn: `arn:aws:iam::000000000000:role/${role}`, WebIdentityToken: token },
  }).toString();
  const { AWS_ENDPOINT_URL = "", NODE_EXTRA_CA_CERTS = "" } = aws.environment();
  const agent = new Agent({ ca: fs.readFileSync(NODE_EXTRA_CA_CERTS) });
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
  };
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const asked = request(AWS_ENDPOINT_URL, { method: "POST", agent, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asked.on("error", reject).end(body);
  });
  agent.destroy();
  const field = (name: string) => new RegExp(`<${name}>([^<]*)<`).exec(text)?.[1] ?? "";
  return {
    status,
    keys: {
      accessKeyId: field("AccessKeyId"),
      secretAccessKey: field("SecretAccessKey"),
      sessionToken: field("SessionToken"),
    },
  };
}

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

const jobOf = (environment: string, repository = REPOSITORY) => ({
  iss: "https://token.actions.githubusercontent.com",
  aud: "sts.amazonaws.com",
  sub: `repo:${repository}:environment:${environment}`,
});

test("a second run changes nothing, and says the same", async () => {
  const { lines, next } = await bootstrap();
  expect(lines).toEqual([]);
  expect(next).toBe(
    [
      `  pulumi login 's3://${BUCKET}?region=us-east-1&awssdk=v2'`,
      "  pulumi stack init production --secrets-provider='awskms://alias/vehicleservice-pulumi?region=us-east-1'",
      `  pulumi config set permissionsBoundary ${BOUNDARY}`,
      "",
      "In .github/environments/production.env:",
      "  AWS_REGION=us-east-1",
      `  PULUMI_BACKEND_URL=s3://${BUCKET}?region=us-east-1&awssdk=v2`,
      "  PREVIEW_ROLE_ARN=arn:aws:iam::000000000000:role/vehicleservice-preview",
      "  DEPLOY_ROLE_ARN=arn:aws:iam::000000000000:role/vehicleservice-deploy",
      "",
    ].join("\n"),
  );
});

test("the page's own line makes it all, in an account where nothing is", async () => {
  const empty = await TestAws.start();
  try {
    const terminal = new Terminal(empty.directory, { ...empty.environment(), AWS_REGION: "" });
    const line = block("docs/production.md", "state");
    const { stdout } = await terminal.run(line);
    expect(stdout).toMatch(/^\d+ changes$/m);
    // What it says is what the page goes on with, but for the account.
    const page = fs.readFileSync(path.join(repositoryRoot(), "docs", "production.md"), "utf8");
    const next = [...stdout.matchAll(/^ {2}(pulumi .*)$/gm)].map(([, command = ""]) => command);
    expect(next).toHaveLength(3);
    for (const command of next)
      expect(page).toContain(`\n${command.replaceAll("000000000000", "123456789012")}\n`);
    expect((await terminal.run(line)).stdout).toMatch(/^nothing to change$/m);
  } finally {
    await empty.remove();
  }
});

test("without pipelines it makes no role, and says nothing of them", async () => {
  const { lines, next } = await bootstrap("--name", "alone");
  expect(lines).toContain("key alias/alone-pulumi: made");
  expect(lines.join()).not.toContain("role");
  expect(next).not.toContain("ROLE");
  await expect(iam.send(new GetRoleCommand({ RoleName: "alone-deploy" }))).rejects.toThrow();
});

describe("what somebody has changed is put right, and nothing else", () => {
  const Bucket = BUCKET;
  /** Policies of a role, and of who may take it, that say other things. */
  const other = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "s3:*", Resource: "*" }],
  });
  const otherTrust = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" }],
  });
  const cases: [string, () => Promise<unknown>, string][] = [
    [
      "versions",
      () =>
        s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } })),
      `bucket ${BUCKET}: versions are kept`,
    ],
    ["privacy", () => s3.send(new DeletePublicAccessBlockCommand({ Bucket })), `bucket ${BUCKET}: private`],
    [
      "the policy",
      () => s3.send(new DeleteBucketPolicyCommand({ Bucket })),
      `bucket ${BUCKET}: TLS and its own key only`,
    ],
    [
      "the lifecycle",
      () => s3.send(new DeleteBucketLifecycleCommand({ Bucket })),
      `bucket ${BUCKET}: old versions go after 90 days, but for the newest 20`,
    ],
    [
      "the encryption",
      () =>
        s3.send(
          new PutBucketEncryptionCommand({
            Bucket,
            ServerSideEncryptionConfiguration: {
              Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
            },
          }),
        ),
      `bucket ${BUCKET}: encrypted with its key`,
    ],
    [
      "the key's rotation",
      async () => kms.send(new DisableKeyRotationCommand({ KeyId: await keyArn() })),
      "key alias/vehicleservice-pulumi: rotated every year",
    ],
    [
      "who may take a role",
      () =>
        iam.send(
          new UpdateAssumeRolePolicyCommand({
            RoleName: "vehicleservice-deploy",
            PolicyDocument: otherTrust,
          }),
        ),
      "role vehicleservice-deploy: who may take it",
    ],
    [
      "what a role may do",
      () =>
        iam.send(
          new PutRolePolicyCommand({
            ...{ RoleName: "vehicleservice-preview", PolicyName: "state", PolicyDocument: other },
          }),
        ),
      "role vehicleservice-preview: policy state",
    ],
    [
      "what the boundary allows",
      () =>
        iam.send(
          new CreatePolicyVersionCommand({ PolicyArn: BOUNDARY, PolicyDocument: other, SetAsDefault: true }),
        ),
      "policy vehicleservice-boundary: what it allows",
    ],
    [
      "how long a role may be kept",
      () => iam.send(new UpdateRoleCommand({ RoleName: "vehicleservice-deploy", MaxSessionDuration: 3600 })),
      "role vehicleservice-deploy: how long it may be kept",
    ],
  ];
  test.each(cases)("%s", async (_what, change, told) => {
    await change();
    expect((await bootstrap()).lines).toEqual([told]);
    expect((await bootstrap()).lines).toEqual([]);
  });
});

async function keyArn(): Promise<string> {
  const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: "alias/vehicleservice-pulumi" }));
  return KeyMetadata!.Arn!;
}

test("the state is encrypted with the stack's own key, which is rotated", async () => {
  const arn = await keyArn();
  expect(await kms.send(new GetKeyRotationStatusCommand({ KeyId: arn }))).toMatchObject({
    KeyRotationEnabled: true,
  });
  const { ServerSideEncryptionConfiguration } = await s3.send(
    new GetBucketEncryptionCommand({ Bucket: BUCKET }),
  );
  expect(ServerSideEncryptionConfiguration!.Rules![0]).toMatchObject({
    ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms", KMSMasterKeyID: arn },
  });
  expect((await kms.send(new ListKeysCommand({}))).Keys!.length).toBeLessThanOrEqual(2);
});

describe("a job takes the role of its environment, and no other", () => {
  test.each([
    ["vehicleservice-preview", jobOf("production-preview"), 200],
    ["vehicleservice-preview", jobOf("staging-preview"), 200],
    ["vehicleservice-preview", jobOf("production"), 403],
    ["vehicleservice-deploy", jobOf("production"), 200],
    ["vehicleservice-deploy", jobOf("production-rollback"), 200],
    ["vehicleservice-deploy", jobOf("production-preview"), 403],
    ["vehicleservice-deploy", jobOf("other"), 403],
    ["vehicleservice-deploy", jobOf("production", "your-org@1234/fork@5679"), 403],
    ["vehicleservice-deploy", { ...jobOf("production"), sub: `repo:${REPOSITORY}:ref:refs/heads/main` }, 403],
    ["vehicleservice-deploy", { ...jobOf("production"), aud: "https://github.com/your-org" }, 403],
    ["vehicleservice-deploy", { ...jobOf("production"), iss: "https://elsewhere.example" }, 403],
  ])("%s by %j: %i", async (role, claims, status) => {
    expect((await assume(role, claims)).status).toBe(status);
  });
});

describe("with its role", () => {
  beforeEach(async () => {
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: OBJECT, Body: "state" }));
  });

  /** Names what a role may do, of what is tried. */
  async function allowed(role: string, environment: string): Promise<string[]> {
    const settings = aws.client((await assume(role, jobOf(environment))).keys);
    const [ownS3, ownKms, ownIam] = [
      new S3Client(settings),
      new KMSClient(settings),
      new IAMClient(settings),
    ];
    const arn = await keyArn();
    const { CiphertextBlob } = await kms.send(
      new EncryptCommand({ KeyId: arn, Plaintext: Buffer.from("x") }),
    );
    const { Versions = [] } = await s3.send(
      new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: OBJECT }),
    );
    const { VersionId } = Versions[0]!;
    const at = { Bucket: BUCKET, Key: OBJECT };
    const Body = "new";
    const tries: Record<string, () => Promise<unknown>> = {
      list: () => ownS3.send(new ListObjectsV2Command({ Bucket: BUCKET })),
      read: () => ownS3.send(new GetObjectCommand(at)),
      write: () => ownS3.send(new PutObjectCommand({ ...at, Body })),
      "write otherwise encrypted": () =>
        ownS3.send(new PutObjectCommand({ ...at, Body, ServerSideEncryption: "AES256" })),
      delete: () => ownS3.send(new DeleteObjectCommand(at)),
      "delete for good": () => ownS3.send(new DeleteObjectCommand({ ...at, VersionId })),
      unlock: () => ownS3.send(new DeleteBucketPolicyCommand({ Bucket: BUCKET })),
      "read elsewhere": () => ownS3.send(new GetObjectCommand({ Bucket: "other", Key: "secret" })),
      encrypt: () => ownKms.send(new EncryptCommand({ KeyId: arn, Plaintext: Buffer.from("x") })),
      decrypt: () => ownKms.send(new DecryptCommand({ CiphertextBlob, KeyId: arn })),
      "disable the key": () => ownKms.send(new DisableKeyCommand({ KeyId: arn })),
      "stop the key's rotation": () => ownKms.send(new DisableKeyRotationCommand({ KeyId: arn })),
      "make another key": () => ownKms.send(new CreateKeyCommand({})),
      "change its own role": () =>
        ownIam.send(
          new PutRolePolicyCommand({
            RoleName: role,
            PolicyName: "more",
            PolicyDocument: JSON.stringify({}),
          }),
        ),
    };
    const other = "vehicleservice-x";
    const trust = JSON.stringify({ Version: "2012-10-17", Statement: [] });
    const admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    Object.assign(tries, {
      "make its profile": () => ownIam.send(new CreateInstanceProfileCommand({ InstanceProfileName: HOST })),
      "make the host an administrator": () =>
        ownIam.send(new AttachRolePolicyCommand({ RoleName: HOST, PolicyArn: admin })),
      "make another role": () =>
        ownIam.send(new CreateRoleCommand({ RoleName: other, AssumeRolePolicyDocument: trust })),
      "make that an administrator": () =>
        ownIam.send(new AttachRolePolicyCommand({ RoleName: other, PolicyArn: admin })),
      "make another profile": () =>
        ownIam.send(new CreateInstanceProfileCommand({ InstanceProfileName: other })),
      "make a policy": () =>
        ownIam.send(new CreatePolicyCommand({ PolicyName: other, PolicyDocument: trust })),
      "make a user": () => ownIam.send(new CreateUserCommand({ UserName: other })),
    });
    const done: string[] = [];
    for (const [name, attempt] of Object.entries(tries)) {
      const code = await attempt().then(
        () => "done",
        (error: unknown) => (error as Error).name,
      );
      if (code === "done") done.push(name);
      else expect([name, code]).toEqual([name, expect.stringMatching(/^AccessDenied/)]);
    }
    for (const client of [ownS3, ownKms, ownIam]) client.destroy();
    return done;
  }

  beforeAll(async () => {
    await s3.send(new CreateBucketCommand({ Bucket: "other" }));
    await s3.send(new PutObjectCommand({ Bucket: "other", Key: "secret", Body: "of somebody else" }));
  });

  test("a preview reads the state and changes nothing", async () => {
    expect(await allowed("vehicleservice-preview", "production-preview")).toEqual([
      "list",
      "read",
      "decrypt",
    ]);
  });

  test("a deployment writes the state, keeps its old versions, and makes no role without a boundary", async () => {
    expect(await allowed("vehicleservice-deploy", "production")).toEqual([
      ...["list", "read", "write", "delete", "encrypt", "decrypt"],
      // The program's own: what alarms are encrypted by on their way.
      "make another key",
      "make its profile",
    ]);
  });
});

describe("a deployment", () => {
  const host = { RoleName: HOST };
  const anything = statement({ Effect: "Allow", Action: "*", Resource: "*" });
  const trust = statement({
    ...{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { AWS: "arn:aws:iam::000000000000:root" } },
  });
  const make = { ...host, AssumeRolePolicyDocument: trust };
  const grant = { ...host, PolicyName: "more", PolicyDocument: anything };
  let deploy: IAMClient;
  const tried = (command: object) =>
    deploy.send(command as CreateRoleCommand).then(
      () => "done",
      (error: unknown) => (error as Error).name,
    );

  function statement(one: object): string {
    return JSON.stringify({ Version: "2012-10-17", Statement: [one] });
  }

  beforeAll(async () => {
    deploy = new IAMClient(aws.client((await assume("vehicleservice-deploy", jobOf("production"))).keys));
    // Of somebody who may have any right.
    await iam.send(new CreatePolicyCommand({ PolicyName: "wide", PolicyDocument: anything }));
  });
  afterAll(() => deploy.destroy());

  test("gives the host's role no right as long as it has no boundary: one of before gets it first", async () => {
    expect(await tried(new CreateRoleCommand(make))).toBe("AccessDenied");
    await iam.send(new CreateRoleCommand(make));
    expect(await tried(new PutRolePolicyCommand(grant))).toBe("AccessDenied");
    const bound = new PutRolePermissionsBoundaryCommand({ ...host, PermissionsBoundary: BOUNDARY });
    expect(await tried(bound)).toBe("done");
    expect(await tried(new PutRolePolicyCommand(grant))).toBe("done");
    expect(await tried(new DeleteRolePolicyCommand({ ...host, PolicyName: "more" }))).toBe("done");
    expect(await tried(new DeleteRoleCommand(host))).toBe("done");
    expect(await tried(new CreateRoleCommand({ ...make, PermissionsBoundary: BOUNDARY }))).toBe("done");
  });

  test.each<[string, () => object]>([
    ["takes the boundary off no role", () => new DeleteRolePermissionsBoundaryCommand(host)],
    [
      "puts no other one above it",
      () => new PutRolePermissionsBoundaryCommand({ ...host, PermissionsBoundary: WIDE }),
    ],
    [
      "makes no role under another one",
      () =>
        new CreateRoleCommand({
          ...make,
          RoleName: "vehicleservice-staging-host",
          PermissionsBoundary: WIDE,
        }),
    ],
    [
      "does not change what it allows",
      () => new CreatePolicyVersionCommand({ ...policy, PolicyDocument: anything, SetAsDefault: true }),
    ],
    [
      "brings back no older text of it",
      () => new SetDefaultPolicyVersionCommand({ ...policy, VersionId: "v1" }),
    ],
    ["does not delete it", () => new DeletePolicyCommand(policy)],
  ])("%s", async (_, command) => {
    expect(await tried(command())).toBe("AccessDenied");
  });

  test("gives the host no more than the boundary allows, whatever its policies say", async () => {
    expect(await tried(new PutRolePolicyCommand(grant))).toBe("done");
    const sts = new STSClient(aws.client());
    const RoleArn = `arn:aws:iam::000000000000:role/${HOST}`;
    const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "host" }));
    sts.destroy();
    const { AccessKeyId = "", SecretAccessKey = "", SessionToken = "" } = Credentials ?? {};
    const settings = aws.client({
      ...{ accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken },
    });
    const [hostS3, hostIam] = [new S3Client(settings), new IAMClient(settings)];
    const backup = { Bucket: "backups", Key: "database/one" };
    await s3.send(new CreateBucketCommand({ Bucket: "backups" }));
    await hostS3.send(new PutObjectCommand({ ...backup, Body: "x" }));
    await hostS3.send(new GetObjectCommand(backup));
    // One after the other: a refusal that comes before it is waited for is nobody's, and fails the test.
    const refused = [
      () => hostS3.send(new DeleteObjectCommand(backup)),
      () => hostS3.send(new GetObjectCommand({ Bucket: BUCKET, Key: OBJECT })),
      () => hostIam.send(new CreateUserCommand({ UserName: "other" })),
      () => hostIam.send(new DeleteRolePermissionsBoundaryCommand(host)),
    ];
    for (const attempt of refused) await expect(attempt()).rejects.toMatchObject({ name: "AccessDenied" });
    for (const client of [hostS3, hostIam]) client.destroy();
  });
});

describe("it stops, with the way out, where", () => {
  test("the key is disabled", async () => {
    await kms.send(new DisableKeyCommand({ KeyId: await keyArn() }));
    const { stderr, exitCode } = await tryBootstrap();
    await kms.send(new EnableKeyCommand({ KeyId: await keyArn() }));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^bootstrap-state: the key behind alias\/vehicleservice-pulumi .* is Disabled: .*enable it/,
    );
  });

  test("a word is wrong: AWS is not asked", async () => {
    for (const words of [
      ["--github", "site"],
      ["--stacks", "a b"],
      ["--name", "Site"],
      ["--bucket", "X"],
      ["--region", "x"],
    ]) {
      const { stderr, exitCode } = await tryBootstrap(...words);
      expect([words, exitCode, stderr]).toEqual([words, 1, expect.stringContaining("it looks like this")]);
    }
  });
});
