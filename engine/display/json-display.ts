import type { Step } from "../deployment/planner";
import type { Severity } from "../providers/provider";
import type { ResourceState } from "../state/resource";
import { parseUrn, STACK_TYPE } from "../state/urn";
import { redact, type PropertyMap } from "../values/property";
import { Concealer } from "./concealer";
import type { DeploymentDisplay } from "./text-display";
import { changeSummary, HALVES, isInternal } from "./words";

/** Gathers a preview and prints it as one JSON document, in the shape of the CLI's. */
export class JsonDisplay implements DeploymentDisplay {
  private readonly concealer = new Concealer();
  private readonly diagnostics: { message: string; severity: Severity; urn?: string }[] = [];

  /** `config` is shown as it is: secrets in it have to be masked already. */
  constructor(
    private readonly write: (line: string) => void,
    private readonly config: Readonly<Record<string, string>>,
  ) {}

  conceal(strings: Iterable<string>): void {
    this.concealer.add(strings);
  }

  stepStarted(): void {
    // A step that was planned and begun is told at the end, with all others.
  }

  stepFinished(): void {
    // As above.
  }

  message(severity: Severity, urn: string, text: string): void {
    if (severity !== "debug")
      this.diagnostics.push({ ...(urn === "" ? {} : { urn }), message: text, severity });
  }

  outputs(): void {
    // The outputs are those of the stack's own step.
  }

  finished(steps: readonly Step[], seconds: number): void {
    const document = {
      config: this.config,
      steps: steps.filter(isTold).map(jsonStep),
      diagnostics: this.diagnostics,
      duration: Math.round(seconds * 1e9),
      changeSummary: changeSummary(steps),
    };
    this.write(this.concealer.mask(JSON.stringify(document, undefined, 4)));
  }
}

/** The two halves of a replacement are told by the replacement; of what is unchanged only the stack is told. */
function isTold(step: Step): boolean {
  if (isInternal(step) || HALVES.includes(step.op)) return false;
  return step.op !== "same" || parseUrn(step.urn).type === STACK_TYPE;
}

function jsonStep({ op, urn, old, next, diff }: Step): object {
  const provider = next?.provider ?? old?.provider;
  return {
    op,
    urn,
    ...(provider ? { provider } : {}),
    ...(old ? { oldState: jsonState(old) } : {}),
    ...(next ? { newState: jsonState(next) } : {}),
    ...(diff && diff.changedKeys.length > 0 ? { diffReasons: diff.changedKeys } : {}),
    ...(diff && diff.replaceKeys.length > 0 ? { replaceReasons: diff.replaceKeys } : {}),
    detailedDiff: diff?.detailed
      ? Object.fromEntries(
          Object.entries(diff.detailed).map(([path, kind]) => [path, { kind, inputDiff: false }]),
        )
      : null,
  };
}

function jsonState({ carried, ...state }: ResourceState): object {
  const show = (properties: PropertyMap | undefined): object =>
    properties ? (redact(properties) as PropertyMap) : {};
  const shown: Record<string, unknown> = {
    ...carried,
    ...state,
    inputs: show(state.inputs),
    outputs: show(state.outputs),
  };
  return Object.fromEntries(
    Object.entries(shown).filter(([key, value]) => key === "custom" || !isEmpty(value)),
  );
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === false || value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
