import type { Interruption } from "../deployment/run";

/** Turns the user's interrupts into an end of the run: the first finishes what is under way, the second drops it. */
export class Interrupts implements Interruption {
  private readonly graceful = new AbortController();
  private readonly immediate = new AbortController();

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.on(signal, () => {
        this.interrupt();
      });
  }

  get gracefully(): AbortSignal {
    return this.graceful.signal;
  }

  get atOnce(): AbortSignal {
    return this.immediate.signal;
  }

  private interrupt(): void {
    if (this.graceful.signal.aborted) {
      process.stderr.write("ending at once\n");
      this.immediate.abort();
    } else {
      process.stderr.write(
        "stopping when the operations under way are done; interrupt again to end at once\n",
      );
      this.graceful.abort();
    }
  }
}
