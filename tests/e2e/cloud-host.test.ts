import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { EC2Client, DescribeInstancesCommand } from "@aws-sdk/client-ec2";
import { stringify } from "yaml";

import { run } from "../../sandbox/command";
import { findHost, hostNames, type SandboxHost } from "../../sandbox/hosts/host";
import { waitFor } from "../../sandbox/processes";
import { sshGreets } from "../../sandbox/reachable";
import { TestCloud } from "./support/cloud";
import type { Made, Properties } from "./support/plugin-client";

jest.setTimeout(240_000);

let cloud: TestCloud;
let directory: string;
let keys: { readonly host: string; readonly client: string };

/** What the role lets its machine do. */
const PREFIX = "site/";
const trust = (Service: string): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service } }],
  });

beforeAll(async () => {
  cloud = await TestCloud.create("cloud-host-test");
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "cloud-host-"));
  keys = { host: path.join(directory, "host"), client: path.join(directory, "client") };
  for (const file of Object.values(keys))
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file]);
}, 240_000);

afterAll(async () => {
  await cloud.remove();
  fs.rmSync(directory, { recursive: true, force: true });
});

function publicKey(file: string): string {
  return fs.readFileSync(`${file}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
}

function userData(change: Properties = {}): string {
  const config = {
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: fs.readFileSync(keys.host, "utf8"), ed25519_public: publicKey(keys.host) },
    ssh_pwauth: false,
    disable_root: true,
    users: [
      {
        name: "admin",
        shell: "/bin/bash",
        lock_passwd: true,
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: [publicKey(keys.client)],
      },
    ],
    write_files: [{ path: "/etc/motd", content: "from user data\n", permissions: "0640" }],
    runcmd: [["touch", "/run/obeyed"]],
    ...change,
  };
  return `#cloud-config\n${stringify(config)}`;
}

async function ground(): Promise<{ subnetId: string; profile: string }> {
  const { plugin } = cloud;
  const vpc = await plugin.create("aws:ec2/vpc:Vpc", "vpc", {
    cidrBlock: "10.0.0.0/24",
    assignGeneratedIpv6CidrBlock: true,
  });
  const subnet = await plugin.create("aws:ec2/subnet:Subnet", "subnet", {
    vpcId: vpc.id,
    cidrBlock: "10.0.0.0/24",
    ipv6CidrBlock: (vpc.outputs["ipv6CidrBlock"] as string).replace("/56", "/64"),
  });
  const role = await plugin.create("aws:iam/role:Role", "host", {
    assumeRolePolicy: trust("ec2.amazonaws.com"),
  });
  await plugin.create("aws:s3/bucket:Bucket", "backups", { bucket: "host-backups" });
  await plugin.create("aws:iam/rolePolicy:RolePolicy", "writer", {
    role: role.id,
    policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Action: ["s3:PutObject", "s3:GetObject"],
          Resource: `arn:aws:s3:::host-backups/${PREFIX}*`,
        },
      ],
    }),
  });
  const profile = await plugin.create("aws:iam/instanceProfile:InstanceProfile", "host", { role: role.id });
  return { subnetId: subnet.id, profile: profile.id };
}

async function ssh(address: string, user: string, command: string, check = true): ReturnType<typeof run> {
  const knownHosts = path.join(directory, "known_hosts");
  fs.writeFileSync(knownHosts, `${address} ${publicKey(keys.host)}\n`);
  const options = [
    `UserKnownHostsFile=${knownHosts}`,
    "StrictHostKeyChecking=yes",
    "BatchMode=yes",
    "IdentitiesOnly=yes",
  ].flatMap((option) => ["-o", option]);
  return run(["ssh", "-i", keys.client, ...options, `${user}@${address}`, command], { check });
}

/** Waits for an SSH server that is there to greet: a busy machine may take longer than one look does. */
async function greeted(address: string): Promise<void> {
  await waitFor(`a greeting from ${address}`, 60, async () =>
    (await sshGreets(address)) ? true : undefined,
  );
}

const METADATA = "http://169.254.169.254/latest";

/** A shell line that asks the metadata service as a client of its second version does. */
function ask(item: string): string {
  const token = `$(curl -sf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" ${METADATA}/api/token)`;
  return `curl -sf -H "X-aws-ec2-metadata-token: ${token}" ${METADATA}/${item}`;
}

async function onHost(host: SandboxHost, line: string): ReturnType<SandboxHost["exec"]> {
  return host.exec(["sh", "-c", line], { check: false });
}

describe("an instance is a host", () => {
  let instance: Made;
  let host: SandboxHost;
  let address: Made;
  let association: Made;
  let inputs: Properties;

  beforeAll(async () => {
    const { subnetId, profile } = await ground();
    inputs = {
      ami: cloud.cloud.image,
      instanceType: "t3.small",
      subnetId,
      ipv6AddressCount: 1,
      iamInstanceProfile: profile,
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      rootBlockDevice: { volumeType: "gp3", volumeSize: 20, encrypted: true },
      disableApiTermination: true,
      userData: userData(),
      tags: { Name: "site" },
    };
    instance = await cloud.plugin.create("aws:ec2/instance:Instance", "web", inputs);
    host = findHost(instance.id, cloud.world)!;
  }, 240_000);

  it("obeys its user data: one host key, one user, no root, no password", async () => {
    const { privateIp } = instance.outputs as { privateIp: string };
    const scanned = await run(["ssh-keyscan", "-T", "60", privateIp], { check: false });
    const offered = scanned.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(offered.map((line) => line.split(" ").slice(1).join(" "))).toEqual([publicKey(keys.host)]);
    expect((await ssh(privateIp, "admin", "sudo -n id -u && sudo cat /etc/motd")).stdout).toBe(
      "0\nfrom user data\n",
    );
    expect(await ssh(privateIp, "root", "true", false)).toMatchObject({ exitCode: 255 });
    const { stderr } = await run(
      ["ssh", "-o", "PreferredAuthentications=password,keyboard-interactive", "-o", "BatchMode=yes"].concat([
        "-o",
        `UserKnownHostsFile=${path.join(directory, "known_hosts")}`,
        `admin@${privateIp}`,
        "true",
      ]),
      { check: false },
    );
    expect(stderr).toContain("Permission denied (publickey).");
    await host.exec(["test", "-e", "/run/obeyed"]);
  });

  it("says what it is", async () => {
    expect(instance.outputs).toMatchObject({
      instanceState: "running",
      privateIp: host.address,
      publicIp: "",
      metadataOptions: { httpTokens: "required" },
      rootBlockDevice: { encrypted: true },
      tags: { Name: "site" },
    });
    const [ipv6] = instance.outputs["ipv6Addresses"] as string[];
    await greeted(ipv6!);
    const read = await cloud.plugin.read(instance);
    expect(read?.inputs).toEqual(instance.inputs);
    expect(await cloud.plugin.diff(read!, instance.inputs)).toMatchObject({ changed: [] });
  });

  it("has credentials of its role, by a token only, and they do what the role may", async () => {
    expect((await onHost(host, `curl -s -o /dev/null -w '%{http_code}' ${METADATA}/meta-data/`)).stdout).toBe(
      "401",
    );
    expect((await onHost(host, ask("meta-data/instance-id"))).stdout).toBe(instance.id);
    const role = (await onHost(host, ask("meta-data/iam/security-credentials/"))).stdout;
    const found = await onHost(host, ask(`meta-data/iam/security-credentials/${role}`));
    expect(JSON.parse(found.stdout)).toMatchObject({ Code: "Success", Type: "AWS-HMAC" });
    // The SDK's own chain, as the host's programs use it.
    await copySdk(host);
    const results = await host.exec(["node", "/root/try.js"], { stdin: JSON.stringify(cloudOf()) });
    expect(JSON.parse(results.stdout)).toEqual({
      put: "done",
      get: "done",
      remove: "AccessDenied",
      elsewhere: "AccessDenied",
    });
  });

  it("shuts out whom the host's firewall shuts out", async () => {
    // By this machine's nft in the host's network: a bare host has none.
    const nft = (rule: string): Promise<unknown> =>
      run(["nsenter", `--net=/run/netns/${host.network.namespace}`, "nft", rule]);
    await nft("add table inet imds");
    await nft("add chain inet imds out { type filter hook output priority 0 ; }");
    await nft("add rule inet imds out ip daddr 169.254.169.254 meta skuid != 0 reject");
    expect((await onHost(host, ask("meta-data/instance-id"))).stdout).toBe(instance.id);
    const other = await onHost(
      host,
      `setpriv --reuid=www-data --clear-groups sh -c '${ask("meta-data/ami-id")}'`,
    );
    expect(other.exitCode).not.toBe(0);
    await nft("delete table inet imds");
  });

  it("has an address that outlives it", async () => {
    address = await cloud.plugin.create("aws:ec2/eip:Eip", "address", { domain: "vpc" });
    association = await cloud.plugin.create("aws:ec2/eipAssociation:EipAssociation", "address", {
      allocationId: address.id,
      instanceId: instance.id,
    });
    const publicIp = address.outputs["publicIp"] as string;
    expect(publicIp).not.toBe(host.address);
    expect((await ssh(publicIp, "admin", "hostname")).stdout.trim()).toBe(instance.id);
    instance = (await cloud.plugin.read(instance))!;
    expect(instance.outputs["publicIp"]).toBe(publicIp);
    expect((await cloud.plugin.read(address))?.outputs).toMatchObject({ instance: instance.id });
  });

  it("is stopped and started for another type, and is the same afterwards", async () => {
    await host.exec(["touch", "/root/kept"]);
    const bigger = { ...inputs, instanceType: "t3.medium" };
    const checked = await cloud.plugin.check(instance.type, instance.name, bigger, instance.inputs);
    expect(await cloud.plugin.diff(instance, checked.inputs)).toMatchObject({
      changed: ["instanceType"],
      replaces: [],
    });
    const booted = (await host.exec(["cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat"])).stdout;
    instance = await cloud.plugin.update(instance, bigger);
    host = findHost(instance.id, cloud.world)!;
    expect(instance.outputs).toMatchObject({ instanceType: "t3.medium", instanceState: "running" });
    expect((await host.exec(["cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat"])).stdout).not.toBe(
      booted,
    );
    await host.exec(["test", "-e", "/root/kept"]);
    expect((await onHost(host, ask("meta-data/instance-id"))).stdout).toBe(instance.id);
    expect((await ssh(address.outputs["publicIp"] as string, "admin", "true")).exitCode).toBe(0);
  });

  it("is not terminated while it is protected, and leaves nothing when it is", async () => {
    await expect(cloud.plugin.delete(instance)).rejects.toThrow("disableApiTermination");
    await greeted(host.address);
    instance = await cloud.plugin.update(instance, { ...instance.inputs, disableApiTermination: false });
    await cloud.plugin.delete(instance);
    expect(hostNames(cloud.world)).toEqual([]);
    expect(await cloud.plugin.read(instance)).toBeNull();
    expect(await sshGreets(address.outputs["publicIp"] as string)).toBe(false);
    await cloud.plugin.delete(association);
    await cloud.plugin.delete(address);
  });

  function cloudOf(): object {
    return {
      endpoint: cloud.cloud.emulator.url,
      authority: fs.readFileSync(cloud.cloud.emulator.authorityFile, "utf8"),
    };
  }
});

/** Puts a program that asks S3 by the SDK's default chain onto the host. */
async function copySdk(host: SandboxHost): Promise<void> {
  const { build } = await import("esbuild");
  const bundle = await build({
    stdin: { contents: TRY, resolveDir: __dirname, loader: "js" },
    bundle: true,
    platform: "node",
    format: "cjs",
    write: false,
  });
  await host.exec(["sh", "-c", "cat > /root/try.js"], { stdin: bundle.outputFiles[0]!.text });
}

const TRY = `
const { readFileSync } = require("node:fs");
const { Agent } = require("node:https");
const { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { endpoint, authority } = JSON.parse(readFileSync(0, "utf8"));
const requestHandler = { httpsAgent: new Agent({ ca: authority }) };
const s3 = new S3Client({ region: "us-east-1", endpoint, forcePathStyle: true, requestHandler });
const tried = (command) => s3.send(command).then(() => "done", (error) => error.name);
(async () => {
  const at = { Bucket: "host-backups", Key: "${PREFIX}one" };
  const put = await tried(new PutObjectCommand({ ...at, Body: "x" }));
  const get = await tried(new GetObjectCommand(at));
  const remove = await tried(new DeleteObjectCommand(at));
  const elsewhere = await tried(new PutObjectCommand({ ...at, Key: "other/one", Body: "x" }));
  console.log(JSON.stringify({ put, get, remove, elsewhere }));
})();
`;

it("user data that no host would obey is refused before anything is made", async () => {
  const image = { ami: cloud.cloud.image, instanceType: "t3.small" };
  const check = async (text: string): Promise<readonly string[]> =>
    (await cloud.plugin.check("aws:ec2/instance:Instance", "refused", { ...image, userData: text })).faults;
  expect(await check(userData({ package_update: true, ssh_pwauth: true }))).toEqual([
    "userData.ssh_pwauth: must be false: a host of the sandbox takes no passwords",
    "userData.package_update: no host of the sandbox obeys this key of cloud-init: add it to sandbox/aws/instances",
  ]);
  expect(await check("#!/bin/sh\nrm -rf /\n")).toEqual([
    expect.stringContaining("must begin with the line #cloud-config"),
  ]);
  const secret = "not-a-key-but-secret";
  expect((await check(`#cloud-config\nssh_keys: {${secret}`)).join()).not.toContain(secret);
  const other = { ...image, ami: "ami-0123456789abcdef0", userData: userData() };
  expect((await cloud.plugin.check("aws:ec2/instance:Instance", "refused", other)).faults).toEqual([
    expect.stringMatching(/^ami: InvalidAMIID.NotFound: the sandbox has one image, ami-/),
  ]);
});

it("an instance that does not come up is nobody's", async () => {
  const image = { ami: cloud.cloud.image, instanceType: "t3.small" };
  const failing = { ...image, userData: userData({ runcmd: ["exit 3"] }) };
  await expect(cloud.plugin.create("aws:ec2/instance:Instance", "failing", failing)).rejects.toThrow(
    "exit 3",
  );
  expect(hostNames(cloud.world)).toEqual([]);
  const { Reservations = [] } = await new EC2Client(cloud.client()).send(new DescribeInstancesCommand({}));
  const states = Reservations.flatMap(({ Instances = [] }) => Instances.map(({ State }) => State?.Name));
  expect(states.filter((state) => state !== "terminated")).toEqual([]);
});
