import type { SessionOptions } from "../workspace/session";

/** All flags of all commands, as commander hands them over; each command reads those that it declares. */
export interface CommandOptions extends SessionOptions {
  readonly nonInteractive?: boolean;
  readonly yes?: boolean;
  readonly skipPreview?: boolean;
  readonly previewOnly?: boolean;
  readonly refresh?: boolean;
  readonly excludeProtected?: boolean;
  readonly offlinePlan?: boolean;
  readonly expectNoChanges?: boolean;
  readonly parallel?: number;
  readonly showSecrets?: boolean;
  readonly showUrns?: boolean;
  readonly json?: boolean;
  readonly message?: string;
  readonly select?: boolean;
  readonly create?: boolean;
  readonly secretsProvider?: string;
  readonly force?: boolean;
  readonly preserveConfig?: boolean;
  readonly path?: boolean;
  readonly secret?: boolean;
  readonly plaintext?: boolean;
}

/** Prints a line. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
