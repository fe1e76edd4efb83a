import type { Failed } from "./faults";
import { Lane } from "./system/lane";

/** Tells one line of progress. */
export type Progress = (line: string) => void;

interface UnderWay<A> {
  readonly name: string;
  readonly act: A;
  readonly content: string;
  readonly givenUp: AbortController;
  readonly result: Promise<unknown>;
  readonly listeners: Set<Progress>;
}

/**
 * Acts that wait for one another. An act that is sent again while it is under way is joined, not repeated; an act goes on
 * when nobody listens any more.
 */
export class ActQueue<A extends object> {
  private readonly lane = new Lane();
  private readonly acts: UnderWay<A>[] = [];

  /** Name of the act that is being carried out; null for none. */
  get underWay(): string | null {
    return this.acts.at(0)?.name ?? null;
  }

  /** Is an act of this name being carried out, or waiting? */
  has(name: string): boolean {
    return this.acts.some((one) => one.name === name);
  }

  /** Waits for its turn, which is no act that anybody could join. */
  run<T>(job: () => Promise<T>): Promise<T> {
    return this.lane.run(job);
  }

  /**
   * Lets acts be given up that nobody wants any more, be they under way or waiting.
   * @param why Tells what is wanted instead, as the fault of the act; null where an act is still wanted.
   */
  giveUp(why: (act: A) => Failed | null): void {
    for (const { act, givenUp } of this.acts) {
      const fault = why(act);
      if (fault !== null) givenUp.abort(fault);
    }
  }

  /**
   * Carries an act out, after those that came before.
   * @param name What it is called, without its content, which may hold a secret.
   * @param carryOut Its signal says that the act is given up, by its reason; an act that can end no longer by then goes on.
   */
  take<T>(
    name: string,
    act: A,
    progress: Progress,
    carryOut: (tell: Progress, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const content = JSON.stringify(act);
    // Only the newest: after another act the same words ask for a change again.
    const joined = this.acts.at(-1);
    if (joined?.content === content && !joined.givenUp.signal.aborted) {
      joined.listeners.add(progress);
      return joined.result as Promise<T>;
    }
    if (this.acts.length > 0) progress(`waiting for ${this.acts.map((one) => one.name).join(", ")}`);
    const listeners = new Set([progress]);
    const tell: Progress = (line) => listeners.forEach((listener) => listener(line));
    const givenUp = new AbortController();
    const result = this.lane.run(async () => {
      givenUp.signal.throwIfAborted();
      return carryOut(tell, givenUp.signal);
    });
    const entry: UnderWay<A> = { name, act, content, givenUp, result, listeners };
    this.acts.push(entry);
    const forget = (): void => void this.acts.splice(this.acts.indexOf(entry), 1);
    result.then(forget, forget);
    return result;
  }
}
