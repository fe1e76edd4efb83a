import type { DatabaseActs } from "./protocol";

/**
 * What the conductor writes to its worker, one JSON object a line: an act, or the answer to a question about the site.
 * The worker ends when this stream does.
 */
export type WorkerInput =
  | {
      readonly id: number;
      readonly act: DatabaseActs;
      /** Why files that take something away have to wait; null if they need not. */
      readonly holdContract: string | null;
    }
  | {
      /** Of the question. */
      readonly answer: number;
      /** Whether the site was closed before; null where that could not be done. */
      readonly wasClosed: boolean | null;
      /** Why it could not be done. */
      readonly fault: string | null;
    };

/** What the worker writes, one JSON object a line, each about the act with this `id`. */
export type WorkerOutput =
  | { readonly id: number; readonly progress: string }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly refused: string }
  | { readonly id: number; readonly failed: string }
  | { readonly id: number; readonly question: number; readonly site: "close" | "open" };
