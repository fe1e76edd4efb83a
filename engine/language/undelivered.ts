/**
 * Once a resource failed, the SDK closes its channel to the engine. A message that it was about to send then is written
 * to the program's stderr instead, wrapped in its own complaint (`@pulumi/pulumi`, `log/index.js`):
 *
 *     failed to deliver log message.
 *     error: …
 *     original message: …
 *      message severity: error
 *
 * Whoever reads the lines wants the message, not how it travelled.
 */

import type { Severity } from "../providers/provider";

const BEGINNING = "failed to deliver log message.";
const ORIGINAL = "original message: ";
const SEVERITY = /^ ?message severity: (debug|info|warning|error)$/;

/** A message out of such a block. */
export interface UndeliveredMessage {
  readonly text: string;
  /** The SDK's word. */
  readonly severity: Severity;
}

/** Takes a stream's lines and tells blocks of undelivered messages from everything else. */
export class UndeliveredMessages {
  /** The lines of a block that is not at its end yet. */
  private block: string[] | undefined;

  constructor(
    private readonly onLine: (line: string) => void,
    private readonly onMessage: (message: UndeliveredMessage) => void,
  ) {}

  /** The stream's next line. */
  take(line: string): void {
    if (this.block) this.proceed(this.block, line);
    else if (line.trimEnd() === BEGINNING) this.block = [line];
    else this.onLine(line);
  }

  /** The stream has ended: a block that was cut short is told as it came. */
  end(): void {
    const lines = this.block ?? [];
    this.block = undefined;
    for (const line of lines) this.onLine(line);
  }

  private proceed(block: string[], line: string): void {
    const severity = SEVERITY.exec(line)?.[1];
    if (severity === undefined) {
      block.push(line);
      return;
    }
    const start = block.findIndex((each) => each.startsWith(ORIGINAL));
    // A block without its message is nothing that the SDK writes: it is told as it came.
    if (start < 0) {
      block.push(line);
      this.end();
      return;
    }
    this.block = undefined;
    this.onMessage({
      text: block.slice(start).join("\n").slice(ORIGINAL.length),
      severity: severity as Severity,
    });
  }
}
