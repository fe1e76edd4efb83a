import { spawn, type ChildProcess } from "node:child_process";
import { resolve } from "node:path";
import { unwrapSecrets, type PropertyMap, type PropertyValue } from "../../values/property";
import { GroupGuard, killGroup } from "../process-group";
import type { ProviderContext } from "../provider";
import { captured } from "./capture";
import { previousOutput, textInput, textMapInput } from "./outputs";
import { onLimit, requireGoing } from "./limits";

/** The words of the command provider for the usual signals. */
const SIGNAL_WORDS: Partial<Record<NodeJS.Signals, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGABRT: "aborted",
  SIGKILL: "killed",
  SIGPIPE: "broken pipe",
  SIGSEGV: "segmentation fault",
  SIGTERM: "terminated",
};

/** Runs a local command. Returns what it printed; fails where it cannot be started or does not exit with 0. */
export async function runLocal(
  context: ProviderContext,
  command: PropertyValue,
  inputs: PropertyMap,
  earlier: PropertyMap,
): Promise<PropertyMap> {
  const { text, capture, end } = captured(context, command, inputs, earlier);
  const [program = "/bin/sh", ...options] = interpreter(inputs);
  requireGoing(context);
  const guard = GroupGuard.open();
  const child = spawn(program, [...options, text], {
    cwd: resolve(context.directory, textInput(inputs, "dir") ?? "."),
    env: { ...process.env, ...textMapInput(inputs, "environment"), ...previousOutput(inputs, earlier) },
    stdio: ["pipe", "pipe", "pipe"],
    // A group of its own: an interrupt from the terminal is the engine's to handle, and the group can be ended whole.
    detached: true,
  });
  guard.watch(child.pid);
  child.stdout.on("data", (chunk: Buffer) => {
    capture.take("stdout", chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    capture.take("stderr", chunk);
  });
  // A command that ends without reading its input is no fault.
  child.stdin.on("error", () => undefined);
  child.stdin.end(textInput(inputs, "stdin") ?? "");
  try {
    return end(await endOf(child, context));
  } finally {
    guard.close();
  }
}

function interpreter(inputs: PropertyMap): string[] {
  const given = unwrapSecrets(inputs["interpreter"] ?? null);
  return Array.isArray(given) && given.length > 0 ? given.map(String) : ["/bin/sh", "-c"];
}

/** Waits for a command; resolves with the reason why it failed, or undefined. */
async function endOf(child: ChildProcess, context: ProviderContext): Promise<string | undefined> {
  const { pid } = child;
  const stop = (): void => {
    if (pid !== undefined) killGroup(pid);
  };
  const unlimited = onLimit(context, stop);
  try {
    return await new Promise((settle) => {
      child.once("error", (error) => {
        settle(error.message);
      });
      child.once("close", (code, signal) => {
        settle(describeEnd(code, signal));
      });
    });
  } finally {
    unlimited();
  }
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string | undefined {
  if (code === 0) return undefined;
  if (code !== null) return `exit status ${String(code)}`;
  return signal === null ? "ended in an unknown way" : `signal: ${SIGNAL_WORDS[signal] ?? signal}`;
}
