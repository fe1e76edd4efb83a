/** The exit codes of the Pulumi CLI that this engine uses. */
export const ExitCode = {
  success: 0,
  error: 1,
  configuration: 2,
  stackNotFound: 6,
  changesNotExpected: 7,
  cancelled: 8,
} as const;

/** A fault that is told to the user by its message alone, without a stack trace. */
export class EngineError extends Error {
  /** The code that the process ends with. Default: 1. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number = ExitCode.error) {
    super(message);
    this.name = "EngineError";
    this.exitCode = exitCode;
  }
}

/** A fault whose reasons were already shown as diagnostics: only the exit code is left to report. */
export class ReportedError extends EngineError {
  constructor(message: string, exitCode: number = ExitCode.error) {
    super(message, exitCode);
    this.name = "ReportedError";
  }
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Whether a thrown value is a system error with the given code, such as `ENOENT`. */
export function hasCode(thrown: unknown, code: string): boolean {
  return typeof thrown === "object" && thrown !== null && "code" in thrown && thrown.code === code;
}
