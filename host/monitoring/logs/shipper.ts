import { type ApiFailure, failureOf } from "../api-failure";
import type { Complaints } from "../complaints";
import type { MonitoringSettings } from "../protocol";
import type { LogsApi } from "./cloudwatch-logs";
import { batchesOf, fit, type LogEvent } from "./events";
import type { LogPosition, LogSource } from "./log-source";
import type { Positions } from "./positions";

/** Stands between lines while secrets are taken out of them. */
const BETWEEN = "\0\n";

/** What a {@link Shipper} works with. */
export interface ShipperParts {
  readonly settings: MonitoringSettings;
  /** Name of this host: a stream belongs to one log of one host. */
  readonly hostName: string;
  readonly sources: readonly LogSource[];
  readonly positions: Positions;
  readonly api: LogsApi;
  /** Takes secrets out of a text of lines. */
  readonly mask: (source: LogSource, text: string) => string;
  /** Reads the secrets anew that {@link ShipperParts.mask} takes out. */
  readonly refreshMask: () => Promise<void>;
  readonly complaints: Complaints;
  readonly now?: () => number;
}

/**
 * Ships logs to CloudWatch. How far each one was shipped is kept on the disk after each batch, so that whatever dies, one batch
 * is sent twice at most, and none is left out.
 */
export class Shipper {
  constructor(private readonly parts: ShipperParts) {}

  /**
   * Makes the streams. What logs hold from before anybody wanted them shipped stays where it is.
   * @returns why logs cannot be shipped; null where they can
   */
  async prepare(): Promise<ApiFailure | null> {
    const { positions, api, complaints } = this.parts;
    const sources = this.wanted();
    if (positions.isNew && sources.length > 0) {
      const ends = sources.map(async (source) => [source.label, await source.end()] as const);
      await positions.keep(Object.fromEntries(await Promise.all(ends)));
    }
    for (const { source, group } of this.withGroups()) {
      try {
        await api.makeStream(group, this.streamOf(source));
        complaints.end(`the log ${source.label}`);
      } catch (error) {
        return this.complain(source, group, error);
      }
    }
    return null;
  }

  /** Ships what was written since the last time. One log that cannot be shipped keeps no other one from being. */
  async ship(): Promise<void> {
    const sources = this.withGroups();
    if (sources.length === 0) return;
    try {
      await this.parts.refreshMask();
      this.parts.complaints.end("secrets in logs");
    } catch (error) {
      // Rather no logs than such with secrets.
      this.parts.complaints.begin("secrets in logs", (error as Error).message);
      return;
    }
    for (const { source, group } of sources) {
      try {
        await this.shipOne(source, group);
        this.parts.complaints.end(`the log ${source.label}`);
      } catch (error) {
        this.complain(source, group, error);
      }
    }
  }

  private async shipOne(source: LogSource, group: string): Promise<void> {
    const { positions, complaints } = this.parts;
    for (;;) {
      const from = positions.of(source.label);
      const { events, position, more, lost } = await source.read(from);
      if (lost) {
        complaints.begin(
          `rotation of ${source.label}`,
          "it was rotated twice since it was shipped; a part of it is gone",
        );
      }
      const now = (this.parts.now ?? Date.now)();
      for (const batch of batchesOf(fit(this.masked(source, events), now))) {
        await this.put(source, group, batch);
        const last = batch.at(-1);
        if (last !== undefined) await positions.keep({ [source.label]: last.position });
      }
      // Empty lines at the end are in no batch.
      if (JSON.stringify(position) !== JSON.stringify(positions.of(source.label))) {
        await positions.keep({ [source.label]: position });
      }
      if (!more) return;
    }
  }

  private masked(source: LogSource, events: readonly LogEvent<LogPosition>[]): LogEvent<LogPosition>[] {
    // At once, for each secret is looked for in all of it. No secret holds what stands between the lines.
    const text = events.map(({ message }) => message.replaceAll("\0", "")).join(BETWEEN);
    const messages = this.parts.mask(source, text).split(BETWEEN);
    return events.map((event, index) => ({ ...event, message: messages[index] ?? "" }));
  }

  private async put(
    source: LogSource,
    group: string,
    batch: readonly LogEvent<LogPosition>[],
  ): Promise<void> {
    const { api, complaints } = this.parts;
    const stream = this.streamOf(source);
    try {
      const rejected = await api.put(group, stream, batch).catch(async (error: unknown) => {
        if ((error as Error).name !== "ResourceNotFoundException") throw error;
        // Somebody removed the stream, or the group was made after it was looked for.
        await api.makeStream(group, stream);
        return api.put(group, stream, batch);
      });
      if (rejected > 0) {
        complaints.begin(
          `times in ${source.label}`,
          `${String(rejected)} lines are too old or too new to be taken`,
        );
      }
    } catch (error) {
      const { refused } = this.complain(source, group, error);
      // What is refused for what it is would be refused for ever, and with it all that comes after.
      if (!refused) throw error;
    }
  }

  private complain(source: LogSource, group: string, error: unknown): ApiFailure {
    const failure = failureOf(`shipping logs to the group ${group}`, error, this.parts.settings);
    this.parts.complaints.begin(`the log ${source.label}`, failure.reason, failure.kind);
    return failure;
  }

  private wanted(): LogSource[] {
    return this.withGroups().map(({ source }) => source);
  }

  private withGroups(): { source: LogSource; group: string }[] {
    const { logGroups } = this.parts.settings;
    return this.parts.sources.flatMap((source) => {
      const group = logGroups[source.stream];
      return group === undefined ? [] : [{ source, group }];
    });
  }

  /** Stream names hold neither `:` nor `*`. */
  private streamOf(source: LogSource): string {
    return `${this.parts.hostName}/${source.label}`.replace(/[:*]/g, "-");
  }
}
