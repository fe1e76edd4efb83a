import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { RESOURCE_TYPES } from "../../sandbox/aws/types/table";
import { repositoryRoot } from "../../sandbox/repository";
import { madeUpPrivateKey, withOperatorValues, ZONE_ID } from "../../scripts/plan/made-up";
import { installCfnLint, lintResources, type Made } from "../support/cfn-lint";
import { type Inputs, MAPPED_TYPES, templateResource } from "../support/cloudformation";
import { plain } from "../unit/support/registrations";
import type * as registrationsModule from "../unit/support/registrations";

/*
 * Every resource of AWS that the program makes with the config of production, held against the schemas of AWS' own types: what
 * TypeScript takes as a text and AWS would refuse (an enum, a CIDR, a period, an instance type) fails here.
 */

jest.setTimeout(300_000);

const REGION = "eu-central-1";

/** Groups that make nothing in AWS, and want secrets of other makers. */
const ELSEWHERE = ["environment", "supabase", "variables", "variableRules", "stripe"];

let directory: string;
let lint: string;
let resources: readonly Made[];

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "cloud-schemas-"));
  lint = await installCfnLint();
  resources = await resourcesOf(productionConfig());
});
afterAll(() => fs.rmSync(directory, { recursive: true }));

/** The config of production, as the CLI hands it over, with a zone and the operator's values. */
function productionConfig(): Record<string, string> {
  const file = fs.readFileSync(path.join(repositoryRoot(), "Pulumi.production.yaml"), "utf8");
  const { config } = parse(withOperatorValues(file)) as { config: Record<string, unknown> };
  const wanted = Object.entries(config).filter(
    ([key]) => !ELSEWHERE.includes(key.replace(/^vehicleservice:/, "")),
  );
  const texts = wanted.map(([key, value]) => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const result = Object.fromEntries(texts) as Record<string, string>;
  const host = JSON.parse(result["vehicleservice:host"] ?? "{}") as { ec2: object };
  const ec2 = { ...host.ec2, zoneId: ZONE_ID };
  result["vehicleservice:host"] = JSON.stringify({ ...host, ec2 });
  result["vehicleservice:variableRules"] = "none";
  result["vehicleservice:hostPrivateKey"] = madeUpPrivateKey();
  return result;
}

/** Ids as AWS gives them: a schema says how those look, too. */
const IDS: Readonly<Record<string, string>> = {
  "aws:ec2/vpc:Vpc": "vpc-0123456789abcdef0",
  "aws:ec2/subnet:Subnet": "subnet-0123456789abcdef0",
  "aws:ec2/internetGateway:InternetGateway": "igw-0123456789abcdef0",
  "aws:ec2/routeTable:RouteTable": "rtb-0123456789abcdef0",
  "aws:ec2/securityGroup:SecurityGroup": "sg-0123456789abcdef0",
  "aws:ec2/instance:Instance": "i-0123456789abcdef0",
  "aws:ec2/eip:Eip": "eipalloc-0123456789abcdef0",
  "aws:kms/key:Key": "01234567-89ab-cdef-0123-456789abcdef",
};

function made(type: string, name: string, inputs: Inputs) {
  const arn = `arn:aws:sns:${REGION}:123456789012:${name}`;
  if (type === "aws:sns/topic:Topic") return { id: arn, outputs: { arn } };
  const keyId = IDS["aws:kms/key:Key"];
  if (type === "aws:kms/key:Key")
    return { id: keyId, outputs: { keyId, arn: `arn:aws:kms:${REGION}:123456789012:key/${String(keyId)}` } };
  if (type === "aws:s3/bucket:Bucket") return { id: String(inputs["bucket"]) };
  return { id: IDS[type] };
}

/** What the whole program registers of AWS, without an engine. */
async function resourcesOf(config: Record<string, string>): Promise<readonly Made[]> {
  jest.resetModules();
  const software = path.join(directory, "host.tar");
  fs.writeFileSync(software, "an archive");
  jest.doMock("../../components/host", () => {
    const { Host } = jest.requireActual<typeof import("../../components/host")>("../../components/host");
    return {
      Host: class extends Host {
        constructor(...[name, args, opts]: ConstructorParameters<typeof Host>) {
          super(name, { ...args, software }, opts);
        }
      },
    };
  });
  const { runtime } = jest.requireActual<typeof pulumi>("@pulumi/pulumi");
  const { registrationsOf } = jest.requireActual<typeof registrationsModule>("../unit/support/registrations");
  runtime.setAllConfig(config, ["vehicleservice:hostPrivateKey"]);
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the program runs when it is loaded
  const { registrations } = await registrationsOf(() => require("../../index") as object, { made });
  return registrations
    .filter(({ type }) => type.startsWith("aws:"))
    .map(({ type, name, inputs }) => ({ type, name, inputs: unwrapped(inputs) }));
}

function unwrapped(inputs: Inputs): Inputs {
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, plain(value)]));
}

/** One of the program's resources, with inputs changed. */
function withInput(type: string, name: string, change: (inputs: Inputs) => Inputs): Made {
  const found = resources.find((one) => one.type.endsWith(`:${type}`) && one.name === name);
  if (found === undefined) throw new Error(`the program makes no ${type} ${name}`);
  return { ...found, inputs: { ...found.inputs, ...change(found.inputs) } };
}

test("the program with the config of production makes nothing that AWS' schemas refuse", async () => {
  const kinds = new Set(resources.map(({ type }) => type.split(":").at(-1)));
  const cloud = ["Instance", "SecurityGroupIngressRule", "BucketLifecycleConfiguration", "Record"];
  const watch = [
    "MetricAlarm",
    "Dashboard",
    "LogGroup",
    "RolePolicy",
    "Topic",
    "TopicPolicy",
    "TopicSubscription",
    "Key",
  ];
  for (const kind of [...cloud, ...watch]) {
    expect([...kinds]).toContain(kind);
  }
  expect(await lintResources(lint, resources, REGION)).toEqual([]);
});

/** What is wrong; how a resource looks then; what is said. */
const BROKEN: readonly (readonly [string, () => Made, RegExp])[] = [
  [
    "an instance type that there is not",
    () => withInput("Instance", "machine-instance", () => ({ instanceType: "t99.huge" })),
    /^machine-instance .*InstanceType: 't99\.huge'/,
  ],
  [
    "an enum's value",
    () =>
      withInput("BucketLifecycleConfiguration", "backups-ages", ({ rules }) => ({
        rules: (rules as Inputs[]).slice(0, 1).map((rule) => ({ ...rule, status: "Enbled" })),
      })),
    /^backups-ages .*Status: 'Enbled'/,
  ],
  [
    "a CIDR",
    () =>
      withInput("SecurityGroupIngressRule", "machine-ssh-203.0.113.7/32", () => ({
        cidrIpv4: "203.0.113.7/33",
      })),
    /^machine-ssh-203.* CidrIp: '203\.0\.113\.7\/33'/,
  ],
  [
    "a period",
    () => ({
      type: "aws:cloudwatch/metricAlarm:MetricAlarm",
      name: "broken",
      inputs: {
        ...{ comparisonOperator: "GreaterThanThreshold", evaluationPeriods: 1, threshold: 1 },
        ...{ namespace: "site", metricName: "errors", statistic: "Sum", period: 45 },
      },
    }),
    /^broken .*Period: 45/,
  ],
  [
    "a lock's mode",
    () =>
      withInput("BucketObjectLockConfiguration", "backups-lock", () => ({
        rule: { defaultRetention: { mode: "governance", days: 30 } },
      })),
    /^backups-lock .*Mode: 'governance'/,
  ],
];

test(`what AWS would refuse is found, and nothing else: ${BROKEN.map(([what]) => what).join("; ")}`, async () => {
  const broken = BROKEN.map(([, resource]) => resource());
  const found = await lintResources(lint, broken, REGION);
  for (const [, , message] of BROKEN) expect(found).toContainEqual(expect.stringMatching(message));
  expect(found).toHaveLength(BROKEN.length);
});

test("a type or an input without a counterpart is an error, and not left out", () => {
  expect(() => templateResource("aws:lambda/function:Function", {})).toThrow(
    "aws:lambda/function:Function has no counterpart",
  );
  expect(() => templateResource("aws:ec2/vpc:Vpc", { ipv4IpamPoolId: "x" })).toThrow(
    "the input ipv4IpamPoolId has no",
  );
});

test("every type that the sandbox stands in for has a counterpart", () => {
  expect([...RESOURCE_TYPES.keys()].filter((type) => !MAPPED_TYPES.includes(type))).toEqual([]);
});
