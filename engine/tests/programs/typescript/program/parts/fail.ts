/** Throws, from a line that a stack trace has to name. */
export function fail(message: string): never {
  // The two lines below leave nothing behind in JavaScript, so that the line number is wrong without a source map.
  type Reason = string;
  const reason: Reason = message;
  throw new Error(reason);
}
