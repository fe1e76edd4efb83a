import type { SecretsSpec } from "../components/app-secrets";
import { isPublicVariable } from "../host/conductor/releases/variables";
import { configCommand, type Fault, type Path } from "./faults";
import type { StackValues } from "./schema/stack";
import type { SecretsValues } from "./schema/secrets";
import { faultAt, type RawConfig, soundAt, valueAt } from "./validation";
import { variablesIn } from "./variable-values";
import { VARIABLES } from "./variable-table";

type Forms = SecretsValues["generate"];

const GENERATE: Path = ["secrets", "generate"];

/** The generated variables' forms that are sound, whatever is wrong with others. */
function formsIn(raw: RawConfig): Forms {
  const whole = soundAt(raw, GENERATE) as Forms | undefined;
  if (whole !== undefined) return whole;
  const sound = [...generatedNames(raw)].map((name) => [name, soundAt(raw, [...GENERATE, name])]);
  return Object.fromEntries(sound.filter(([, form]) => form !== undefined)) as Forms;
}

/** Names of the variables that the stack makes itself, be their forms at fault. */
export function generatedNames(raw: RawConfig): ReadonlySet<string> {
  const generate = soundAt(raw, GENERATE) ?? valueAt(raw.values, GENERATE);
  return new Set(typeof generate === "object" && generate !== null ? Object.keys(generate) : []);
}

/** What is wrong with the group `secrets` beside the values that stand for themselves. */
export function findSecrets(raw: RawConfig): readonly Fault[] {
  return [...generateFaults(raw), ...generationFaults(raw)];
}

/** What a value that nobody but the stack knows cannot be. */
function generateFaults(raw: RawConfig): Fault[] {
  return Object.entries(formsIn(raw)).flatMap(([name, form]) => {
    const path: Path = [...GENERATE, name];
    const remove = configCommand("rm", path);
    if (isPublicVariable(name)) {
      return [faultAt(raw, path, "not a NEXT_PUBLIC_ variable, which everybody may read", remove)];
    }
    const known = VARIABLES.find((variable) => variable.name === name);
    if (soundAt(raw, ["variableRules"]) !== "guide" || known === undefined) return [];
    if (known.givenBy !== "stack") {
      return [faultAt(raw, path, `not there: ${name} is somebody else's to give`, remove)];
    }
    const wanted = EXAMPLES.find(([, example]) => known.form(example) === undefined)?.[0];
    const other = EXAMPLES.find(([each]) => each === form)?.[1] ?? "";
    return known.form(other) === undefined
      ? []
      : [faultAt(raw, path, `${String(wanted)}: ${String(known.form(other))}`)];
  });
}

/** A value of each form, to try a variable's rule with: no key, only as long as one. */
const BYTES = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
const EXAMPLES: readonly (readonly [Forms[string], string])[] = [
  ["base64-32", BYTES.toString("base64")],
  ["hex-32", BYTES.toString("hex")],
];

/** A number that rotates nothing would be taken for a rotation. */
function generationFaults(raw: RawConfig): Fault[] {
  const generations = (soundAt(raw, ["secrets", "generations"]) as Record<string, number> | undefined) ?? {};
  const generated = formsIn(raw);
  const given = variablesIn(raw);
  return Object.keys(generations).flatMap((name) => {
    const path: Path = ["secrets", "generations", name];
    const remove = configCommand("rm", path);
    if (generated[name] === undefined) {
      return [faultAt(raw, path, "the number of a variable that secrets.generate names", remove)];
    }
    if (given[name] === undefined) return [];
    return [
      faultAt(raw, path, `not set beside variables.${name}, which is the value whatever the number`, remove),
    ];
  });
}

/**
 * What the component is given; null for a stack that makes none. Where the config gives all of them, it is there still:
 * what was made for the stack stays known to it.
 */
export function secretsSpec({ secrets, variables }: StackValues): SecretsSpec | null {
  const names = Object.keys(secrets.generate);
  if (names.length === 0) return null;
  const generated = Object.entries(secrets.generate)
    .filter(([name]) => variables[name] === undefined)
    .map(([name, form]) => [name, { form, generation: secrets.generations[name] ?? 1 }] as const);
  return { generated: Object.fromEntries(generated) };
}
