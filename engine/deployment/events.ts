import type { Severity } from "../providers/provider";
import type { PropertyMap } from "../values/property";
import type { Step } from "./planner";

/** What a deployment tells whoever shows it. Texts may hold secrets that were given to `conceal`. */
export interface DeploymentEvents {
  /** Strings that must not be shown from now on. */
  conceal(strings: Iterable<string>): void;
  stepStarted(step: Step): void;
  /** `error` is undefined where the step was carried out. */
  stepFinished(step: Step, seconds: number, error?: string): void;
  /** `urn` is empty for messages about the whole deployment. */
  message(severity: Severity, urn: string, text: string): void;
  /** The outputs of the stack, as the program exported them, and those of before. */
  outputs(outputs: PropertyMap, before: PropertyMap): void;
}
