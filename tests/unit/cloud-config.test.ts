import { validate } from "../../config";
import type { Path } from "../../config/faults";
import {
  changed,
  faultsOf,
  hostKey,
  machineWith,
  privateKey,
  rawConfig,
  settings,
} from "./support/configuration";

/* What the stack makes in AWS, as the config has it: what of it is refused, and what the components are given. */

/** A stack that makes its host. */
const ec2 = () => ({
  ...settings(),
  "aws:region": "eu-central-1",
  host: {
    mode: "ec2",
    privateKeyFile: "keys/id",
    ec2: {
      sshFrom: ["203.0.113.7/32"],
      imageId: "ami-0123456789abcdef0",
      availabilityZone: "eu-central-1a",
    },
  },
});

/** One that makes its bucket, too. */
const both = () => ({
  ...ec2(),
  backups: { bucket: "example-backups", region: "eu-central-1", prefix: "database/", create: {} },
});

const BOUNDARY = "arn:aws:iam::123456789012:policy/vehicleservice-boundary";

const load = (values: Record<string, unknown>) => validate(rawConfig(values), machineWith());
const keysOf = (values: Record<string, unknown>) => faultsOf(values).map(({ key }) => key);

describe("a host that the stack makes", () => {
  test("has the defaults, the public half of its private key, and the stack's name", () => {
    const { machine, host } = load(ec2());
    expect(machine).toEqual({
      mode: "ec2",
      name: "vehicleservice-test",
      permissionsBoundary: null,
      sshFrom: ["203.0.113.7/32"],
      imageId: "ami-0123456789abcdef0",
      instanceType: "t3.medium",
      availabilityZone: "eu-central-1a",
      volumeGigabytes: 40,
      networkCidr: "10.20.0.0/24",
      user: "admin",
      authorizedKey: expect.stringMatching(/^ssh-ed25519 AAAA/),
      dns: null,
    });
    expect(host).toEqual({ app: "vehicleservice", privateKey });
    expect(load(settings())).toMatchObject({ machine: { mode: "existing" }, bucket: null });
  });

  test("has a role whose name IAM takes", () => {
    const named = (name: string) =>
      faultsOf({ ...ec2(), name }).filter(({ key }) => key === "vehicleservice:name");
    const stack = "a-branch-of-somebody-with-a-long-name";
    const raw = (name: string) => ({ ...rawConfig({ ...ec2(), name }), stack });
    expect(named("a".repeat(31))).toEqual([]);
    expect(() => validate(raw("a".repeat(21)), machineWith())).not.toThrow();
    expect(() => validate(raw("a".repeat(22)), machineWith())).toThrow(/name.*at most 21 characters long/s);
  });

  test("has a record of each domain in the zone that is named", () => {
    const values = changed(ec2(), ["host", "ec2", "zoneId"], "Z0123456789ABCDEF");
    const names = ["shop.example.com", "www.example.com"];
    const { machine } = load(changed(values, ["site", "domains"], names));
    expect(machine).toMatchObject({ dns: { zoneId: "Z0123456789ABCDEF", domains: names } });
  });

  test.each<[string, Path, unknown]>([
    ["several networks, of both families", ["sshFrom"], ["203.0.113.0/24", "2001:db8:1::/48"]],
    ["one address of IPv6", ["sshFrom"], ["2001:db8::7/128"]],
    ["an old image", ["imageId"], "ami-0a1b2c3d"],
    ["another type", ["instanceType"], "m7g.2xlarge"],
    ["a large network", ["networkCidr"], "172.16.0.0/16"],
    ["another user", ["user"], "deploy"],
  ])("may have %s", (_, path, value) => {
    expect(faultsOf(changed(ec2(), ["host", "ec2", ...path], value))).toEqual([]);
  });

  const SSH_FROM = "host.ec2.sshFrom[0]";
  test.each<[string, Path, unknown, string]>([
    ["no network for SSH", ["sshFrom"], undefined, "host.ec2.sshFrom"],
    ["an empty list of networks", ["sshFrom"], [], "host.ec2.sshFrom"],
    ["the whole internet", ["sshFrom"], ["0.0.0.0/0"], SSH_FROM],
    ["the whole internet of IPv6", ["sshFrom"], ["::/0"], SSH_FROM],
    [
      "the whole internet beside a network",
      ["sshFrom"],
      ["203.0.113.7/32", "0.0.0.0/0"],
      "host.ec2.sshFrom[1]",
    ],
    ["half of the internet", ["sshFrom"], ["128.0.0.0/1"], SSH_FROM],
    ["half of the internet of IPv6", ["sshFrom"], ["8000::/1"], SSH_FROM],
    ["an address without a length", ["sshFrom"], ["203.0.113.7"], SSH_FROM],
    ["an address in the place of its network", ["sshFrom"], ["203.0.113.7/24"], SSH_FROM],
    ["an address of IPv6 in the place of its network", ["sshFrom"], ["2001:db8::7/64"], SSH_FROM],
    ["another text for a network of IPv6", ["sshFrom"], ["2001:DB8:0::/48"], SSH_FROM],
    ["a network of IPv4 in the dress of IPv6", ["sshFrom"], ["::ffff:203.0.113.0/120"], SSH_FROM],
    ["a length that no address has", ["sshFrom"], ["203.0.113.7/33"], SSH_FROM],
    ["the guide's placeholder", ["sshFrom"], ["[office-network]"], SSH_FROM],
    ["a network twice", ["sshFrom"], ["203.0.113.7/32", "203.0.113.7/32"], "host.ec2.sshFrom"],
    ["no image", ["imageId"], undefined, "host.ec2.imageId"],
    ["an image by its name", ["imageId"], "debian-13-amd64", "host.ec2.imageId"],
    ["an image by its alias", ["imageId"], "resolve:ssm:/aws/service/debian/13", "host.ec2.imageId"],
    ["an image that is cut short", ["imageId"], "ami-0123456789abcdef", "host.ec2.imageId"],
    ["a type without its size", ["instanceType"], "t3", "host.ec2.instanceType"],
    ["no zone", ["availabilityZone"], undefined, "host.ec2.availabilityZone"],
    ["a region in the place of a zone", ["availabilityZone"], "eu-central-1", "host.ec2.availabilityZone"],
    ["a zone of another region", ["availabilityZone"], "eu-west-1a", "host.ec2.availabilityZone"],
    ["a public network", ["networkCidr"], "203.0.113.0/24", "host.ec2.networkCidr"],
    ["a network without room", ["networkCidr"], "10.20.0.0/29", "host.ec2.networkCidr"],
    ["a network with host bits", ["networkCidr"], "10.20.0.1/24", "host.ec2.networkCidr"],
    ["a domain in the place of a zone", ["zoneId"], "example.com", "host.ec2.zoneId"],
    ["root", ["user"], "root", "host.ec2.user"],
    ["a disk without room", ["volumeGigabytes"], 7, "host.ec2.volumeGigabytes"],
  ])("may not have %s", (_, path, value, key) => {
    expect(keysOf(changed(ec2(), ["host", "ec2", ...path], value))).toEqual([`vehicleservice:${key}`]);
  });

  test.each<[string, Path, unknown, RegExp]>([
    ["an address", ["host", "address"], "203.0.113.10", /the stack gives the machine an address/],
    ["a host key", ["host", "hostKey"], hostKey, /the stack makes the machine's key/],
    [
      "a known_hosts file",
      ["host", "knownHostsFile"],
      "~/.ssh/known_hosts",
      /the stack makes the machine's key/,
    ],
    ["a user", ["host", "user"], "root", /host\.ec2\.user/],
    ["another port", ["host", "port"], 2222, /22, where/],
  ])("may not have %s of a host that is there, and is told why", (_, path, value, rule) => {
    const key = `vehicleservice:${path.join(".")}`;
    const remedy = `pulumi config rm --path ${path.join(".")}`;
    expect(faultsOf(changed(ec2(), path, value))).toEqual([
      expect.objectContaining({ key, rule: expect.stringMatching(rule), remedy }),
    ]);
  });

  test("needs all that it is made from, each by its own name", () => {
    expect(keysOf(changed(ec2(), ["host", "ec2"], undefined))).toEqual([
      "vehicleservice:host.ec2.sshFrom",
      "vehicleservice:host.ec2.imageId",
      "vehicleservice:host.ec2.availabilityZone",
    ]);
  });

  test("is not described beside one that is there", () => {
    const { ec2: described } = ec2().host;
    expect(faultsOf(changed(settings(), ["host", "ec2"], described))).toEqual([
      expect.objectContaining({
        key: "vehicleservice:host.ec2",
        rule: expect.stringContaining("host.mode existing"),
      }),
    ]);
  });

  test("has a private key whose other half can be told", () => {
    const broken = privateKey.replace(/\n.{60}/, "\nAAAA");
    const values = changed(changed(ec2(), ["host", "privateKeyFile"], undefined), ["hostPrivateKey"], broken);
    expect(keysOf(values)).toEqual(["vehicleservice:hostPrivateKey"]);
  });
});

describe("a bucket that the stack makes", () => {
  test("has the defaults, under the name and the prefix that the host backs up to", () => {
    expect(load(both()).bucket).toEqual({
      name: "example-backups",
      prefix: "database/",
      auditPrefix: "audit/",
      transitionDays: 30,
      expiryDays: 365,
      noncurrentDays: 30,
      abortUploadDays: 7,
      objectLock: null,
    });
  });

  test("may be made for a host that is there, whose keys the config keeps", () => {
    const { backups } = both();
    const keys = { backupAccessKeyId: "id", backupSecretAccessKey: "key" };
    const values = { ...settings(), "aws:region": "eu-central-1", ...keys, backups };
    expect(load(values)).toMatchObject({
      machine: { mode: "existing" },
      bucket: { name: "example-backups" },
    });
  });

  test.each<[string, Path, unknown, string]>([
    ["no name", ["bucket"], "", "backups.bucket"],
    ["the guide's placeholder for a name", ["bucket"], "[backup-bucket]", "backups.bucket"],
    ["a name with dots, of which no certificate is", ["bucket"], "backups.example.com", "backups.bucket"],
    ["no prefix", ["prefix"], "", "backups.prefix"],
    ["a prefix among the evidence", ["prefix"], "audit/database/", "backups.prefix"],
    ["another region than the stack's", ["region"], "us-east-1", "backups.region"],
    [
      "an end before the move",
      ["create"],
      { transitionDays: 90, expiryDays: 90 },
      "backups.create.expiryDays",
    ],
    ["a move that S3 does not make", ["create"], { transitionDays: 29 }, "backups.create.transitionDays"],
    [
      "a lock without days",
      ["create", "objectLock"],
      { mode: "governance" },
      "backups.create.objectLock.days",
    ],
    [
      "a lock of another kind",
      ["create", "objectLock"],
      { mode: "legal", days: 1 },
      "backups.create.objectLock.mode",
    ],
  ])("may not have %s", (_, path, value, key) => {
    expect(keysOf(changed(both(), ["backups", ...path], value))).toEqual([`vehicleservice:${key}`]);
  });

  test("has to be locked in production, and is told how", () => {
    const values = { ...both(), environment: "production", permissionsBoundary: BOUNDARY };
    expect(faultsOf(values)).toEqual([
      expect.objectContaining({
        key: "vehicleservice:backups.create.objectLock",
        rule: expect.stringContaining("environment is production"),
        remedy: expect.stringContaining("objectLock: { mode: governance, days: 30 }"),
      }),
      expect.objectContaining({ key: "vehicleservice:databaseUrl" }),
    ]);
    const locked = changed(both(), ["backups", "create", "objectLock"], { mode: "compliance", days: "90" });
    expect(load(locked).bucket?.objectLock).toEqual({ mode: "compliance", days: 90 });
  });

  describe("without a database in production", () => {
    const production = { ...both(), environment: "production", permissionsBoundary: BOUNDARY };
    const values = changed(production, ["backups", "create", "objectLock"], {
      ...{ mode: "compliance", days: "90" },
    });

    test("is refused: code would go out without backup, rehearsal or migrations", () => {
      expect(faultsOf(values)).toEqual([
        {
          key: "vehicleservice:databaseUrl",
          value: "(not set)",
          rule: expect.stringMatching(
            /environment is production.*without a backup, a rehearsal or migrations/,
          ),
          remedy:
            "pulumi config set --secret databaseUrl < url-file; for a site without a database: " +
            "pulumi config rm --path backups.create",
        },
      ]);
      // What it has to be, and what stands beside it, is another rule's.
      const url = "postgres://owner:x@db.example.com:5432/postgres";
      expect(keysOf({ ...values, databaseUrl: url })).not.toContain("vehicleservice:databaseUrl");
    });

    test("is not where a site has none on purpose, elsewhere, or as long as nothing is shipped", () => {
      expect(faultsOf(changed(values, ["backups", "create"], undefined))).toEqual([]);
      expect(faultsOf({ ...values, environment: "staging" })).toEqual([]);
      const none = { stable: "blue", canaryWeight: "0", blueVersion: "", greenVersion: "" };
      expect(keysOf({ ...values, ...none })).not.toContain("vehicleservice:databaseUrl");
    });
  });
});

describe("the boundary of its roles", () => {
  const slack = { teamId: "T01234567", channelId: "C01234567", region: "us-east-2" };
  const watched = {
    enabled: true,
    ...{ region: "eu-central-1", page: { slack }, warn: { emails: ["team@example.com"] } },
  };

  test("is given to machine and bots", () => {
    const { machine, monitoring } = load({ ...ec2(), monitoring: watched, permissionsBoundary: BOUNDARY });
    expect([machine, monitoring]).toEqual(
      Array(2).fill(expect.objectContaining({ permissionsBoundary: BOUNDARY })),
    );
  });

  test.each<[string, Record<string, unknown>]>([
    ["a machine", ec2()],
    ["a bot", { ...settings(), monitoring: watched }],
  ])("has to be there in production for %s, and is told how it comes about", (_, values) => {
    expect(faultsOf({ ...values, environment: "production" })).toEqual([
      {
        key: "vehicleservice:permissionsBoundary",
        value: "(not set)",
        rule: expect.stringMatching(/policy vehicleservice-boundary, .*`bin\/bootstrap-state` makes it/),
        remedy: `pulumi config set permissionsBoundary ${BOUNDARY}`,
      },
    ]);
    expect(faultsOf({ ...values, environment: "production", permissionsBoundary: BOUNDARY })).toEqual([]);
    expect(faultsOf({ ...values, environment: "staging" })).toEqual([]);
  });

  test("is nobody's concern where no role is made", () => {
    expect(faultsOf({ ...settings(), environment: "production" })).toEqual([]);
  });

  test.each([
    "vehicleservice-boundary",
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "[permissions-boundary]",
  ])("is not %s", (permissionsBoundary) => {
    expect(keysOf({ ...ec2(), permissionsBoundary })).toEqual(["vehicleservice:permissionsBoundary"]);
  });
});

describe("the region of all that", () => {
  const fault = (value: string, region: string) => ({
    key: "aws:region",
    value,
    rule: expect.stringContaining("region"),
    remedy: `pulumi config set aws:region ${region}`,
  });

  test.each<[unknown, string]>([
    [undefined, "(not set)"],
    ["frankfurt", '"frankfurt"'],
    ["eu-central-1a", '"eu-central-1a"'],
  ])("is not %s", (region, shownAs) => {
    expect(faultsOf({ ...both(), "aws:region": region })).toEqual([fault(shownAs, "eu-central-1")]);
  });

  test("is nobody's concern where nothing is made", () => {
    expect(faultsOf({ ...settings(), "aws:region": undefined })).toEqual([]);
  });

  test("is named where zone and bucket are elsewhere, each of them", () => {
    expect(keysOf({ ...both(), "aws:region": "us-west-2" })).toEqual([
      "vehicleservice:host.ec2.availabilityZone",
      "vehicleservice:backups.region",
    ]);
  });
});

test("all that is wrong is named together", () => {
  const values = {
    ...both(),
    "aws:region": "eu-west-1",
    environment: "production",
    host: {
      ...{ mode: "ec2", address: "203.0.113.10", hostKey, privateKeyFile: "keys/none" },
      ec2: { sshFrom: ["0.0.0.0/0"], imageId: "latest", availabilityZone: "eu-central-1a" },
    },
    backups: { ...both().backups, bucket: "[backup-bucket]", prefix: "" },
  };
  expect(keysOf(values).sort()).toEqual(
    [
      ...["host.address", "host.hostKey", "host.privateKeyFile", "host.ec2.sshFrom[0]", "host.ec2.imageId"],
      ...["host.ec2.availabilityZone", "backups.bucket", "backups.prefix", "backups.region"],
      ...["backups.create.objectLock", "databaseUrl", "permissionsBoundary"],
    ]
      .map((key) => `vehicleservice:${key}`)
      .sort(),
  );
});
