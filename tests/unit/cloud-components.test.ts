import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { BackupBucket, type BackupBucketSpec } from "../../components/backup-bucket";
import type { Ec2MachineSpec } from "../../components/ec2-machine";
import { Host } from "../../components/host";
import { hostKeyFrom } from "../../components/host-key";
import { Machine, type MachineSpec } from "../../components/machine";
import { newHostKey, privateKey } from "./support/configuration";
import {
  type Circumstances,
  isSecret,
  plain,
  type Registration,
  registrationsOf,
} from "./support/registrations";

/* What the stack makes in AWS: every property that somebody relies on, as it is registered. */

const directory = mkdtempSync(join(tmpdir(), "cloud-components-"));
const software = join(directory, "host.tar");
writeFileSync(software, "an archive");
afterAll(() => rmSync(directory, { recursive: true }));

const EC2: Ec2MachineSpec = {
  mode: "ec2",
  name: "vehicleservice-test",
  permissionsBoundary: "arn:aws:iam::123456789012:policy/vehicleservice-boundary",
  sshFrom: ["203.0.113.7/32", "2001:db8:1::/48"],
  imageId: "ami-0123456789abcdef0",
  instanceType: "t3.medium",
  availabilityZone: "eu-central-1a",
  volumeGigabytes: 40,
  networkCidr: "10.20.0.0/24",
  user: "admin",
  authorizedKey: newHostKey(),
  dns: { zoneId: "Z0123456789ABCDEF", domains: ["shop.example.com", "www.example.com"] },
};
const EXISTING: MachineSpec = {
  mode: "existing",
  ...{ address: "203.0.113.99", port: 2222, user: "root" },
  ...{ hostKey: newHostKey(), hostKeyFingerprint: "SHA256:one" },
};
/** Made from what the tests' provider makes. */
const KEY = hostKeyFrom("A".repeat(43));

async function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => {
    output.apply(resolve);
  });
}

/** Registers a machine and the host that it becomes. */
async function machineOf(spec: MachineSpec, circumstances: Circumstances = {}) {
  const { registrations, result } = await registrationsOf(() => {
    const machine = new Machine("machine", spec);
    return { machine, host: new Host("web", { app: "vehicleservice", privateKey, machine, software }) };
  }, circumstances);
  const named = (name: string): Registration => {
    const found = registrations.find((one) => one.name === name && !one.type.startsWith("vehicleservice:"));
    if (found === undefined) throw new Error(`nothing is named ${name}`);
    return found;
  };
  return { registrations, named, ...result };
}

const typed = (registrations: readonly Registration[], end: string) =>
  registrations.filter(({ type }) => type.endsWith(`:${end}`));

describe("a machine that is there", () => {
  test("is what the config says, and nothing is made", async () => {
    const { registrations, machine, host } = await machineOf(EXISTING);
    expect(registrations.filter(({ type }) => /^(aws|random):/.test(type))).toEqual([]);
    expect([machine.role, machine.port, machine.user]).toEqual([null, 2222, "root"]);
    expect(await valueOf(machine.securityGroupId)).toBe("");
    // As it always was: another text would send everything to the host again.
    expect(await valueOf(host.hostId)).toBe("SHA256:one 203.0.113.99 2222");
  });

  test("is told of at once where it does not answer", async () => {
    const { host } = await machineOf(EXISTING);
    expect(Object.keys(await valueOf(host.connection)).sort()).toEqual([
      "host",
      "hostKey",
      "port",
      "privateKey",
      "user",
    ]);
  });
});

describe("a machine that is made", () => {
  test("is protected, pinned to its image, and with nothing that its metadata, disk or neighbours give away", async () => {
    const { named } = await machineOf(EC2);
    const instance = named("machine-instance");
    expect(instance).toMatchObject({ protected: true, ignores: ["ami", "userData"], retained: false });
    expect({ ...instance.inputs, userData: null }).toEqual({
      ami: "ami-0123456789abcdef0",
      instanceType: "t3.medium",
      availabilityZone: "eu-central-1a",
      subnetId: "machine-subnet-id",
      vpcSecurityGroupIds: ["machine-firewall-id"],
      ipv6AddressCount: 1,
      iamInstanceProfile: "vehicleservice-test-host",
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      rootBlockDevice: { volumeType: "gp3", volumeSize: 40, encrypted: true },
      disableApiTermination: true,
      tags: { Name: "vehicleservice-test" },
      userData: null,
    });
  });

  test("has a key that the stack knows, whose private half is a secret and whose public half is none", async () => {
    const { registrations, named, machine, host } = await machineOf(EC2);
    expect(named("machine-host-key")).toMatchObject({
      protected: true,
      inputs: { length: 64, special: false },
    });
    expect(await valueOf(machine.hostKey)).toBe(KEY.publicKey);
    expect(
      await Promise.all([machine.hostKey, machine.hostKeyFingerprint, host.hostId].map(pulumi.isSecret)),
    ).toEqual([false, false, false]);
    const { userData } = named("machine-instance").inputs;
    expect(isSecret(userData)).toBe(true);
    const text = plain(userData) as string;
    expect(parse(text)).toMatchObject({
      ssh_keys: { ed25519_private: KEY.privateKey, ed25519_public: KEY.publicKey },
      users: [{ name: "admin", ssh_authorized_keys: [EC2.authorizedKey] }],
    });
    const lines = KEY.privateKey.split("\n").slice(1, 4);
    const open = registrations.map(({ inputs }) => Object.values(inputs).filter((input) => !isSecret(input)));
    for (const line of lines) expect(JSON.stringify(open)).not.toContain(line);
  });

  test("is reached by its key from the first connection on, as the user that it was made with, and waited for", async () => {
    const { host, named } = await machineOf(EC2);
    expect(await valueOf(host.connection)).toEqual({
      ...{ host: "203.0.113.10", port: 22, user: "admin", hostKey: KEY.publicKey, privateKey },
      dialErrorLimit: 60,
    });
    expect(named("web-bootstrap").inputs.create).toContain("sudo -n sh -s");
  });

  test("is another host where it is another instance", async () => {
    const one = await valueOf((await machineOf(EC2)).host.hostId);
    const other = await valueOf((await machineOf(EC2, { idEnd: "other" })).host.hostId);
    expect(one).toBe(`${KEY.fingerprint} 203.0.113.10 22 machine-instance-id`);
    expect(other).toBe(`${KEY.fingerprint} 203.0.113.10 22 machine-instance-other`);
  });

  test("is reached once packets come through, its address is its own, and the names lead to it", async () => {
    const { named, registrations } = await machineOf(EC2);
    const ways = ["Route", "RouteTableAssociation", "SecurityGroupIngressRule", "SecurityGroupEgressRule"];
    const before = [...ways, "EipAssociation", "Record"].flatMap((type) => typed(registrations, type));
    expect(before.length).toBe(2 + 1 + 6 + 2 + 1 + 4);
    expect(named("web-software").waitsFor).toEqual(expect.arrayContaining(before.map(({ name }) => name)));
  });

  test("keeps its address in a preview that adds a domain", async () => {
    const isNew = (name: string) => name.endsWith("www.example.com");
    const { host } = await machineOf(EC2, { preview: { isNew } });
    expect(await valueOf(host.hostId)).toContain("203.0.113.10");
  });

  test("has an address that outlives it", async () => {
    const { named } = await machineOf(EC2);
    expect(named("machine-address")).toMatchObject({ protected: true, inputs: { domain: "vpc" } });
    expect(named("machine-address-use").inputs).toEqual({
      ...{ allocationId: "machine-address-id", instanceId: "machine-instance-id" },
    });
  });

  test.each([
    ["machine-a-shop.example.com", "A", "shop.example.com", "203.0.113.10"],
    ["machine-aaaa-shop.example.com", "AAAA", "shop.example.com", "2001:db8:1234:1a00::10"],
    ["machine-a-www.example.com", "A", "www.example.com", "203.0.113.10"],
    ["machine-aaaa-www.example.com", "AAAA", "www.example.com", "2001:db8:1234:1a00::10"],
  ])("has the record %s", async (name, type, domain, value) => {
    const { named } = await machineOf(EC2);
    expect(named(name).inputs).toEqual({
      ...{ zoneId: "Z0123456789ABCDEF", name: domain, type, ttl: 60, records: [value] },
    });
  });

  test("has no records without a zone", async () => {
    const { registrations } = await machineOf({ ...EC2, dns: null });
    expect(typed(registrations, "Record")).toEqual([]);
  });

  test("has a role that may do nothing, that nobody can give more than its boundary, and that machines alone take", async () => {
    const { registrations, named, machine } = await machineOf(EC2);
    expect(named("machine-role").inputs).toMatchObject({ permissionsBoundary: EC2.permissionsBoundary });
    const without = await machineOf({ ...EC2, permissionsBoundary: null });
    expect(Object.keys(without.named("machine-role").inputs)).not.toContain("permissionsBoundary");
    const { assumeRolePolicy } = named("machine-role").inputs as { assumeRolePolicy: string };
    expect(JSON.parse(assumeRolePolicy)).toMatchObject({
      Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } }],
    });
    expect(registrations.filter(({ type }) => /Policy/.test(type))).toEqual([]);
    expect(await valueOf(machine.role!)).toBe("vehicleservice-test-host");
    expect(named("machine-profile").inputs).toMatchObject({ role: "vehicleservice-test-host" });
  });
});

describe("its network", () => {
  test("leads out by both families", async () => {
    const { named } = await machineOf(EC2);
    const out = { routeTableId: "machine-routes-id", gatewayId: "machine-gateway-id" };
    expect(named("machine-vpc").inputs).toMatchObject({
      ...{ cidrBlock: "10.20.0.0/24", assignGeneratedIpv6CidrBlock: true },
    });
    expect(named("machine-subnet").inputs).toMatchObject({
      vpcId: "machine-vpc-id",
      cidrBlock: "10.20.0.0/24",
      ipv6CidrBlock: "2001:db8:1234:1a00::/64",
      availabilityZone: "eu-central-1a",
      mapPublicIpOnLaunch: false,
    });
    expect(named("machine-ipv4").inputs).toEqual({ ...out, destinationCidrBlock: "0.0.0.0/0" });
    expect(named("machine-ipv6").inputs).toEqual({ ...out, destinationIpv6CidrBlock: "::/0" });
    expect(named("machine-subnet-routes").inputs).toEqual({
      ...{ routeTableId: "machine-routes-id", subnetId: "machine-subnet-id" },
    });
  });

  test("lets SSH in from the named networks alone, HTTP and HTTPS from everywhere, and everything out", async () => {
    const { registrations } = await machineOf(EC2);
    const rules = [
      ...typed(registrations, "SecurityGroupIngressRule"),
      ...typed(registrations, "SecurityGroupEgressRule"),
    ];
    const shown = rules.map(({ name, inputs }) => {
      const { fromPort: from, toPort: to, ipProtocol, cidrIpv4, cidrIpv6 } = inputs as Record<string, string>;
      expect(inputs).toMatchObject({ securityGroupId: "machine-firewall-id" });
      return `${name}: ${String(ipProtocol)} ${String(from)}-${String(to)} ${cidrIpv4 ?? cidrIpv6 ?? ""}`;
    });
    expect(shown).toEqual([
      "machine-ssh-203.0.113.7/32: tcp 22-22 203.0.113.7/32",
      "machine-ssh-2001-db8-1--/48: tcp 22-22 2001:db8:1::/48",
      "machine-http-0.0.0.0/0: tcp 80-80 0.0.0.0/0",
      "machine-http---/0: tcp 80-80 ::/0",
      "machine-https-0.0.0.0/0: tcp 443-443 0.0.0.0/0",
      "machine-https---/0: tcp 443-443 ::/0",
      "machine-out-0.0.0.0/0: -1 undefined-undefined 0.0.0.0/0",
      "machine-out---/0: -1 undefined-undefined ::/0",
    ]);
  });

  test("leaves alone the rule that a pipeline adds: the group has none of its own", async () => {
    const { named } = await machineOf(EC2);
    expect(Object.keys(named("machine-firewall").inputs).sort()).toEqual(["description", "tags", "vpcId"]);
  });

  test("keeps the rules that stay where a network goes", async () => {
    const namesOf = async (sshFrom: readonly string[]) =>
      typed((await machineOf({ ...EC2, sshFrom })).registrations, "SecurityGroupIngressRule").map(
        ({ name }) => name,
      );
    const [first = "", second = ""] = EC2.sshFrom;
    expect(await namesOf([first, second])).toEqual(expect.arrayContaining(await namesOf([second])));
  });
});

describe("the bucket of backups", () => {
  const SPEC: BackupBucketSpec = {
    name: "example-backups",
    prefix: "database/",
    auditPrefix: "audit/",
    transitionDays: 45,
    expiryDays: 400,
    noncurrentDays: 20,
    abortUploadDays: 5,
    objectLock: { mode: "governance", days: 30 },
  };
  const bucketOf = async (spec: BackupBucketSpec | null, role: string | null = "host-role") => {
    const { registrations, result } = await registrationsOf(
      () => new BackupBucket("backups", { bucket: spec, role }),
    );
    const inputsOf = (name: string) => registrations.find((one) => one.name === name)?.inputs ?? {};
    return { registrations, bucket: result, inputsOf };
  };
  const bucket = "backups-bucket-id";
  type Statement = Readonly<Record<string, unknown>> & { readonly Sid: string };
  const statementsOf = ({ policy }: Readonly<Record<string, unknown>>): Record<string, Statement> => {
    const { Statement: all } = JSON.parse(policy as string) as { Statement: Statement[] };
    return Object.fromEntries(all.map((statement) => [statement.Sid, statement]));
  };

  test.each<[string, Readonly<Record<string, unknown>>]>([
    [
      "backups-bucket",
      { bucket: "example-backups", objectLockEnabled: true, tags: { Name: "example-backups" } },
    ],
    ["backups-versions", { bucket, versioningConfiguration: { status: "Enabled" } }],
    [
      "backups-private",
      {
        bucket,
        ...{ blockPublicAcls: true, blockPublicPolicy: true },
        ...{ ignorePublicAcls: true, restrictPublicBuckets: true },
      },
    ],
    ["backups-owner", { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } }],
    [
      "backups-encryption",
      { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
    ],
    [
      "backups-ages",
      {
        bucket,
        rules: [
          {
            id: "backups",
            status: "Enabled",
            filter: { prefix: "database/" },
            transitions: [{ days: 45, storageClass: "STANDARD_IA" }],
            expiration: { days: 400 },
            noncurrentVersionExpiration: { noncurrentDays: 20 },
          },
          {
            id: "unfinished-uploads",
            status: "Enabled",
            filter: { prefix: "" },
            abortIncompleteMultipartUpload: { daysAfterInitiation: 5 },
          },
        ],
      },
    ],
    [
      "backups-lock",
      { bucket, objectLockEnabled: "Enabled", rule: { defaultRetention: { mode: "GOVERNANCE", days: 30 } } },
    ],
  ])("has %s, and destroy leaves it", async (name, inputs) => {
    const { registrations, inputsOf } = await bucketOf(SPEC);
    expect(inputsOf(name)).toEqual(inputs);
    expect(registrations.find((one) => one.name === name)).toMatchObject({
      protected: true,
      retained: false,
    });
  });

  test("refuses what comes in clear, or does not ask for encryption, from everybody", async () => {
    const { OverTlsOnly, EncryptedOnly } = statementsOf((await bucketOf(SPEC)).inputsOf("backups-policy"));
    const everybody = { Effect: "Deny", Principal: "*" };
    expect(OverTlsOnly).toMatchObject({
      ...{ ...everybody, Action: "s3:*" },
      Resource: ["arn:aws:s3:::example-backups", "arn:aws:s3:::example-backups/*"],
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    });
    expect(EncryptedOnly).toMatchObject({
      ...{ ...everybody, Action: "s3:PutObject", Resource: "arn:aws:s3:::example-backups/*" },
      Condition: { StringNotEquals: { "s3:x-amz-server-side-encryption": "AES256" } },
    });
  });

  test("lets the host put and read backups, put evidence, and delete nothing", async () => {
    const { inputsOf } = await bucketOf(SPEC);
    expect(inputsOf("backups-writer").role).toBe("host-role");
    const statements = statementsOf(inputsOf("backups-writer"));
    expect(statements).toEqual({
      PutAndReadBackups: expect.objectContaining({
        Action: ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        Resource: "arn:aws:s3:::example-backups/database/*",
      }),
      FindBackups: expect.objectContaining({
        Action: "s3:ListBucket",
        Resource: "arn:aws:s3:::example-backups",
        Condition: { StringLike: { "s3:prefix": "database/*" } },
      }),
      PutEvidence: expect.objectContaining({
        Action: "s3:PutObject",
        Resource: "arn:aws:s3:::example-backups/audit/*",
      }),
    });
    expect(JSON.stringify(statements)).not.toMatch(/Delete|Bypass|"s3:\*"/);
  });

  test("without a time is not locked, and can be later", async () => {
    const { registrations, inputsOf } = await bucketOf({ ...SPEC, objectLock: null });
    expect(typed(registrations, "BucketObjectLockConfiguration")).toEqual([]);
    expect(inputsOf("backups-bucket")).toMatchObject({ objectLockEnabled: true });
  });

  test("gives no policy to a host without a role", async () => {
    const { registrations } = await bucketOf(SPEC, null);
    expect(typed(registrations, "RolePolicy")).toEqual([]);
  });

  test("is not made where there is none to make", async () => {
    const { registrations, bucket: none } = await bucketOf(null);
    expect(registrations.map(({ type }) => type)).toEqual(["vehicleservice:backups:BackupBucket"]);
    expect(await valueOf(none.ready)).toBe("ready");
  });

  test("is ready once all of it is there, and the host may use it", async () => {
    const { registrations, result } = await registrationsOf(() => {
      const made = new BackupBucket("backups", { bucket: SPEC, role: "host-role" });
      return new Host("web", {
        ...{ app: "vehicleservice", privateKey, software },
        machine: {
          ...{ port: 22, user: "root", hostKey: newHostKey(), hostKeyFingerprint: "", dialErrorLimit: null },
          ...{ instanceId: "", address: made.ready },
        },
      });
    });
    expect(await valueOf(result.hostId)).toContain("ready");
    const all = registrations.filter(({ type }) => type.startsWith("aws:")).map(({ name }) => name);
    expect(all).toHaveLength(9);
    expect(registrations.find(({ name }) => name === "web-software")?.waitsFor).toEqual(
      expect.arrayContaining(all),
    );
  });
});
