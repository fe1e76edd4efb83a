import { worldNamed } from "../../world";
import { EngineLog } from "./engine-log";
import { AwsProvider } from "./provider";
import { serve } from "./server";

/** How often it looks whether its engine is still there, in milliseconds. */
const ORPHAN_MS = 1000;

/**
 * The plugin's program, as Pulumi starts one: the engine's address is the argument, and the first line on standard output is
 * the port. Ends with its engine.
 */
async function main(): Promise<void> {
  const [, , engine] = process.argv;
  const log = engine === undefined ? null : new EngineLog(engine);
  const aws = new AwsProvider(worldNamed(), (urn, line) => log?.info(urn, line));
  const { server, port } = await serve(aws);
  process.stdout.write(`${String(port)}\n`);
  const end = (): void => {
    aws.close();
    log?.close();
    server.forceShutdown();
    process.exit(0);
  };
  // An engine that is killed says nothing: another process is the parent then.
  const engineProcess = process.ppid;
  setInterval(() => {
    if (process.ppid !== engineProcess) end();
  }, ORPHAN_MS);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, end);
}

main().catch((error: unknown) => {
  process.stderr.write(`the sandbox's AWS: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
