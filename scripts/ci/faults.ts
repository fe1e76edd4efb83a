/** A fault that a step tells by its message alone, without a stack trace. */
export class StepError extends Error {
  override readonly name = "StepError";
}
