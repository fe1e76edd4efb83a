import { CommanderError } from "commander";
import { EngineError, ExitCode, ReportedError } from "../errors";
import type { EarlyStart } from "../language/early";
import { buildProgram } from "./program";

/** What the entry prepared. */
export interface Startup {
  /** The bundled launcher of programs. */
  readonly launcher: string;
  /** The bundle that runs in the process of the providers that a program brings along. */
  readonly dynamicServer: string;
  /** The directory for compiled code. */
  readonly cache: string;
  readonly early: EarlyStart | undefined;
}

/** Runs the engine for a command line and ends the process with the CLI's exit code. */
export async function main(argv: readonly string[], startup: Startup): Promise<void> {
  let code: number = ExitCode.success;
  try {
    await buildProgram(startup).parseAsync([...argv]);
  } catch (error) {
    code = report(error);
  }
  startup.early?.process.kill();
  // Output to a pipe is asynchronous: let it drain before the process ends.
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  process.exit(code);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message already; help and the version are no faults.
    return error.exitCode === 0 ? ExitCode.success : ExitCode.configuration;
  }
  if (error instanceof ReportedError) {
    process.stderr.write(`error: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof EngineError) {
    process.stderr.write(`error: ${error.message}\n`);
    return error.exitCode;
  }
  process.stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return ExitCode.error;
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) =>
    stream.write("", () => {
      resolve();
    }),
  );
}
