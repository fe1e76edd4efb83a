/** What the engine tells a process that waits with the SDK loaded. */
export interface StartMessage {
  /** What to be: the program's process, or that of its dynamic providers. */
  readonly role: "program" | "dynamic-provider";
  /** Arguments for `@pulumi/pulumi/cmd/run`, or `cmd/dynamic-provider`. */
  readonly arguments: readonly string[];
  /** Variables that are set before the program starts; they never stand in the process's initial environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The directory that the program, and its `@pulumi/pulumi`, are found from. */
  readonly programDirectory: string;
}

/** What asks a process to end. */
export const END = "end";
