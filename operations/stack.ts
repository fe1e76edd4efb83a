import { statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { RawConfig } from "../config/validation";
import { AutomationStack } from "./automation-stack";
import { EmbeddedStack } from "./embedded-stack";

/** Which stack is meant. */
export interface StackReference {
  /** Directory of the project, or one below it; default: the current one. */
  readonly directory: string;
  /** Name of the stack; undefined for the selected one. */
  readonly name: string | undefined;
}

/** The configuration of a stack, in clear. */
export interface StackConfig {
  /** As `config.ts` takes it. Holds secrets. */
  readonly raw: RawConfig;
  /** Directory that holds `Pulumi.yaml`; relative paths of files start here. */
  readonly projectDirectory: string;
}

/** An output of a stack. */
export interface StackOutput {
  readonly value: unknown;
  /** No message and no document may hold it. */
  readonly secret: boolean;
}

/** What `ops` wants of a Pulumi stack, whatever engine keeps it. */
export interface Stack {
  /**
   * Reads the whole configuration.
   * @throws OpsError where the stack is not there or cannot be read
   */
  config(): Promise<StackConfig>;
  /**
   * Reads what the last `up` left as outputs, by name.
   * @throws OpsError where the stack is not there or cannot be read
   */
  outputs(): Promise<Readonly<Record<string, StackOutput>>>;
}

/** The engines that keep stacks. */
export type Engine = "cli" | "embedded";

/**
 * Says which engine keeps the stack, as `bin/pulumi` does: the Pulumi CLI where there is one on the PATH, else, or with
 * VEHICLESERVICE_ENGINE=embedded, the embedded one.
 */
export function chosenEngine({ PATH = "", VEHICLESERVICE_ENGINE }: NodeJS.ProcessEnv): Engine {
  const hasCli = PATH.split(delimiter).some((directory) => isProgram(join(directory, "pulumi")));
  return hasCli && VEHICLESERVICE_ENGINE !== "embedded" ? "cli" : "embedded";
}

/** Returns the stack; nothing is read before it is asked for. */
export function openStack(reference: StackReference, environment: NodeJS.ProcessEnv): Stack {
  return chosenEngine(environment) === "cli"
    ? new AutomationStack(reference)
    : new EmbeddedStack(reference, environment);
}

function isProgram(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  return file?.isFile() === true && (file.mode & 0o111) !== 0;
}
