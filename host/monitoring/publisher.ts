import type { CloudWatchClient, MetricDatum } from "@aws-sdk/client-cloudwatch";
import { clientConfig } from "./api-client";
import { type ApiFailure, failureOf } from "./api-failure";
import type { Complaints } from "./complaints";
import type { Interval } from "./figures/figure";
import type { MonitoringSettings } from "./protocol";
import type { Spool } from "./spool";

/** Values that the API takes at once. */
const MOST_VALUES = 1000;

/** Takes values in; a rejection is what the API, or the network, answered. */
export type PutValues = (namespace: string, values: readonly MetricDatum[]) => Promise<void>;

/** The API, by its SDK, which is loaded by the first use. */
export function cloudWatch(settings: MonitoringSettings): PutValues {
  let client: CloudWatchClient | null = null;
  return async (namespace, values) => {
    const { CloudWatchClient, PutMetricDataCommand } = await import("@aws-sdk/client-cloudwatch");
    client ??= new CloudWatchClient(clientConfig(settings));
    await client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData: [...values] }));
  };
}

/** Shortest interval whose values CloudWatch keeps apart unless it is told to (PutMetricData, `StorageResolution`), in seconds. */
const MINUTE = 60;

/** What an interval is to the API. */
export function valuesOf(
  { at, figures }: Interval,
  { stack, intervalSeconds }: Pick<MonitoringSettings, "stack" | "intervalSeconds">,
): MetricDatum[] {
  // Alarms with a period of less than a minute see such values alone.
  const resolution = intervalSeconds < MINUTE ? { StorageResolution: 1 } : {};
  return figures.map(({ name, unit, value, colour }) => ({
    MetricName: name,
    Unit: unit,
    Value: value,
    Timestamp: new Date(at),
    ...resolution,
    Dimensions: [
      { Name: "Stack", Value: stack },
      ...(colour === null ? [] : [{ Name: "Colour", Value: colour }]),
    ],
  }));
}

/** Publishes what waits, the oldest first, until nothing waits or the API takes no more. */
export class Publisher {
  private published: Date | null = null;

  constructor(
    private readonly settings: MonitoringSettings,
    private readonly spool: Spool,
    private readonly complaints: Complaints,
    private readonly put: PutValues = cloudWatch(settings),
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** When the API last took values; null where it has taken none yet. */
  get lastPublished(): Date | null {
    return this.published;
  }

  /**
   * Publishes what waits.
   * @returns why not all of it; null where nothing waits any more
   */
  async publish(): Promise<ApiFailure | null> {
    const { namespace } = this.settings;
    // One for itself as soon as the API refused some: only what it refuses is given up.
    let most = MOST_VALUES;
    for (;;) {
      const batch = await this.spool.oldest(most, this.now().getTime());
      if (batch.length === 0) break;
      const values = batch.flatMap(({ interval }) => valuesOf(interval, this.settings));
      try {
        if (values.length > 0) await this.put(namespace, values);
      } catch (error) {
        const failure = failureOf(`putting values into the namespace ${namespace}`, error, this.settings);
        this.complaints.begin("publishing", failure.reason, failure.kind);
        if (!failure.refused) return failure;
        if (batch.length > 1) {
          most = 1;
          continue;
        }
        for (const { number } of batch) await this.spool.drop(number);
        // The first of all is no bad interval: it is bad settings.
        if (this.published === null) return failure;
        continue;
      }
      this.published = this.now();
      await this.spool.sent(batch.map(({ number }) => number));
    }
    this.complaints.end("publishing");
    return null;
  }
}
