/**
 * Runs in a process of its own, forked by the engine: loads `@pulumi/pulumi` while the engine still reads its files,
 * waits to be told what to be, and hands over to the SDK's own `cmd/run` or `cmd/dynamic-provider`. It ends when the
 * engine ends.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { END, type StartMessage } from "./messages";
import { leaveOutPromiseStacks, putOffDebugger, putOffPackages } from "./shortcuts";
import { registerTypeScript } from "./typescript";

/** The exit code of a program whose engine went away. */
const ORPHANED = 70;

/** What the SDK's `cmd/run` is about to load; that module itself cannot be, for it runs when it is loaded. */
const PRELOADED = [
  "./index.js",
  "./cmd/run/error.js",
  "./cmd/run/instrumentation.js",
  "./cmd/run/tracing.js",
  "./runtime/closure/v8Hooks.js",
  "source-map-support",
  "minimist",
];

/** The SDK that a program in the directory uses. */
function sdkOf(directory: string): NodeJS.Require {
  const local = createRequire(join(directory, "noop.js"));
  return createRequire(local.resolve("@pulumi/pulumi/package.json"));
}

function preload(directory: string): void {
  try {
    const sdk = sdkOf(directory);
    for (const module of PRELOADED) sdk(module);
  } catch {
    // Only a head start was lost: `start` reports what is missing, from the directory that the project file names.
  }
}

function start(message: StartMessage): void {
  Object.assign(process.env, message.environment);
  // The SDK takes its arguments from here, as if it had been started by hand.
  process.argv.splice(1, process.argv.length, message.role, ...message.arguments);
  const sdk = sdkOf(message.programDirectory);
  putOffDebugger(sdk("./runtime/closure/v8Hooks.js") as Parameters<typeof putOffDebugger>[0]);
  if (message.role === "dynamic-provider") {
    sdk("./cmd/dynamic-provider/index.js");
    return;
  }
  registerTypeScript(message.programDirectory, sdk);
  leaveOutPromiseStacks();
  sdk("./cmd/run/index.js");
}

process.on("disconnect", () => process.exit(ORPHANED));
process.on("message", (message) => {
  if (message === END) process.exit();
  // From here on the channel must not keep the process alive: it is to end when a program has nothing left to do.
  process.channel?.unref();
  start(message as StartMessage);
});
putOffPackages();
preload(process.cwd());
