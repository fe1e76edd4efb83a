import type { LoadPlan } from "./options";
import type { LoadReport, LoadSegment } from "./report";

/** What the load process can be asked: arguments and result of each call. */
export interface LoadCalls {
  start: { readonly args: readonly [plan: LoadPlan]; readonly result: undefined };
  mark: { readonly args: readonly [label: string]; readonly result: undefined };
  snapshot: { readonly args: readonly []; readonly result: LoadSegment };
  afterRequests: { readonly args: readonly [count: number]; readonly result: undefined };
  lastSentTo: { readonly args: readonly [release: string, sinceMs: number]; readonly result: number | null };
  stop: { readonly args: readonly []; readonly result: LoadReport };
}

/** A call, to the load process. */
export type LoadRequest = {
  [Name in keyof LoadCalls]: {
    readonly id: number;
    readonly call: Name;
    readonly args: LoadCalls[Name]["args"];
  };
}[keyof LoadCalls];

/** The answer to the call with the same id, from the load process. */
export type LoadReply =
  | { readonly id: number; readonly result: LoadCalls[keyof LoadCalls]["result"] }
  | { readonly id: number; readonly error: string };
