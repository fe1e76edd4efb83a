import { EngineError, ExitCode } from "../errors";
import type { CommandOptions } from "./options";

/** Whether somebody is there to be asked. */
export function isInteractive(options: CommandOptions): boolean {
  return !options.nonInteractive && process.stdin.isTTY && process.stdout.isTTY;
}

/** Fails where approval is needed and can be neither asked for nor is given by a flag. */
export function requireApprovable(options: CommandOptions, alternative: string): void {
  if (options.yes || isInteractive(options)) return;
  throw new EngineError(
    `${alternative} must be passed in to proceed when running in non-interactive mode`,
    ExitCode.configuration,
  );
}

/** Asks for approval; fails where it is not given. */
export async function approve(options: CommandOptions, question: string): Promise<void> {
  if (options.yes) return;
  const { confirm } = await import("@inquirer/prompts");
  if (!(await confirm({ message: question, default: false })))
    throw new EngineError("confirmation declined, not proceeding", ExitCode.cancelled);
}
