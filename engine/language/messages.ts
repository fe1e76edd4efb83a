/** What the engine tells a program's process that waits with the SDK loaded. */
export interface StartMessage {
  /** Arguments for `@pulumi/pulumi/cmd/run`. */
  readonly arguments: readonly string[];
  /** Variables that are set before the program starts; they never stand in the process's initial environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The directory that the program, and its `@pulumi/pulumi`, are found from. */
  readonly programDirectory: string;
}

/** A call of the program's to one of the engine's services. */
export interface CallMessage {
  /** Number of the call, which its answer has, too. */
  readonly call: number;
  /** The method, as gRPC has it: `/pulumirpc.ResourceMonitor/RegisterResource`. */
  readonly path: string;
  /** The request's message, serialized. */
  readonly request: Uint8Array;
}

/** The engine's answer to a {@link CallMessage}: a response or a failure. */
export interface AnswerMessage {
  readonly call: number;
  /** The response's message, serialized. */
  readonly response?: Uint8Array;
  readonly failure?: CallFailure;
}

/** Why a call failed. */
export interface CallFailure {
  /** One of {@link Status}. */
  readonly code: number;
  readonly details: string;
}

/** Status codes, as gRPC numbers them. */
export const Status = { unknown: 2, unimplemented: 12, unavailable: 14 } as const;
