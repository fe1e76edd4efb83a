import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import type {
  MonitoringInput,
  MonitoringOutput,
  MonitoringSettings,
  MonitoringStatus,
} from "../../monitoring/protocol";
import { listenTo } from "../system/answering-child";

/** What a publisher tells while it runs. */
export interface PublisherEvents {
  /** The first try is over: null where the API took everything, or else why not. */
  readonly onFirstTry: (fault: string | null) => void;
  /** The first try waits for a right that the API does not know of yet; the API's answer. */
  readonly onWaiting: (waitingFor: string) => void;
  readonly onStatus: (status: MonitoringStatus) => void;
  /** It is gone, without having been asked to go. */
  readonly onEnd: (how: string) => void;
  /** A line for the journal. */
  readonly log: (line: string) => void;
}

/** A publisher that runs. */
export interface RunningPublisher {
  /** Ends it, and resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts publishers. */
export type StartPublisher = (settings: MonitoringSettings, events: PublisherEvents) => RunningPublisher;

/** How long one that was asked to go may take before it is killed, in milliseconds. What it does can be cut anywhere. */
const PATIENCE_MS = 2000;

/** Starts `argv`, which gets the settings on its standard input and ends with it: with the conductor, however that ends. */
export function publisherProcess(argv: readonly string[]): StartPublisher {
  return (settings, { onFirstTry, onWaiting, onStatus, onEnd, log }) => {
    const [program = "", ...args] = argv;
    const child: ChildProcessWithoutNullStreams = spawn(program, args, { stdio: "pipe" });
    let isWanted = true;
    const gone = new Promise<void>((resolve) => {
      listenTo<MonitoringOutput>(child, {
        onAnswer: (output) => {
          if (!isWanted) return;
          if ("status" in output) onStatus(output.status);
          else if ("waitingFor" in output) onWaiting(output.waitingFor);
          else onFirstTry(output.firstTry);
        },
        onLine: log,
        onEnd: (how) => {
          if (isWanted) onEnd(how);
          isWanted = false;
          resolve();
        },
      });
    });
    const input: MonitoringInput = { settings };
    child.stdin.write(`${JSON.stringify(input)}\n`);
    return {
      async stop() {
        isWanted = false;
        child.stdin.end();
        const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
        await gone;
        clearTimeout(timer);
      },
    };
  };
}
