/** What the engine tells the process that runs a program. */
export interface StartMessage {
  /** Arguments for `@pulumi/pulumi/cmd/run`. */
  readonly arguments: readonly string[];
  /** Variables that are set before the program starts; they never stand in the process's initial environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The directory that the program, and its `@pulumi/pulumi`, are found from. */
  readonly programDirectory: string;
}
