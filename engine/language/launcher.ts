/**
 * Runs in a process of its own, forked by the engine: loads `@pulumi/pulumi` while the engine still reads its files,
 * waits to be told what to run, and hands over to the SDK's own `cmd/run`. It ends when the engine ends.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { EngineChannel, type ClientClass } from "./channel";
import type { AnswerMessage, StartMessage } from "./messages";
import {
  cutResourceStacks,
  leaveOutDebugMessages,
  leaveOutPromiseStacks,
  leaveOutTracing,
  putOffDebugger,
  putOffPackages,
} from "./shortcuts";
import { registerTypeScript } from "./typescript";

/** The exit code of a program whose engine went away. */
const ORPHANED = 70;

/** What stands for the script's name among the arguments. */
const PROGRAM = "program";

/** What the SDK's `cmd/run` is about to load; that module itself cannot be, for it runs when it is loaded. */
const PRELOADED = [
  "./index.js",
  "./cmd/run/error.js",
  "./cmd/run/instrumentation.js",
  "./runtime/closure/v8Hooks.js",
  "source-map-support",
  "minimist",
];

/** The services of the engine's that a program calls, by the modules and names of the SDK's clients. */
const CLIENTS = [
  ["./proto/resource_grpc_pb.js", "ResourceMonitorClient"],
  ["./proto/engine_grpc_pb.js", "EngineClient"],
] as const;

const channel = new EngineChannel();

/** Has the SDK call the engine through the channel of this process. The SDK copies the classes when it is loaded. */
function useChannel(sdk: NodeJS.Require): void {
  for (const [name, client] of CLIENTS) {
    const module = sdk(name) as Record<string, ClientClass>;
    const original = module[client];
    if (original) module[client] = channel.clientClass(original);
  }
}

function sdkOf(directory: string): NodeJS.Require {
  const local = createRequire(join(directory, "noop.js"));
  return createRequire(local.resolve("@pulumi/pulumi/package.json"));
}

/** The copy of the SDK that is prepared. */
let prepared: string | undefined;

/** The SDK that a program in the directory uses, with what has to be changed before it is loaded. */
function prepare(directory: string): NodeJS.Require {
  const sdk = sdkOf(directory);
  const entry = sdk.resolve("./index.js");
  if (prepared !== entry) {
    useChannel(sdk);
    leaveOutTracing(sdk);
    prepared = entry;
  }
  return sdk;
}

function preload(directory: string): void {
  try {
    const sdk = prepare(directory);
    for (const module of PRELOADED) sdk(module);
  } catch {
    // Only a head start was lost: `start` reports what is missing, from the directory that the project file names.
  }
}

function start(message: StartMessage): void {
  Object.assign(process.env, message.environment);
  // The SDK takes its arguments from here, as if it had been started by hand.
  process.argv.splice(1, process.argv.length, PROGRAM, ...message.arguments);
  const sdk = prepare(message.programDirectory);
  putOffDebugger(sdk("./runtime/closure/v8Hooks.js") as Parameters<typeof putOffDebugger>[0]);
  leaveOutDebugMessages(sdk("./log/index.js") as Parameters<typeof leaveOutDebugMessages>[0]);
  registerTypeScript(message.programDirectory, sdk);
  cutResourceStacks(sdk("./resource.js") as Parameters<typeof cutResourceStacks>[0]);
  leaveOutPromiseStacks(
    sdk("./runtime/debuggable.js") as Parameters<typeof leaveOutPromiseStacks>[0],
    sdk("./runtime/state.js") as Parameters<typeof leaveOutPromiseStacks>[1],
  );
  sdk("./cmd/run/index.js");
}

process.on("disconnect", () => process.exit(ORPHANED));
process.on("message", (message: StartMessage | AnswerMessage) => {
  if ("call" in message) {
    channel.take(message);
    return;
  }
  // From here on the channel must not keep the process alive: it is to end when a program has nothing left to do.
  process.channel?.unref();
  start(message);
});
// The SDK sets it when half of it is loaded. V8 takes compiled code from the cache only where its flags are the same, so that they must
// not change on the way.
setFlagsFromString("--allow-natives-syntax");
putOffPackages();
preload(process.cwd());
