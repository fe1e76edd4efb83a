import { ACCESS_NAMES } from "../../components/supabase-access";
import { placeholderIn } from "../../config/rules/rule";
import type { OfflineConfig, OfflineValue, OfflineValues } from "../../engine/workspace/offline-values";
import { DOMAIN, madeUpKeys, madeUpPrivateKey, withOperatorValues, ZONE_ID } from "./made-up";

/**
 * The values of a stack's config in an offline plan: as they are, unless the guide's placeholders are among them. Then those, and the
 * secrets that nobody has set, are stood in for, so that the plan can be read before there are accounts. `bin/pulumi` names this module
 * to the engine, which loads it for nothing else; a plain preview and an `up` refuse each placeholder by name.
 */
export function offlineValues({ file, namespace, values }: OfflineConfig): OfflineValues {
  const filler = new Filler(namespace, values);
  if (!filler.fillPlaceholders()) return { values };
  filler.fillSecrets();
  const { made } = filler;
  return {
    values: filler.values,
    notice:
      `offline plan: ${String(made.length)} values of ${file} are placeholders or not set, and stood in for by made-up ones, ` +
      `which no other command takes: ${made.join(", ")}`,
  };
}

type Tree = Readonly<Record<string, unknown>>;

/** The variables among the made-up keys; the others are keys of the config itself. */
const isVariable = (name: string): boolean => /^[A-Z]/.test(name);

class Filler {
  readonly values: Map<string, OfflineValue>;
  /** Paths of what was made up, in the order of the config. */
  readonly made: string[] = [];

  constructor(
    private readonly namespace: string,
    given: ReadonlyMap<string, OfflineValue>,
  ) {
    this.values = new Map(given);
  }

  /** Puts values in the place of placeholders; returns whether there were any that are known. */
  fillPlaceholders(): boolean {
    const [own] = [this.at("site", "domains")].flat();
    const domain = typeof own === "string" && placeholderIn(own) === undefined ? own : DOMAIN;
    const filled = (value: unknown, path: string): unknown => {
      if (typeof value === "string") {
        const other = placeholderIn(value) === undefined ? value : withOperatorValues(value, domain);
        if (other !== value) this.made.push(path);
        return other;
      }
      if (Array.isArray(value)) return value.map((each, index) => filled(each, `${path}[${String(index)}]`));
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([name, each]) => [name, filled(each, `${path}.${name}`)]),
      );
    };
    for (const [key, { value, secret }] of this.values) {
      const [namespace, name = ""] = key.split(":");
      if (namespace === this.namespace) this.values.set(key, { value: filled(value, name), secret });
    }
    return this.made.length > 0;
  }

  /** Sets what docs/production.md sets and no file in the repository can hold, as far as the stack wants it and has none. */
  fillSecrets(): void {
    if (this.at("host", "privateKeyFile") === undefined) this.set("hostPrivateKey", madeUpPrivateKey());
    if (this.at("host", "mode") === "ec2") this.setIn("host", "ec2", { zoneId: ZONE_ID });
    for (const [name, value] of Object.entries(madeUpKeys(this.projectRef))) {
      if (this.isProjects(name)) continue;
      if (isVariable(name)) this.setVariable(name, value);
      else if (this.wants(name)) this.set(name, value);
    }
  }

  /** Whether a project of Supabase's that the stack makes gives a value itself. */
  private isProjects(name: string): boolean {
    const isAccess = name === "databaseUrl" || (ACCESS_NAMES as readonly string[]).includes(name);
    return isAccess && this.at("supabase", "create") !== undefined;
  }

  /** Whether a key of the config itself has something to open; without that, it would be a fault or change the plan. */
  private wants(name: string): boolean {
    if (name === "databaseUrl") return this.at("backups", "bucket") !== undefined;
    if (name === "stripeApiKey") return this.at("stripe", "webhook") !== undefined;
    return this.projectRef !== undefined || this.at("supabase", "create") !== undefined;
  }

  private get projectRef(): string | undefined {
    const ref = this.at("supabase", "projectRef");
    return typeof ref === "string" && ref !== "" ? ref : undefined;
  }

  private set(name: string, value: string): void {
    const key = `${this.namespace}:${name}`;
    if (!isEmpty(this.values.get(key)?.value)) return;
    this.values.set(key, { value, secret: true });
    this.made.push(name);
  }

  private setVariable(name: string, value: string): void {
    const rules = this.at("variableRules");
    if (rules !== undefined && rules !== "guide") return;
    const variables = this.tree("variables");
    if (!isEmpty(variables[name])) return;
    this.put("variables", { ...variables, [name]: value }, true);
    this.made.push(`variables.${name}`);
  }

  /** Sets keys of a group in a group, as far as they are not set. */
  private setIn(group: string, inner: string, wanted: Readonly<Record<string, string>>): void {
    const there = asTree(this.tree(group)[inner]);
    const missing = Object.entries(wanted).filter(([name]) => isEmpty(there[name]));
    if (missing.length === 0) return;
    const value = { ...this.tree(group), [inner]: { ...there, ...Object.fromEntries(missing) } };
    this.put(group, value, this.values.get(`${this.namespace}:${group}`)?.secret ?? false);
    this.made.push(...missing.map(([name]) => `${group}.${inner}.${name}`));
  }

  private put(name: string, value: unknown, secret: boolean): void {
    this.values.set(`${this.namespace}:${name}`, { value, secret });
  }

  private at(name: string, inner?: string): unknown {
    const value =
      inner === undefined ? this.values.get(`${this.namespace}:${name}`)?.value : this.tree(name)[inner];
    return isEmpty(value) ? undefined : value;
  }

  private tree(name: string): Tree {
    return asTree(this.values.get(`${this.namespace}:${name}`)?.value);
  }
}

function asTree(value: unknown): Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Tree) : {};
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}
