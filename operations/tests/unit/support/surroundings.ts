import type { AskOptions, HostAnswer, HostConnection } from "../../../../components/ask-host";
import { machineWith, privateKey, rawConfig, settings } from "../../../../tests/unit/support/configuration";
import { run, type Surroundings } from "../../../program";
import type { StackOutput, StackReference } from "../../../stack";

/** What the fake host does with an act. */
export interface Reply {
  /** Default: 0. */
  readonly exitCode?: number;
  /** The conductor's answer. */
  readonly result?: unknown;
  /** What it tells meanwhile, and last of all why it failed. */
  readonly says?: readonly string[];
}

/** Something that `ops` sent to the fake host. */
export interface Sent {
  readonly connection: HostConnection;
  readonly command: string;
  readonly act: Readonly<Record<string, unknown>>;
  readonly isPatient: boolean;
}

/** What one command line did. */
export interface End {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly sent: readonly Sent[];
  readonly opened: readonly StackReference[];
}

/** The moment at which all tests are run. */
export const NOW = new Date("2026-03-01T12:00:00Z");

/** What a test may set. */
export interface Given {
  /** What the host does with each act, by its name; or what breaks the connection. */
  readonly host?: Readonly<Record<string, Reply | Error | ((act: Sent["act"]) => Reply)>>;
  /** Values of the stack's config. */
  readonly values?: Record<string, unknown>;
  /** What the last `up` left as the stack's outputs. */
  readonly outputs?: Readonly<Record<string, StackOutput>>;
  /** What is typed when somebody is asked; nobody is there without it. */
  readonly types?: string;
  /** Colours are shown as words. */
  readonly colours?: boolean;
}

/** Runs `ops` over a stack and a host that are there in name only. */
export async function ops(argv: readonly string[], given: Given = {}): Promise<End> {
  const { host = {}, values = settings(), outputs = {}, types, colours = false } = given;
  const written = { stdout: "", stderr: "" };
  const sent: Sent[] = [];
  const opened: StackReference[] = [];
  const surroundings: Surroundings = {
    openStack: (reference) => {
      opened.push(reference);
      return {
        config: () => Promise.resolve({ raw: rawConfig(values), projectDirectory: "/project" }),
        outputs: () => Promise.resolve(outputs),
      };
    },
    askHost: (connection, command, options) => {
      const act = JSON.parse(options?.stdin ?? "null") as Sent["act"];
      sent.push({ connection, command, act, isPatient: options?.answerMs === null });
      return answer(host[String(act["act"])], act, options);
    },
    machine: machineWith(),
    directory: "/project/below",
    stdout: (text) => (written.stdout += text),
    stderr: (text) => (written.stderr += text),
    paint: (colour, text) => (colours ? `<${colour}>${text}</>` : text),
    ask:
      types === undefined
        ? null
        : (question) => {
            written.stderr += `${question}\n`;
            return Promise.resolve(types);
          },
    now: () => NOW,
  };
  const code = await run(argv, surroundings);
  return { code, ...written, sent, opened };
}

function answer(
  reply: Reply | Error | ((act: Sent["act"]) => Reply) | undefined,
  act: Sent["act"],
  options: AskOptions | undefined,
): Promise<HostAnswer> {
  if (reply instanceof Error) return Promise.reject(reply);
  const { exitCode = 0, result, says = [] } = typeof reply === "function" ? reply(act) : (reply ?? {});
  for (const line of says) options?.onProgress?.(line);
  const stdout = result === undefined ? "" : `${JSON.stringify(result)}\n`;
  return Promise.resolve({ exitCode, stdout, stderr: says.map((line) => `${line}\n`).join("") });
}

/** The lines of the private key: none of them may be shown anywhere. */
export const KEY_LINES = privateKey.split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
