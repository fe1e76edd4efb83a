import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeVpcsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { AWS_REGION, type AwsKeys } from "../../sandbox/aws/emulator";
import { run } from "../../sandbox/command";
import { repositoryRoot } from "../../sandbox/repository";
import { describeLease } from "../../scripts/ci/ssh-access";
import { type Policy, readResourcesPolicy, sshPolicy } from "../../scripts/state/policies";
import { TestAws } from "./support/aws";

/*
 * `bin/ci open-ssh`, `close-ssh` and `sweep-ssh`, as the pipelines' steps call them, at AWS' emulator: by the rights that the preview's role
 * has, and no more.
 */

jest.setTimeout(120_000);

let aws: TestAws;
let ec2: EC2Client;
/** Keys of somebody with the role's policies. */
let pipeline: AwsKeys;
let tellsAddress: Server;
/** What the caller's address is said to be. */
let answer: { status: number; text: string };
let group: string;
let count = 0;

beforeAll(async () => {
  aws = await TestAws.start();
  ec2 = new EC2Client(aws.client());
  pipeline = await keysWith({
    resources: readResourcesPolicy(),
    ssh: sshPolicy(NAMES, ["staging", "production"]),
  });
  tellsAddress = createServer((_request, response) => {
    response.writeHead(answer.status).end(`${answer.text}\n`);
  });
  await once(tellsAddress.listen(0, "127.0.0.1"), "listening");
}, 300_000);

afterAll(async () => {
  ec2.destroy();
  tellsAddress.close();
  await aws.remove();
});

const NAMES = {
  ...{ partition: "aws", account: "000000000000", region: AWS_REGION, name: "vehicleservice" },
  ...{ bucket: "state", keyArn: "arn:aws:kms:us-east-1:000000000000:key/state" },
};

/** Makes a user who may do what policies say. */
async function keysWith(policies: Readonly<Record<string, Policy>>): Promise<AwsKeys> {
  const iam = new IAMClient(aws.client());
  const UserName = "pipeline";
  await iam.send(new CreateUserCommand({ UserName }));
  for (const [PolicyName, document] of Object.entries(policies)) {
    const PolicyDocument = JSON.stringify(document);
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));
  }
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  iam.destroy();
  return { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
}

/** A group as a stack makes it, shown by this name. */
async function newGroup(shownAs: string): Promise<string> {
  const { Vpcs } = await ec2.send(new DescribeVpcsCommand({}));
  const created = await ec2.send(
    new CreateSecurityGroupCommand({
      GroupName: `group-${String((count += 1))}`,
      Description: "of a host",
      VpcId: Vpcs![0]!.VpcId,
      TagSpecifications: [{ ResourceType: "security-group", Tags: [{ Key: "Name", Value: shownAs }] }],
    }),
  );
  return created.GroupId!;
}

beforeEach(async () => {
  answer = { status: 200, text: "203.0.113.7" };
  group = await newGroup("vehicleservice-production");
});

/** Runs a step of a run, and returns what its log says. */
async function step(runId: string, words: readonly string[], change: NodeJS.ProcessEnv = {}) {
  const { port } = tellsAddress.address() as AddressInfo;
  const env = {
    ...{ PATH: process.env["PATH"], HOME: process.env["HOME"] },
    ...aws.environment(pipeline),
    ...{ GITHUB_RUN_ID: runId, GITHUB_RUN_ATTEMPT: "1", SSH_SECURITY_GROUP_ID: group },
    ...{ ADDRESS_URL: `http://127.0.0.1:${String(port)}/` },
    ...change,
  };
  return run([path.join(repositoryRoot(), "bin", "ci"), ...words], { env, check: false });
}

async function passes(runId: string, ...words: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await step(runId, words);
  expect({ exitCode, stderr: exitCode === 0 ? "" : stdout + stderr }).toEqual({ exitCode: 0, stderr: "" });
  return stdout;
}

const open = (runId: string) => passes(runId, "open-ssh", "--minutes", "30");
const close = (runId: string) => passes(runId, "close-ssh");

/** Who is let in to which ports, and what for. */
async function rules() {
  const filter = { Filters: [{ Name: "group-id", Values: [group] }] };
  const { SecurityGroupRules } = await ec2.send(new DescribeSecurityGroupRulesCommand(filter));
  return SecurityGroupRules!
    .filter(({ IsEgress }) => !IsEgress)
    .map(({ FromPort, ToPort, CidrIpv4, Description }) => ({
      ports: [FromPort, ToPort],
      CidrIpv4,
      Description,
    }));
}

async function letIn(cidr: string, description: string, port = 22): Promise<void> {
  const range = { CidrIp: cidr, Description: description };
  await ec2.send(
    new AuthorizeSecurityGroupIngressCommand({
      GroupId: group,
      IpPermissions: [{ IpProtocol: "tcp", FromPort: port, ToPort: port, IpRanges: [range] }],
    }),
  );
}

test("SSH is open for the run's own address alone, and closed after it", async () => {
  expect(await open("71")).toContain("open: ");
  expect(await rules()).toEqual([
    {
      ports: [22, 22],
      CidrIpv4: "203.0.113.7/32",
      Description: expect.stringMatching(/^ci 71-1 until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    },
  ]);
  expect(await close("71")).toContain("closed: ");
  expect(await rules()).toEqual([]);
  expect(await close("71")).toBe("");
});

test("two runs behind one address: the first one to end does not lock the other one out", async () => {
  await open("81");
  await open("82");
  expect(await rules()).toEqual([
    expect.objectContaining({ Description: expect.stringMatching(/^ci 81-1,82-1 until /) }),
  ]);
  await close("81");
  expect(await rules()).toEqual([
    expect.objectContaining({ Description: expect.stringMatching(/^ci 82-1 until /) }),
  ]);
  await close("82");
  expect(await rules()).toEqual([]);
});

test("what a run left behind that died is swept by the next one, and by hand; nothing else is touched", async () => {
  const past = describeLease({ runs: ["1-1"], until: "2020-01-01T00:00:00Z" });
  const kept = [
    ["198.51.100.0/24", "the office"],
    ["198.51.100.9/32", "ci of somebody else, until 2020-01-01T00:00:00Z"],
    ["198.51.100.10/32", describeLease({ runs: ["2-1"], until: "2999-01-01T00:00:00Z" })],
  ] as const;
  for (const [cidr, description] of kept) await letIn(cidr, description);
  await letIn("198.51.100.11/32", past);
  await letIn("198.51.100.11/32", past, 443);
  await open("91");
  const left = (await rules()).map(({ CidrIpv4, ports }) => `${CidrIpv4!} ${String(ports[0])}`).sort();
  expect(left).toEqual([
    "198.51.100.0/24 22",
    "198.51.100.10/32 22",
    "198.51.100.11/32 443",
    "198.51.100.9/32 22",
    "203.0.113.7/32 22",
  ]);
  await letIn("198.51.100.12/32", past);
  expect(await passes("92", "sweep-ssh")).toContain("swept: 198.51.100.12/32");
  expect(await rules()).toHaveLength(5);
});

test("a rule of somebody's own that lets the address in is left as it is", async () => {
  await letIn("203.0.113.7/32", "the office");
  expect(await open("61")).toContain("not of a run");
  await close("61");
  expect(await rules()).toEqual([expect.objectContaining({ Description: "the office" })]);
});

test("a group of another name is not the pipelines' to change: nothing is opened, and what is open stays", async () => {
  group = await newGroup("vehicleservice-other");
  await letIn("198.51.100.13/32", describeLease({ runs: ["1-1"], until: "2020-01-01T00:00:00Z" }));
  for (const words of [["open-ssh", "--minutes", "30"], ["sweep-ssh"]]) {
    const { stdout, exitCode } = await step("31", words);
    expect([exitCode, stdout]).toEqual([1, expect.stringMatching(/EC2 refused it: .*not authorized/i)]);
  }
  expect(await rules()).toHaveLength(1);
});

test("a host without a security group has nothing to open", async () => {
  const { stdout, exitCode } = await step("51", ["open-ssh", "--minutes", "30"], {
    SSH_SECURITY_GROUP_ID: "",
  });
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining("nothing is opened")]);
});

test.each([
  [
    "an answer that is no address",
    { status: 200, text: "<html>" },
    {},
    /does not tell this machine's IPv4 address/,
  ],
  ["an answer that is a fault", { status: 503, text: "203.0.113.7" }, {}, /answer 503/],
  [
    "a group that is not there",
    { status: 200, text: "203.0.113.7" },
    { SSH_SECURITY_GROUP_ID: "sg-0" },
    /sg-0/,
  ],
])("%s fails the step, and opens nothing", async (_what, told, change, message) => {
  answer = told;
  const { stdout, exitCode } = await step("41", ["open-ssh", "--minutes", "30"], change);
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(message);
  expect(stdout).not.toContain("    at ");
  expect(await rules()).toEqual([]);
});
