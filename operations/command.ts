import type { Option } from "commander";
import type { OpsError } from "./faults";
import type { Host, Progress } from "./host";
import type { Stack } from "./stack";

/** All options of all commands, as commander hands them over; each command reads those that it declares. */
export interface OpsOptions {
  readonly cwd?: string;
  readonly stack?: string;
  readonly json?: boolean;
  /** `ops abort`. */
  readonly reason?: string;
  /** `ops restore`. */
  readonly backup?: string;
  readonly yes?: boolean;
  readonly iAcceptDataLoss?: boolean;
}

/** Colours a text for whoever reads it; leaves it as it is where that is nobody, or who wants none. */
export type Paint = (colour: "red" | "yellow" | "green" | "bold", text: string) => string;

/** What a command works with. */
export interface Session {
  /** The stack that the command line names. */
  readonly stack: Stack;
  /** Finds the host in the stack's config. Asks nothing of it yet. */
  readonly host: () => Promise<Host>;
  /** Tells a line on standard error. */
  readonly progress: Progress;
  /** Asks whoever sits there; null where nobody does. An answer that is refused is an empty one. */
  readonly ask: ((question: string) => Promise<string>) | null;
  readonly now: () => Date;
  readonly paint: Paint;
}

/** What came of a command. */
export interface Outcome {
  /** What `--json` prints. Part of the interface: fields are added, none is renamed or taken away. */
  readonly document: object;
  /** What is printed otherwise. */
  readonly text: string;
  /** What went wrong although there is something to show. */
  readonly fault?: OpsError;
}

/** One word of `ops`: a file of its own, named in `program.ts`. */
export interface OpsCommand {
  readonly name: string;
  /** One line, for the list of all commands. */
  readonly summary: string;
  /** What it reads, and what it changes. */
  readonly touches: string;
  /** Command lines, and what each is good for. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  readonly options?: readonly Option[];
  /** @throws OpsError, ConfigError */
  run(session: Session, options: OpsOptions): Promise<Outcome>;
}
