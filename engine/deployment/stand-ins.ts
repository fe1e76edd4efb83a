import { DYNAMIC_PACKAGE } from "../providers/registry";
import { StandInProvider } from "../providers/stand-in/provider";

/** Packages whose providers ask nobody in a preview: a plan that nobody is to be asked for has them as they are. */
const SELF_SUFFICIENT: readonly string[] = ["command", "random"];

/** The stand-ins of an offline plan, by package. */
export class StandIns {
  private readonly used = new Map<string, StandInProvider>();

  /** The stand-in for a package's provider; undefined where the provider itself may be asked. */
  of(packageName: string): StandInProvider | undefined {
    if (SELF_SUFFICIENT.includes(packageName)) return undefined;
    const known = this.used.get(packageName) ?? new StandInProvider();
    this.used.set(packageName, known);
    return known;
  }

  /** What the plan is, and who was stood in for, in one line. */
  describe(): string {
    const names = [...this.used.keys()].map((name) =>
      name === DYNAMIC_PACKAGE ? "the program's dynamic providers" : name,
    );
    const functions = [...this.used.values()].flatMap((each) => [...each.functions]);
    if (names.length === 0) return "offline plan: nobody is asked; no provider had to be stood in for";
    const unknown =
      functions.length === 0 ? "" : `, and what these functions answer: ${functions.join(", ")}`;
    return `offline plan: nobody is asked and nothing is checked by ${names.sort().join(", ")}; what comes from there is unknown${unknown}`;
  }
}
