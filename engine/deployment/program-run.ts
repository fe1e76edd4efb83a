import { howEnded } from "../providers/process-group";
import { cpus } from "node:os";
import { EngineError, ReportedError } from "../errors";
import { REPORTED_EXIT_CODE, type ProgramEnd, type ProgramProcess } from "../language/host";
import { UndeliveredMessages } from "../language/undelivered";
import { ORGANIZATION } from "../state/backend";
import type { ConfigValue } from "../workspace/config";
import { StoppedError, type Deployment } from "./deployment";
import type { RunOptions } from "./run";

/** Loads the protocol's code, which only runs of programs need. */
export function loadMonitor(): Promise<typeof import("./monitor.js")> {
  return import("./monitor.js");
}

/** Runs the program to its end. Fails where it did not register all that it wanted to. */
export async function runProgramIn(
  deployment: Deployment,
  options: RunOptions,
  program: ProgramProcess,
): Promise<void> {
  const { events, interruption } = options;
  const { project } = options.stack.session;
  const { Monitor } = await loadMonitor();
  const monitor = new Monitor(deployment, events, project.root);
  const kill = (): void => {
    program.kill();
  };
  interruption.atOnce.addEventListener("abort", kill);
  const info = (line: string): void => {
    events.message("info", deployment.rootUrn, line);
  };
  const stderr = new UndeliveredMessages(info, ({ severity, text }) => {
    monitor.programMessage(severity, deployment.rootUrn, text);
  });
  try {
    const end = await program.run(
      {
        arguments: programArguments(options),
        environment: configEnvironment(options.config),
        programDirectory: project.programDirectory,
      },
      (stream, line) => {
        if (stream === "stderr") stderr.take(line);
        else info(line);
      },
      (call) => monitor.answer(call),
    );
    stderr.end();
    await monitor.idle();
    judge(deployment, end, monitor.programFinished);
    await deployment.acceptExports();
  } finally {
    interruption.atOnce.removeEventListener("abort", kill);
  }
}

/** The SDK wants the addresses of its two services, and never uses them: its calls go through the channel of its process. */
const NO_ADDRESS = "none";

function programArguments({ stack, dryRun, parallel }: RunOptions): string[] {
  const { project } = stack.session;
  return [
    ...["--monitor", NO_ADDRESS, "--engine", NO_ADDRESS],
    ...["--organization", ORGANIZATION, "--project", project.name, "--stack", stack.reference.stack],
    ...["--root-directory", project.root, "--pwd", project.programDirectory],
    ...["--parallel", String(parallel ?? cpus().length * 4)],
    ...(dryRun ? ["--dry-run"] : []),
    project.entry,
  ];
}

/** Success is never inferred from the exit code alone: after an aborted deployment, too, it can be 0. */
function judge(deployment: Deployment, { code, signal }: ProgramEnd, finished: boolean): void {
  if (deployment.failed) throw new StoppedError("the deployment failed");
  if (code === REPORTED_EXIT_CODE) throw new ReportedError("the program failed");
  if (code !== 0) throw new EngineError(`the program ended with ${howEnded(code, signal)}`);
  if (!finished)
    throw new EngineError("the program ended before it was done (process.exit?): nothing is deleted");
}

/** The variables by which the SDK gets the config. */
function configEnvironment(config: ReadonlyMap<string, ConfigValue>): Record<string, string> {
  const entries = [...config];
  return {
    PULUMI_CONFIG: JSON.stringify(Object.fromEntries(entries.map(([key, { text }]) => [key, text]))),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(entries.filter(([, { secret }]) => secret).map(([key]) => key)),
  };
}
