import type { LOG_STREAMS } from "../protocol";
import type { LogEvent } from "./events";
import { lastCursor, readJournal } from "./journal";
import { endOf, readOn, type FilePosition } from "./log-file";
import { timeOf } from "./lines";

/** How far a log was shipped. */
export type LogPosition = FilePosition | { readonly cursor: string };

/** What was read of a log. */
export interface Read {
  readonly events: readonly LogEvent<LogPosition>[];
  /** Where the log goes on; null where that is the beginning. */
  readonly position: LogPosition | null;
  /** There may be more to read now. */
  readonly more: boolean;
  /** A part of the log was gone before it was read. */
  readonly lost: boolean;
}

/** A log that is shipped. */
export interface LogSource {
  /** What it is called in the log group, and where its position is kept. */
  readonly label: string;
  /** The group that it belongs to. */
  readonly stream: (typeof LOG_STREAMS)[number];
  /** The end of the log now; null where there is nothing yet. */
  end(): Promise<LogPosition | null>;
  /** Reads on; null reads from the beginning. */
  read(from: LogPosition | null): Promise<Read>;
}

/** A log file. A line without a time was written when the one before it was. */
export function fileSource(stream: LogSource["stream"], label: string, path: string): LogSource {
  return {
    label,
    stream,
    end: () => endOf(path),
    async read(from) {
      const chunk = await readOn(path, from !== null && "inode" in from ? from : null);
      if (chunk === null) return { events: [], position: from, more: false, lost: false };
      let time = Date.now();
      const events = chunk.lines.map(({ text, position }) => {
        time = timeOf(text) ?? time;
        return { timestamp: time, message: text, position };
      });
      return { ...chunk, events };
    },
  };
}

/** What a unit writes to the journal. */
export function journalSource(stream: LogSource["stream"], label: string, unit: string): LogSource {
  return {
    label,
    stream,
    async end() {
      const cursor = await lastCursor(unit);
      return cursor === null ? null : { cursor };
    },
    async read(from) {
      const entries = await readJournal(unit, from !== null && "cursor" in from ? from.cursor : null);
      const events = entries.map(({ cursor, timestamp, message }) => ({
        timestamp,
        message,
        position: { cursor },
      }));
      return {
        events,
        position: events.at(-1)?.position ?? from,
        more: events.length > 0,
        lost: false,
      };
    },
  };
}
