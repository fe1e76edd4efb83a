import type { PropertyMap } from "../values/property";
import type { CustomTimeouts } from "../state/resource";

/** What a program wants a resource to be. */
export interface Goal {
  readonly type: string;
  readonly name: string;
  /** URN of the parent; empty for none. */
  readonly parent: string;
  readonly custom: boolean;
  readonly inputs: PropertyMap;
  /** `URN::ID` of the provider that the program chose; empty for the default one. */
  readonly provider: string;
  /** Version of the package, for the default provider; empty where the program does not say. */
  readonly version: string;
  readonly dependencies: readonly string[];
  readonly propertyDependencies: Readonly<Record<string, string[]>>;
  /** Undefined means: as the parent. */
  readonly protect: boolean | undefined;
  /** Undefined means: as the parent. */
  readonly retainOnDelete: boolean | undefined;
  /** Undefined means: as the provider says. */
  readonly deleteBeforeReplace: boolean | undefined;
  readonly deletedWith: string;
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly customTimeouts: CustomTimeouts;
  /** URNs under which the resource may have been known before. */
  readonly aliases: readonly string[];
  readonly sourcePosition: string;
}

/** An existing resource that a program wants to know, and not to manage. */
export interface ReadGoal {
  readonly type: string;
  readonly name: string;
  /** URN of the parent; empty for none. */
  readonly parent: string;
  /** Its id; `UNKNOWN` in a preview that cannot know it. */
  readonly id: string;
  /** What helps to find it beside the id. */
  readonly inputs: PropertyMap;
  /** `URN::ID` of the provider that the program chose; empty for the default one. */
  readonly provider: string;
  /** Version of the package, for the default provider; empty where the program does not say. */
  readonly version: string;
  readonly dependencies: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly sourcePosition: string;
}

/** A function of a package that a program calls. */
export interface FunctionCall {
  /** `aws:index/getRegion:getRegion`. */
  readonly token: string;
  readonly arguments: PropertyMap;
  /** `URN::ID` of the provider that the program chose; empty for the default one. */
  readonly provider: string;
  /** Version of the package, for the default provider; empty where the program does not say. */
  readonly version: string;
  /** URNs of resources that have to exist before the call makes sense. */
  readonly dependencies: readonly string[];
}

/** Parses a duration as Go writes it (`90s`, `1h15m`), in seconds. Fails where the text is not one. */
export function parseDuration(text: string): number {
  const units: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };
  const pattern = /(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)/gy;
  let seconds = 0;
  let position = 0;
  while (position < text.length) {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (!match) throw new Error(`"${text}" is not a duration: expected a form such as 90s or 1h15m`);
    seconds += Number(match[1]) * (units[match[2] ?? "s"] ?? 1);
    position = pattern.lastIndex;
  }
  return seconds;
}
