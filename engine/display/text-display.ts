import { stripVTControlCharacters } from "node:util";
import { SECRET_MASK, type PropertyMap } from "../values/property";
import { changesBetween, replacementReasons, sameValue, type Change } from "../values/diff";
import { formatPath } from "../values/path";
import type { Op, Step } from "../deployment/planner";
import type { DeploymentEvents } from "../deployment/events";
import type { Severity } from "../providers/provider";
import { parseUrn } from "../state/urn";
import { isInternal, isUnchangedRead, OP_WORDS, showDuration, showValue, summaryLine } from "./words";
import { Concealer } from "./concealer";

/** What is told by nothing, or by its two halves. */
const UNTOLD: readonly Op[] = ["same", "replace"];

/** A display that can also show how a deployment ended. */
export interface DeploymentDisplay extends DeploymentEvents {
  /** `planned` is true for a preview. */
  finished(steps: readonly Step[], seconds: number, planned: boolean): void;
}

/** Shows a deployment as lines of text, as it goes. */
export class TextDisplay implements DeploymentDisplay {
  private readonly concealer = new Concealer();
  private stackOutputs: { readonly now: PropertyMap; readonly before: PropertyMap } | undefined;

  /** `write` gets whole lines without their end. */
  constructor(
    private readonly write: (line: string) => void,
    private readonly options: { readonly planned: boolean; readonly showSecrets: boolean },
  ) {}

  conceal(strings: Iterable<string>): void {
    this.concealer.add(strings);
  }

  stepStarted(step: Step): void {
    if (UNTOLD.includes(step.op) || isInternal(step) || step.op === "read") return;
    const { sign, plan, doing } = OP_WORDS[step.op];
    this.line(` ${sign} ${this.title(step)} ${this.options.planned ? plan : doing}`);
    if (this.options.planned) this.showChanges(step);
  }

  stepFinished(step: Step, seconds: number, error?: string): void {
    if (UNTOLD.includes(step.op) || isInternal(step)) return;
    const { sign, plan, doing, done } = OP_WORDS[step.op];
    // Only when it was read is it known whether there is anything to tell.
    if (step.op === "read" && error === undefined && isUnchangedRead(step)) return;
    if (this.options.planned) {
      if (step.op !== "read" && !step.refreshed) return;
      this.line(` ${sign} ${this.title(step)} ${plan}`);
      this.showChanges(step);
      return;
    }
    const outcome = error === undefined ? done : `${doing} failed`;
    this.line(` ${sign} ${this.title(step)} ${outcome} (${showDuration(seconds)})`);
    // A change that was found is news; one that is made was announced.
    if (step.refreshed) this.showChanges(step);
  }

  private showChanges(step: Step): void {
    for (const line of changeLines(step)) this.line(`      ${line}`);
  }

  message(severity: Severity, urn: string, text: string): void {
    if (severity === "debug") return;
    const name = urn === "" ? "" : `${parseUrn(urn).name}: `;
    const label = severity === "info" ? "" : `${severity}: `;
    for (const line of stripVTControlCharacters(text).trimEnd().split("\n"))
      this.line(`    ${name}${label}${line}`);
  }

  outputs(outputs: PropertyMap, before: PropertyMap): void {
    this.stackOutputs = { now: outputs, before };
  }

  finished(steps: readonly Step[], seconds: number, planned: boolean): void {
    if (this.stackOutputs) this.showOutputs(this.stackOutputs.now, this.stackOutputs.before);
    this.line(`Resources: ${summaryLine(steps, planned)}`);
    this.line(`Duration: ${showDuration(seconds)}`);
  }

  private showOutputs(now: PropertyMap, before: PropertyMap): void {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
    if (names.length > 0) this.line("Outputs:");
    for (const name of names) {
      const [old, next] = [before[name], now[name]];
      if (next === undefined) this.line(`  - ${name}: ${showValue(old)}`);
      else if (old === undefined) this.line(`  + ${name}: ${showValue(next)}`);
      else if (sameValue(old, next)) this.line(`    ${name}: ${showValue(next)}`);
      else this.line(`  ~ ${name}: ${showValue(old)} => ${showValue(next)}`);
    }
  }

  private title({ urn }: Step): string {
    const { type, name } = parseUrn(urn);
    return `${type} ${name}`;
  }

  private line(text: string): void {
    this.write(this.options.showSecrets ? text : this.concealer.mask(text));
  }
}

/** What a preview shows of a step's changed properties. */
function changeLines({ op, old, next, diff, refreshed }: Step): string[] {
  if (op === "create" || !next || !old) return [];
  const inputs = changesBetween(old.inputs ?? {}, next.inputs ?? {});
  const changes =
    refreshed && inputs.length === 0 ? changesBetween(old.outputs ?? {}, next.outputs ?? {}) : inputs;
  const lines = changes.map(changeLine);
  const reasons = diff ? replacementReasons(diff) : [];
  return reasons.length > 0 ? [`replaced because of: ${reasons.join(", ")}`, ...lines] : lines;
}

function changeLine({ path, before, after }: Change): string {
  const name = formatPath(path);
  // A change inside a secret is told by the secret's own key alone.
  const [shownBefore, shownAfter] = [showValue(before), showValue(after)];
  if (before === undefined) return `+ ${name}: ${shownAfter}`;
  if (after === undefined) return `- ${name}: ${shownBefore}`;
  const hidden = shownBefore === JSON.stringify(SECRET_MASK) && shownAfter === shownBefore;
  return `~ ${name}: ${hidden ? SECRET_MASK : `${shownBefore} => ${shownAfter}`}`;
}
