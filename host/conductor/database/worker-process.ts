import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import type { DatabaseActs } from "../../database/protocol";
import type { WorkerInput, WorkerOutput } from "../../database/worker-protocol";
import type { Progress } from "../act-queue";
import { Failed, Refused } from "../faults";
import { listenTo } from "../system/answering-child";

/** What an act about the database may ask of the site. */
export interface SiteDoor {
  /** Keeps users out, or lets them in again. Returns whether they were out before. */
  set(closed: boolean): Promise<boolean>;
}

/** Carries out acts about the database, in a process of its own. */
export interface DatabaseWorker {
  /** @throws Refused, Failed */
  take(
    act: DatabaseActs,
    around: {
      readonly holdContract: string | null;
      readonly door: SiteDoor;
      readonly progress: Progress;
    },
  ): Promise<unknown>;
}

/** How long a worker without work is kept, in milliseconds: the next migration finds its connection open. */
const IDLE_MS = 60_000;

/** How many of a dead worker's last lines are told. */
const LAST_LINES = 10;

interface Job {
  readonly door: SiteDoor;
  readonly progress: Progress;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Has what a large buffer took go back to the system with it. By default the C library keeps ever larger ones for itself once some
 * were freed, and the parts of a long upload then leave holes: a backup of 2 GB took a third more memory than one of 300 MB.
 */
export const WORKER_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_MMAP_THRESHOLD_: "1048576" };

/** Starts `argv` when there is work, and ends it when there has been none for a while. */
export function workerProcess(argv: readonly string[], idleMs = IDLE_MS): DatabaseWorker {
  let running: RunningWorker | null = null;
  return {
    take(act, { holdContract, door, progress }) {
      if (running?.isGone !== false) running = new RunningWorker(argv, idleMs);
      const worker = running;
      return new Promise((resolve, reject) => {
        worker.send(act, holdContract, { door, progress, resolve, reject });
      });
    },
  };
}

class RunningWorker {
  isGone = false;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly jobs = new Map<number, Job>();
  private readonly lastLines: string[] = [];
  private sent = 0;
  private idle: NodeJS.Timeout | undefined;

  constructor(
    argv: readonly string[],
    private readonly idleMs: number,
  ) {
    const [program = "", ...args] = argv;
    this.child = spawn(program, args, { stdio: "pipe", env: { ...process.env, ...WORKER_ENVIRONMENT } });
    listenTo<WorkerOutput>(this.child, {
      onAnswer: (output) => this.hear(output),
      onLine: (line) => {
        this.lastLines.push(line);
        if (this.lastLines.length > LAST_LINES) this.lastLines.shift();
      },
      onEnd: (how) => this.fail(how),
    });
  }

  send(act: DatabaseActs, holdContract: string | null, job: Job): void {
    clearTimeout(this.idle);
    const id = ++this.sent;
    this.jobs.set(id, job);
    this.write({ id, act, holdContract });
  }

  private write(input: WorkerInput): void {
    this.child.stdin.write(`${JSON.stringify(input)}\n`);
  }

  private hear(output: WorkerOutput): void {
    const job = this.jobs.get(output.id);
    if (job === undefined) return;
    if ("progress" in output) {
      job.progress(output.progress);
    } else if ("question" in output) {
      void this.answer(job, output.question, output.site === "close");
    } else {
      this.end(output.id);
      if ("result" in output) job.resolve(output.result);
      else job.reject("refused" in output ? new Refused(output.refused) : new Failed(output.failed));
    }
  }

  private async answer(job: Job, question: number, closed: boolean): Promise<void> {
    try {
      this.write({ answer: question, wasClosed: await job.door.set(closed), fault: null });
    } catch (error) {
      this.write({ answer: question, wasClosed: null, fault: (error as Error).message });
    }
  }

  private end(id: number): void {
    this.jobs.delete(id);
    if (this.jobs.size > 0) return;
    this.idle = setTimeout(() => {
      this.isGone = true;
      this.child.stdin.end();
    }, this.idleMs).unref();
  }

  private fail(how: string): void {
    this.isGone = true;
    const lines = this.lastLines.map((line) => `\n  ${line}`).join("");
    for (const job of this.jobs.values()) {
      job.reject(
        new Failed(`the database's worker ${how}; what it had begun was undone, run it again${lines}`),
      );
    }
    this.jobs.clear();
  }
}
