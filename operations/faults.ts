/** Exit codes of `ops`, the same for every command. */
export const OpsExit = {
  done: 0,
  /** It was begun and failed, or part of the answer could not be had. */
  failed: 1,
  /** The command line, or a key of the stack's config that reaching the host takes, is wrong. Nothing was asked of the host. */
  usage: 2,
  /** The host refused it, or nobody confirmed it; nothing was touched. */
  refused: 3,
  /** The stack, the host or its conductor did not answer. */
  unreachable: 5,
} as const;

/** One of {@link OpsExit}. */
export type OpsExitCode = (typeof OpsExit)[keyof typeof OpsExit];

/** A fault that is told by its message alone, without a stack trace. */
export class OpsError extends Error {
  /**
   * @param message What was wrong, and the way out.
   * @param headline What is left to say of it where {@link OpsError.message} went by as progress already.
   */
  constructor(
    message: string,
    readonly exitCode: OpsExitCode,
    readonly headline: string = message,
  ) {
    super(message);
    this.name = "OpsError";
  }
}
