import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  CreateHostedZoneCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from "@aws-sdk/client-route-53";
import { ListInstanceProfilesForRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import type { BackupBucketSpec } from "../../components/backup-bucket";
import type { Ec2MachineSpec } from "../../components/ec2-machine";
import { publicHalfOf } from "../../config/ssh-keys";
import { EMULATOR_OWNER } from "../../sandbox/aws/emulator";
import { roleCredentials } from "../../sandbox/aws/instances/role-credentials";
import { pluginDirectory } from "../../sandbox/aws/sandbox-cloud";
import { run } from "../../sandbox/command";
import { findHost } from "../../sandbox/hosts/host";
import { repositoryRoot } from "../../sandbox/repository";
import { cacheDirectory } from "../../sandbox/world";
import { Terminal } from "../support/shell";
import { BOUNDARY } from "../../sandbox/aws/deployer-policy";
import { newPrivateKey } from "../unit/support/configuration";
import { TestCloud } from "./support/cloud";

/*
 * Machine, network, bucket and host by the embedded engine, against the sandbox's AWS: from nothing to a host that was reached by a
 * key that was known before it was there.
 */

const LIMIT_MS = 600_000;
jest.setTimeout(LIMIT_MS);

const BUCKET: BackupBucketSpec = {
  ...{ name: "cloud-stack-backups", prefix: "database/", auditPrefix: "audit/" },
  ...{ transitionDays: 30, expiryDays: 365, noncurrentDays: 30, abortUploadDays: 7 },
  objectLock: { mode: "governance", days: 1 },
};
const DOMAIN = "shop.example.test";

let cloud: TestCloud;
let directory: string;
let terminal: Terminal;
let zoneId: string;
/** What the first up printed. */
let printed: string;

beforeAll(async () => {
  cloud = await TestCloud.create("cloud-stack-test");
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "cloud-stack-"));
  const privateKey = newPrivateKey();
  zoneId = await makeZone();
  const machine: Ec2MachineSpec = {
    mode: "ec2",
    name: "site-test",
    permissionsBoundary: BOUNDARY.arn,
    sshFrom: ["192.0.2.0/24", "2001:db8:1::/48"],
    imageId: cloud.cloud.image,
    ...{ instanceType: "t3.medium", availabilityZone: "us-east-1a", volumeGigabytes: 40 },
    networkCidr: "10.20.0.0/24",
    user: "admin",
    authorizedKey: publicHalfOf(privateKey),
    dns: { zoneId, domains: [DOMAIN] },
  };
  await makeProject({ machine, bucket: BUCKET, software: await makeSoftware() }, privateKey);
}, LIMIT_MS);

afterAll(async () => {
  await cloud.remove();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function makeZone(): Promise<string> {
  const route53 = new Route53Client(cloud.client());
  const made = await route53.send(
    new CreateHostedZoneCommand({ Name: "example.test", CallerReference: "cloud-stack-test" }),
  );
  return made.HostedZone?.Id?.replace("/hostedzone/", "") ?? "";
}

/** Host software of a few lines: what it is about here is that it gets there, and that it is asked. */
async function makeSoftware(): Promise<string> {
  const bootstrap = path.join(directory, "software", "bootstrap");
  fs.mkdirSync(bootstrap, { recursive: true });
  const lines = [
    "#!/bin/sh",
    "set -eu",
    "echo booted >>/root/bootstraps",
    `printf '#!/bin/sh\\necho {}\\n' >/usr/local/bin/site-conductor`,
    "chmod 755 /usr/local/bin/site-conductor",
  ];
  fs.writeFileSync(path.join(bootstrap, "bootstrap"), `${lines.join("\n")}\n`, { mode: 0o755 });
  const archive = path.join(directory, "host.tar");
  await run(["tar", "-C", path.join(directory, "software"), "-cf", archive, "bootstrap"]);
  return archive;
}

/** A folder that is the program's as far as it looks around itself. */
async function makeProject(
  values: Readonly<Record<string, string | object>>,
  privateKey: string,
): Promise<void> {
  const root = repositoryRoot();
  for (const name of ["node_modules", "dist", "tsconfig.json"])
    fs.symlinkSync(path.join(root, name), path.join(directory, name));
  const program = path.join(root, "tests", "e2e", "support", "cloud-stack", "index.ts");
  fs.writeFileSync(
    path.join(directory, "index.ts"),
    `export * from ${JSON.stringify(program.replace(/\.ts$/, ""))};\n`,
  );
  const project = {
    name: "site",
    runtime: "nodejs",
    backend: { url: "file://." },
    plugins: { providers: [{ name: "aws", path: pluginDirectory() }] },
  };
  fs.writeFileSync(path.join(directory, "Pulumi.yaml"), JSON.stringify(project));
  fs.writeFileSync(path.join(directory, "package.json"), JSON.stringify({ name: "site", main: "index.ts" }));
  terminal = new Terminal(
    directory,
    {
      PULUMI_CONFIG_PASSPHRASE: "correct horse",
      VEHICLESERVICE_ENGINE: "embedded",
      VEHICLESERVICE_SANDBOX_WORLD: cloud.world.name,
      // The machine's, where images are that took minutes to make.
      XDG_CACHE_HOME: path.dirname(cacheDirectory()),
    },
    ["--yes", "--skip-preview"],
  );
  await terminal.run("pulumi stack init test");
  const { accessKey, secretKey, ...provider } = cloud.cloud.providerConfig;
  const secrets = { "aws:accessKey": accessKey, "aws:secretKey": secretKey, hostPrivateKey: privateKey };
  const open = Object.fromEntries(Object.entries(provider).map(([key, value]) => [`aws:${key}`, value]));
  for (const [key, value] of Object.entries({ ...open, ...values })) await setConfig(key, value, "");
  for (const [key, value] of Object.entries(secrets)) await setConfig(key, value, "--secret");
}

async function setConfig(key: string, value: unknown, option: string): Promise<void> {
  const file = path.join(directory, "value");
  fs.writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value), { mode: 0o600 });
  await terminal.run(`pulumi config set ${option} ${key} < value`);
  fs.rmSync(file);
}

async function outputs(): Promise<Record<string, string>> {
  const { stdout } = await terminal.run("pulumi stack output --json");
  return JSON.parse(stdout) as Record<string, string>;
}

test("an up from nothing ends with a host that was reached, by the key that the stack made", async () => {
  const { stdout, stderr } = await terminal.run("pulumi up");
  printed = stdout + stderr;
  const { instanceId = "", address, hostKey, hostId } = await outputs();
  const host = findHost(instanceId, cloud.world);
  const found = await host!.exec(["cat", "/etc/ssh/ssh_host_ed25519_key.pub", "/root/bootstraps"]);
  expect(found.stdout).toBe(`${String(hostKey)}\nbooted\n`);
  expect(hostId).toMatch(new RegExp(`^SHA256:\\S+ ${String(address)} 22 ${instanceId}$`));
});

test("its names lead to it, by both families", async () => {
  const route53 = new Route53Client(cloud.client());
  const { ResourceRecordSets = [] } = await route53.send(
    new ListResourceRecordSetsCommand({ HostedZoneId: zoneId }),
  );
  const own = ResourceRecordSets.filter(({ Name }) => Name === `${DOMAIN}.`);
  const records = own.map(({ Type, ResourceRecords }) => [Type, ResourceRecords?.[0]?.Value]);
  expect(records.sort()).toEqual([
    ["A", (await outputs())["address"]],
    ["AAAA", expect.stringMatching(/^fd[0-9a-f:]+$/)],
  ]);
});

test("a second up changes nothing", async () => {
  await terminal.run("pulumi up --expect-no-changes");
});

test("no secret stands in the state, or in what is printed", () => {
  const state = fs.readFileSync(path.join(directory, ".pulumi", "stacks", "site", "test.json"), "utf8");
  for (const text of [state, printed]) {
    expect(text).toContain("machine-instance");
    expect(text).not.toContain("PRIVATE KEY");
  }
});

describe("the host's role", () => {
  let tried: (command: object) => Promise<string>;
  let s3: S3Client;
  /** Who speaks no TLS. */
  let plain: S3Client;
  const at = (Key: string) => ({ Bucket: BUCKET.name, Key });
  const encrypted = { Body: "x", ServerSideEncryption: "AES256" as const };

  beforeAll(async () => {
    const { role } = await outputs();
    const iam = new IAMClient(cloud.client());
    const { InstanceProfiles } = await iam.send(new ListInstanceProfilesForRoleCommand({ RoleName: role }));
    const credentials = await roleCredentials({
      region: "us-east-1",
      endpoint: cloud.cloud.emulator.url,
      owner: EMULATOR_OWNER,
      authority: fs.readFileSync(cloud.cloud.emulator.authorityFile, "utf8"),
      profile: InstanceProfiles?.[0]?.InstanceProfileName ?? null,
    } as Parameters<typeof roleCredentials>[0])();
    s3 = new S3Client({ ...cloud.client(credentials!), forcePathStyle: true });
    plain = new S3Client({ ...cloud.plainClient(credentials!), forcePathStyle: true });
    tried = (command) =>
      s3.send(command as PutObjectCommand).then(
        () => "done",
        (error: unknown) => (error as Error).name,
      );
  });

  test.each<[string, () => object, string]>([
    ["puts a backup", () => new PutObjectCommand({ ...at("database/one"), ...encrypted }), "done"],
    ["reads it", () => new GetObjectCommand(at("database/one")), "done"],
    ["writes over it", () => new PutObjectCommand({ ...at("database/one"), ...encrypted }), "done"],
    ["finds backups", () => new ListObjectsV2Command({ Bucket: BUCKET.name, Prefix: "database/" }), "done"],
    ["puts evidence", () => new PutObjectCommand({ ...at("audit/one"), ...encrypted }), "done"],
    ["reads no evidence", () => new GetObjectCommand(at("audit/one")), "AccessDenied"],
    [
      "finds no evidence",
      () => new ListObjectsV2Command({ Bucket: BUCKET.name, Prefix: "audit/" }),
      "AccessDenied",
    ],
    ["does not look around", () => new ListObjectsV2Command({ Bucket: BUCKET.name }), "AccessDenied"],
    ["deletes nothing", () => new DeleteObjectCommand(at("database/one")), "AccessDenied"],
    [
      "puts nothing elsewhere",
      () => new PutObjectCommand({ ...at("other/one"), ...encrypted }),
      "AccessDenied",
    ],
    [
      "puts nothing unencrypted",
      () => new PutObjectCommand({ ...at("database/two"), Body: "x" }),
      "AccessDenied",
    ],
    [
      "puts nothing under another key",
      () => new PutObjectCommand({ ...at("database/two"), Body: "x", ServerSideEncryption: "aws:kms" }),
      "AccessDenied",
    ],
  ])("%s", async (_, command, answer) => {
    expect(await tried(command())).toBe(answer);
  });

  test("puts a backup in parts", async () => {
    const Body = Buffer.alloc(6 * 1024 * 1024);
    const params = { ...at("database/large"), ...encrypted, Body };
    await new Upload({ client: s3, params, partSize: 5 * 1024 * 1024 }).done();
    expect(await tried(new GetObjectCommand(at("database/large")))).toBe("done");
  });

  // The same requests as above, which the role may make: it is the bucket's policy that refuses them.
  test.each<[string, () => object]>([
    ["puts no backup", () => new PutObjectCommand({ ...at("database/one"), ...encrypted })],
    ["reads none", () => new GetObjectCommand(at("database/one"))],
    ["finds none", () => new ListObjectsV2Command({ Bucket: BUCKET.name, Prefix: "database/" })],
    ["puts no evidence", () => new PutObjectCommand({ ...at("audit/one"), ...encrypted })],
  ])("%s without TLS", async (_, command) => {
    await expect(plain.send(command() as PutObjectCommand)).rejects.toMatchObject({
      name: "AccessDenied",
      message: expect.stringContaining("explicit deny in a resource-based policy"),
    });
  });
});

test("S3 itself answers without TLS, to whoever it knows", async () => {
  const to = { Bucket: "without-a-policy", Key: "one" };
  const owner = new S3Client({ ...cloud.plainClient(), forcePathStyle: true });
  await owner.send(new CreateBucketCommand({ Bucket: to.Bucket }));
  await owner.send(new PutObjectCommand({ ...to, Body: "x" }));
  const stranger = { accessKeyId: "AKIA0000000000000000", secretAccessKey: "x" };
  const unknown = new S3Client({ ...cloud.plainClient(stranger), forcePathStyle: true });
  await expect(unknown.send(new GetObjectCommand(to))).rejects.toMatchObject({ name: "InvalidAccessKeyId" });
});

test("a destroy fails, names what is protected, and leaves the host as it is", async () => {
  const { instanceId = "" } = await outputs();
  const { exitCode, stdout, stderr } = await terminal.run("pulumi destroy --yes", { check: false });
  expect(exitCode).not.toBe(0);
  for (const name of [
    "machine-instance",
    "machine-address",
    "machine-host-key",
    "backups-bucket",
    "backups-lock",
  ]) {
    expect(stdout + stderr).toContain(name);
  }
  expect(findHost(instanceId, cloud.world)?.isOn()).toBe(true);
});
