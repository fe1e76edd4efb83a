import { Lane } from "./system/lane";

/** Tells one line of progress. */
export type Progress = (line: string) => void;

interface UnderWay {
  readonly name: string;
  readonly content: string;
  readonly result: Promise<unknown>;
  readonly listeners: Set<Progress>;
}

/**
 * Acts that wait for one another. An act that is sent again while it is under way is joined, not repeated; an act goes on
 * when nobody listens any more.
 */
export class ActQueue {
  private readonly lane = new Lane();
  private readonly acts: UnderWay[] = [];

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
   * Carries an act out, after those that came before.
   * @param name What it is called, without its content, which may hold a secret.
   */
  take<T>(
    name: string,
    act: object,
    progress: Progress,
    carryOut: (tell: Progress) => Promise<T>,
  ): Promise<T> {
    const content = JSON.stringify(act);
    // Only the newest: after another act the same words ask for a change again.
    const joined = this.acts.at(-1);
    if (joined?.content === content) {
      joined.listeners.add(progress);
      return joined.result as Promise<T>;
    }
    const listeners = new Set([progress]);
    const tell: Progress = (line) => listeners.forEach((listener) => listener(line));
    const result = this.lane.run(() => carryOut(tell));
    const entry: UnderWay = { name, content, result, listeners };
    this.acts.push(entry);
    const forget = (): void => void this.acts.splice(this.acts.indexOf(entry), 1);
    result.then(forget, forget);
    return result;
  }
}
