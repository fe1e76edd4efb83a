/** Throws, from a line that a stack trace has to name. */
export function fail(message: string): never {
  interface Unused {
    readonly lines: "that transpiling removes";
  }
  throw new Error(message);
}
