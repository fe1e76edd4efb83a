import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { LoadCalls, LoadReply } from "./messages";
import { type LoadOptions, planLoad } from "./options";
import type { LoadReport, LoadSegment } from "./report";
import { loadRunner } from "./runner";

/** A load that is under way, in a process of its own. */
export interface LoadRun {
  /** Process id of the load process. */
  readonly pid: number;
  /** Starts a new segment with counters of its own. */
  mark(label: string): Promise<void>;
  /** The counters since the last mark. */
  snapshot(): Promise<LoadSegment>;
  /** Resolves when `count` more requests have been sent and have ended, and all that were under way before. */
  afterRequests(count: number): Promise<void>;
  /**
   * When the last request was sent that a version, or a colour, answered; waits for the answers to what was sent so
   * far.
   * @param release a version or a colour
   * @param sinceMs requests sent before this moment (of `monotonicNow`) do not count
   * @returns the moment on the clock of `monotonicNow`, or null where there was none
   */
  lastSentTo(release: string, sinceMs: number): Promise<number | null>;
  /** Sends no more, waits for the answers under way, ends the process. Later calls give the same report. */
  stop(): Promise<LoadReport>;
}

type Waiting = (outcome: { readonly result: unknown } | { readonly error: Error }) => void;

/** Calls to the load process, answered in any order. */
class Caller {
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;
  private gone: Error | null = null;

  constructor(private readonly child: ChildProcess) {
    child.on("message", (reply: LoadReply) => {
      const settle = this.waiting.get(reply.id);
      this.waiting.delete(reply.id);
      settle?.("error" in reply ? { error: new Error(reply.error) } : { result: reply.result });
    });
    child.on("error", (error) => this.end(error));
    child.on("exit", (code, signal) =>
      this.end(new Error(`load: its process ended (${signal ?? `code ${code}`})`)),
    );
  }

  private end(error: Error): void {
    this.gone ??= error;
    for (const settle of this.waiting.values()) settle({ error });
    this.waiting.clear();
  }

  call<Name extends keyof LoadCalls>(
    call: Name,
    ...args: LoadCalls[Name]["args"]
  ): Promise<LoadCalls[Name]["result"]> {
    if (this.gone !== null) return Promise.reject(this.gone);
    const id = (this.count += 1);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, (outcome) => {
        if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.result as LoadCalls[Name]["result"]);
      });
      this.child.send({ id, call, args });
    });
  }
}

/**
 * Ends the process, and waits until it is gone. It is killed, for it has nothing left to do: Node's own exit waits for compilations in the
 * background, and hangs where one of them waits for the memory that only a collection by the process itself would free
 * (https://github.com/nodejs/node/issues/54918).
 */
async function dismiss(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/**
 * Starts a constant load in a process of its own; resolves once all connections are made and requests are being
 * sent. The process ends with {@link LoadRun.stop}, and with this one.
 * @throws Error where an option breaks its rule (an address outside this machine and the sandbox included), or a
 * connection cannot be made
 */
export async function startLoad(options: LoadOptions): Promise<LoadRun> {
  const plan = planLoad(options);
  const runner = loadRunner();
  const child = fork(runner.path, [], { execArgv: [], serialization: "advanced" });
  const caller = new Caller(child);
  try {
    await caller.call("start", plan);
  } catch (error) {
    await dismiss(child);
    throw error;
  } finally {
    runner.dispose();
  }
  let report: Promise<LoadReport> | undefined;
  const stop = async (): Promise<LoadReport> => {
    const last = await caller.call("stop");
    await dismiss(child);
    return last;
  };
  return {
    pid: child.pid as number,
    mark: (label) => caller.call("mark", label),
    snapshot: () => caller.call("snapshot"),
    afterRequests: (count) => caller.call("afterRequests", count),
    lastSentTo: (release, sinceMs) => caller.call("lastSentTo", release, sinceMs),
    stop: () => (report ??= stop()),
  };
}
