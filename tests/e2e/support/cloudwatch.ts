import * as fs from "node:fs";
import { Agent } from "node:https";
import * as path from "node:path";
import { CloudWatchClient, GetMetricStatisticsCommand } from "@aws-sdk/client-cloudwatch";
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import type { MonitoringSettings } from "../../../host/monitoring/protocol";
import {
  AWS_REGION,
  AwsEmulator,
  EMULATOR_OWNER,
  installAws,
  type AwsKeys,
} from "../../../sandbox/aws/emulator";
import { worldNamed } from "../../../sandbox/world";

/** Where the tests publish to. */
export const NAMESPACE = "Garage";
export const STACK = "garage-test";

/** What a host may do, and no more. */
const HOST_ACTIONS = ["cloudwatch:PutMetricData", "logs:CreateLogStream", "logs:PutLogEvents"];

/** A value as CloudWatch has it. */
export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly sum: number;
  /** How many values were published for that time. */
  readonly count: number;
}

/** CloudWatch and its logs for the tests of one file: an emulator that checks signatures and policies, over TLS. */
export class TestCloudWatch {
  private readonly metrics: CloudWatchClient;
  private readonly logs: CloudWatchLogsClient;

  private constructor(
    readonly server: AwsEmulator,
    /** Keys of a host. */
    readonly keys: AwsKeys,
  ) {
    const config = ownerOf(server);
    this.metrics = new CloudWatchClient(config);
    this.logs = new CloudWatchLogsClient(config);
  }

  /** @param directory Made, and removed by {@link TestCloudWatch.remove}. */
  static async start(directory: string, address = "127.0.0.1"): Promise<TestCloudWatch> {
    const software = await installAws();
    const server = await AwsEmulator.start({
      world: worldNamed(),
      software,
      directory: path.join(directory, "cloudwatch"),
      address,
      // A database that is made beside it ends what is left of an S3 at its address.
      service: "cloudwatch",
    });
    const iam = new IAMClient(ownerOf(server));
    const UserName = "host";
    await iam.send(new CreateUserCommand({ UserName }));
    const PolicyDocument = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: HOST_ACTIONS, Resource: "*" }],
    });
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "monitoring", PolicyDocument }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    return new TestCloudWatch(server, {
      accessKeyId: AccessKey?.AccessKeyId ?? "",
      secretAccessKey: AccessKey?.SecretAccessKey ?? "",
    });
  }

  async remove(): Promise<void> {
    this.metrics.destroy();
    this.logs.destroy();
    await this.server.remove();
  }

  /** Settings of a host that publishes here. */
  settings(change: Partial<MonitoringSettings> = {}): MonitoringSettings {
    return {
      namespace: NAMESPACE,
      stack: STACK,
      intervalSeconds: 2,
      region: AWS_REGION,
      endpoint: this.server.url,
      authority: fs.readFileSync(this.server.authorityFile, "utf8"),
      credentials: this.keys,
      business: {},
      logGroups: {},
      ...change,
    };
  }

  /** What was published of a metric, in the order of its times. */
  async points(name: string, colour?: string): Promise<Point[]> {
    const now = Date.now();
    const { Datapoints } = await this.metrics.send(
      new GetMetricStatisticsCommand({
        Namespace: NAMESPACE,
        MetricName: name,
        Dimensions: [
          { Name: "Stack", Value: STACK },
          ...(colour === undefined ? [] : [{ Name: "Colour", Value: colour }]),
        ],
        StartTime: new Date(now - 3 * 3600 * 1000),
        EndTime: new Date(now + 3600 * 1000),
        Period: 1,
        Statistics: ["Sum", "SampleCount"],
      }),
    );
    return (Datapoints ?? [])
      .map(({ Timestamp, Sum = NaN, SampleCount = NaN }) => ({
        at: Timestamp?.getTime() ?? NaN,
        sum: Sum,
        count: SampleCount,
      }))
      .sort((one, other) => one.at - other.at);
  }

  /** Sum of all that was published of a metric. */
  async sum(name: string, colour?: string): Promise<number> {
    return (await this.points(name, colour)).reduce((total, { sum }) => total + sum, 0);
  }

  /** Makes log groups. */
  async makeGroups(...groups: string[]): Promise<void> {
    for (const logGroupName of groups) await this.logs.send(new CreateLogGroupCommand({ logGroupName }));
  }

  /** Every line of a group, of all streams whose names end in `stream`. */
  async lines(logGroupName: string, stream = ""): Promise<string[]> {
    const { logStreams } = await this.logs.send(new DescribeLogStreamsCommand({ logGroupName }));
    const found: string[] = [];
    for (const { logStreamName = "" } of logStreams ?? []) {
      if (!logStreamName.endsWith(stream)) continue;
      let nextToken: string | undefined;
      for (;;) {
        const answer = await this.logs.send(
          new GetLogEventsCommand({
            logGroupName,
            logStreamName,
            startFromHead: true,
            ...(nextToken === undefined ? {} : { nextToken }),
          }),
        );
        found.push(...(answer.events ?? []).map(({ message = "" }) => message));
        if (answer.nextForwardToken === nextToken || answer.events?.length === 0) break;
        nextToken = answer.nextForwardToken;
      }
    }
    return found;
  }
}

function ownerOf(server: AwsEmulator): {
  region: string;
  endpoint: string;
  credentials: AwsKeys;
  requestHandler: { httpsAgent: Agent };
} {
  const ca = fs.readFileSync(server.authorityFile);
  return {
    region: AWS_REGION,
    endpoint: server.url,
    credentials: EMULATOR_OWNER,
    requestHandler: { httpsAgent: new Agent({ ca, keepAlive: true }) },
  };
}
