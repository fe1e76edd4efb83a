import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  ownerIn,
  publisherPolicy,
  slackGuardrail,
  topicKeyPolicy,
  topicPolicy,
} from "../../../components/monitoring-policies";
import { repositoryRoot } from "../../../sandbox/repository";

/* Who may do what: no right that nobody uses, and every one that somebody does. */

const GROUP = "arn:aws:logs:eu-central-1:123456789012:log-group:/garage/live/access";
const TOPIC = "arn:aws:sns:eu-central-1:123456789012:garage-live-page";
const OWNER = { partition: "aws", region: "eu-central-1", account: "123456789012" };

/** What AWS calls the services in policies, by the name of their SDK. */
const SERVICES: Readonly<Record<string, string>> = { cloudwatch: "cloudwatch", "cloudwatch-logs": "logs" };

/** The calls that the publisher makes of AWS' APIs, as policies name them. */
function callsOfPublisher(): string[] {
  const root = join(repositoryRoot(), "host", "monitoring");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const clients = [...text.matchAll(/@aws-sdk\/client-([\w-]+)/g)].map(([, name = ""]) => name);
    const calls = [...text.matchAll(/new (\w+)Command\(/g)].map(([, name = ""]) => name);
    const [client] = new Set(clients);
    if (calls.length > 0) expect([file, new Set(clients).size]).toEqual([file, 1]);
    return [...new Set(calls)].map((call) => `${SERVICES[client ?? ""] ?? "unknown"}:${call}`);
  });
}

interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: object;
}

const statementsOf = ({ Statement }: { Statement: readonly object[] }) => Statement as readonly Statement[];

it("lets the host do exactly what its code calls", () => {
  const allowed = statementsOf(publisherPolicy("Garage", [GROUP])).flatMap(({ Action }) => Action);
  expect(callsOfPublisher().length).toBeGreaterThan(2);
  expect([...allowed].sort()).toEqual([...new Set(callsOfPublisher())].sort());
});

it("lets it publish into its own namespace and its own groups alone", () => {
  const [metrics, logs] = statementsOf(publisherPolicy("Garage", [GROUP]));
  expect(metrics).toMatchObject({
    Action: "cloudwatch:PutMetricData",
    Condition: { StringEquals: { "cloudwatch:namespace": "Garage" } },
  });
  expect(logs?.Resource).toEqual([GROUP, `${GROUP}:*`]);
});

it("lets alarms of the account publish to a topic, and denies it to everybody without TLS", () => {
  expect(topicPolicy(TOPIC, OWNER).Statement).toEqual([
    {
      Sid: "Alarms",
      Effect: "Allow",
      Principal: { Service: "cloudwatch.amazonaws.com" },
      Action: "sns:Publish",
      Resource: TOPIC,
      Condition: {
        StringEquals: { "aws:SourceAccount": "123456789012" },
        ArnLike: { "aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:*" },
      },
    },
    {
      Sid: "TlsOnly",
      Effect: "Deny",
      Principal: "*",
      Action: "sns:Publish",
      Resource: TOPIC,
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  ]);
});

it("lets CloudWatch use the topics' key, without which no alarm is delivered, and the account keep it", () => {
  expect(topicKeyPolicy({ ...OWNER, partition: "aws-cn" }).Statement).toEqual([
    expect.objectContaining({ Principal: { AWS: "arn:aws-cn:iam::123456789012:root" }, Action: "kms:*" }),
    expect.objectContaining({
      Principal: { Service: "cloudwatch.amazonaws.com" },
      Action: ["kms:Decrypt", "kms:GenerateDataKey*"],
      Condition: { StringEquals: { "aws:SourceAccount": "123456789012" } },
    }),
  ]);
});

it("reads the owner off an ARN, and refuses what is none", () => {
  expect(ownerIn(GROUP)).toEqual(OWNER);
  expect(slackGuardrail(OWNER)).toBe("arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess");
  for (const text of ["", "garage", "arn:aws:s3:::bucket"]) expect(() => ownerIn(text)).toThrow("is no ARN");
});
