import type { CookieJar } from "./cookies";
import type { Dial } from "./dial";
import type { LoadPlan } from "./options";
import type { DueRequest, Recorder } from "./recorder";

/** What all connections of a run have in common. */
export interface LaneContext {
  readonly plan: LoadPlan;
  readonly recorder: Recorder;
  readonly dial: Dial;
  /** By user; empty where cookies are not kept. */
  readonly jars: readonly CookieJar[];
  readonly body: Buffer;
}

/** One connection, and the requests that wait for it. A lane never sends a request twice. */
export interface Lane {
  /** Requests that are due and not sent. */
  readonly waiting: number;
  /** Makes the connection before there are requests; rejects where that fails. */
  open(): Promise<void>;
  /** Takes a request that is due. It is sent as soon as its user and the connection are free. */
  submit(request: DueRequest): void;
  /** Forgets what waits. */
  forget(): void;
  /** Ends the connection from our side. */
  close(): void;
}
