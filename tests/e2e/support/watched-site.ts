import * as fs from "node:fs";
import { Agent } from "node:https";

import {
  CloudWatchClient,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  type MetricAlarm,
} from "@aws-sdk/client-cloudwatch";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";

import type { Severity } from "../../../components/alarm-definition";
import { publisherPolicy } from "../../../components/monitoring-policies";
import { LOG_STREAMS } from "../../../host/monitoring/protocol";
import { AWS_REGION, EMULATOR_OWNER, type AwsKeys } from "../../../sandbox/aws/emulator";
import type { CloudSite } from "../../../sandbox/cloud-site";
import { waitFor } from "../../../sandbox/processes";
import { STACK } from "../../../sandbox/project";

/** What the names of the site's alarms and topics begin with. */
const PREFIX = `vehicleservice-${STACK}-`;

/** Longest wait for an alarm to come to a state, in seconds. */
const WAIT_SECONDS = 180;

/** What this machine is busy with besides has them go off: they are none of the site's. */
const OF_MACHINE = /-(cpu|memory|disk)$/;

/** The alarms of a site with a cloud, and what somebody on call was told of them. */
export class WatchedSite {
  private readonly cloudwatch: CloudWatchClient;

  constructor(private readonly site: CloudSite) {
    this.cloudwatch = new CloudWatchClient(this.client);
  }

  close(): void {
    this.cloudwatch.destroy();
  }

  /** Makes a user who may publish as the host's role may, and nothing else; resolves with the user's keys. */
  async makePublisher(): Promise<AwsKeys> {
    const iam = new IAMClient(this.client);
    const UserName = "publisher";
    const groups = LOG_STREAMS.map(
      (stream) => `arn:aws:logs:${AWS_REGION}:000000000000:log-group:/vehicleservice/${STACK}/${stream}`,
    );
    const PolicyDocument = JSON.stringify(publisherPolicy("vehicleservice", groups));
    await iam.send(new CreateUserCommand({ UserName }));
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "publish", PolicyDocument }));
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    iam.destroy();
    return { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
  }

  async alarms(): Promise<MetricAlarm[]> {
    const { MetricAlarms = [] } = await this.cloudwatch.send(
      new DescribeAlarmsCommand({ AlarmNamePrefix: PREFIX }),
    );
    return MetricAlarms;
  }

  /** Every change of an alarm's state since it was made, of those alarms that this machine has no part in. */
  async changes(): Promise<string[]> {
    const { AlarmHistoryItems = [] } = await this.cloudwatch.send(
      new DescribeAlarmHistoryCommand({ HistoryItemType: "StateUpdate", MaxRecords: 100 }),
    );
    return AlarmHistoryItems.filter(({ AlarmName = "" }) => !OF_MACHINE.test(AlarmName)).map(
      ({ AlarmName = "", HistorySummary = "" }) => `${AlarmName}: ${HistorySummary}`,
    );
  }

  /** Waits until alarms have seen enough to know that all is well. */
  async well(names: RegExp, count: number): Promise<void> {
    await waitFor("a well site", WAIT_SECONDS, async () => {
      const watching = (await this.alarms()).filter(({ AlarmName = "" }) => names.test(AlarmName));
      return watching.length === count && watching.every(({ StateValue }) => StateValue === "OK")
        ? true
        : undefined;
    });
  }

  /** What somebody was told of an alarm, in order: by which topic, and to which state it came. */
  told(alarm: string): string[] {
    return this.site.subscriber
      .told()
      .filter((message) => message.alarm === `${PREFIX}${alarm}`)
      .map(({ topic, state }) => `${topic.replace(PREFIX, "")}: ${state}`);
  }

  /**
   * Waits until somebody was told anew that an alarm has come to a state. A busy machine may be ill for a period by itself,
   * so that more is told than what a test brings about; but each change is told once, so no state comes twice in a row.
   */
  async hears(alarm: string, state: string, since: number, severity: Severity = "page"): Promise<void> {
    const wanted = `${severity}: ${state}`;
    await waitFor(`${alarm} to tell ${wanted}`, WAIT_SECONDS, () => {
      const heard = this.told(alarm);
      return heard.length > since && heard.at(-1) === wanted ? true : undefined;
    });
    const heard = this.told(alarm);
    expect(heard).toEqual(heard.filter((message, index) => message !== heard[index - 1]));
  }

  /** Waits until nobody was told that an alarm is ill who was not told that it is well again. Returns how often it was told. */
  quiet(alarm: string): Promise<number> {
    return waitFor(`${alarm} to be well`, WAIT_SECONDS, () => {
      const heard = this.told(alarm);
      return heard.at(-1) === "page: ALARM" ? undefined : heard.length;
    });
  }

  /** How a client of the SDK's asks as the account's owner. */
  private get client() {
    const { url, authorityFile } = this.site.cloud.emulator;
    return {
      region: AWS_REGION,
      endpoint: url,
      credentials: EMULATOR_OWNER,
      requestHandler: { httpsAgent: new Agent({ ca: fs.readFileSync(authorityFile) }) },
    };
  }
}
