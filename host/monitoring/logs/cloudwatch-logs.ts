import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { clientConfig } from "../api-client";
import type { MonitoringSettings } from "../protocol";
import type { LogEvent } from "./events";

/** The API that takes logs. Rejections are what it, or the network, answered. */
export interface LogsApi {
  /** Makes a stream in a group, unless it is there. */
  makeStream(group: string, stream: string): Promise<void>;
  /**
   * Takes events in, in order.
   * @returns how many it took in no case, for their times are out of its range
   */
  put(group: string, stream: string, events: readonly LogEvent<unknown>[]): Promise<number>;
}

/** The API, by its SDK, which is loaded by the first use: a host that ships no logs needs none of it in memory. */
export function cloudWatchLogs(settings: MonitoringSettings): LogsApi {
  let client: CloudWatchLogsClient | null = null;
  const sdk = async (): Promise<typeof import("@aws-sdk/client-cloudwatch-logs")> =>
    import("@aws-sdk/client-cloudwatch-logs");
  return {
    async makeStream(group, stream) {
      const { CloudWatchLogsClient, CreateLogStreamCommand } = await sdk();
      client ??= new CloudWatchLogsClient(clientConfig(settings));
      try {
        await client.send(new CreateLogStreamCommand({ logGroupName: group, logStreamName: stream }));
      } catch (error) {
        if ((error as Error).name !== "ResourceAlreadyExistsException") throw error;
      }
    },
    async put(group, stream, events) {
      const { CloudWatchLogsClient, PutLogEventsCommand } = await sdk();
      client ??= new CloudWatchLogsClient(clientConfig(settings));
      const { rejectedLogEventsInfo: rejected } = await client.send(
        new PutLogEventsCommand({
          logGroupName: group,
          logStreamName: stream,
          logEvents: events.map(({ timestamp, message }) => ({ timestamp, message })),
        }),
      );
      const tooOld = Math.max(rejected?.tooOldLogEventEndIndex ?? 0, rejected?.expiredLogEventEndIndex ?? 0);
      const tooNew = rejected?.tooNewLogEventStartIndex;
      return tooOld + (tooNew === undefined ? 0 : events.length - tooNew);
    },
  };
}
