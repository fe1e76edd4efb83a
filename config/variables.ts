import { isPublicVariable } from "../host/conductor/releases/variables";
import { configCommand, type Fault } from "./faults";
import { givenText } from "./keys";
import { placeholderIn } from "./rules/rule";
import { refInDatabaseUrl, refInUrl, supabaseKeyFaults } from "./supabase-keys";
import { faultAt, type RawConfig, soundAt } from "./validation";
import { SECRET_VARIABLES, type Variable, VARIABLES } from "./variable-table";
import { variablesIn } from "./variable-values";

/** A variable, and what it has to be. Holds nothing of its value. */
interface VariableFault {
  readonly name: string;
  readonly rule: string;
}

type Values = Readonly<Record<string, string>>;

/**
 * What is wrong with the application's variables, all of it at once: those of the guide where `variableRules` says so, and
 * secrets that everybody could read, always.
 * @param provided names of the variables that components give: the config need not
 */
export function findVariableFaults(raw: RawConfig, provided: ReadonlySet<string>): readonly Fault[] {
  const values = variablesIn(raw);
  const isGuide = soundAt(raw, ["variableRules"]) === "guide";
  const faults = [
    ...exposedFaults(values),
    ...(isGuide ? [...tableFaults(values, provided), ...strangerFaults(values)] : []),
    ...(isGuide
      ? [...projectFaults(raw, values), ...siteFaults(raw, values), ...reuseFaults(raw, values)]
      : []),
  ];
  return [
    ...faults.map(({ name, rule }) => faultAt(raw, ["variables", name], rule, remedyFor(name))),
    ...(isGuide ? buildFaults(raw) : []),
  ];
}

function remedyFor(name: string): string {
  const { known = "secret", example = "< value-file" } = VARIABLES.find((one) => one.name === name) ?? {};
  return `${configCommand(known === "secret" ? "set --secret" : "set", ["variables", name])} ${example}`;
}

/** Each variable of the guide for itself. */
function tableFaults(values: Values, provided: ReadonlySet<string>): VariableFault[] {
  return VARIABLES.filter(({ givenBy }) => givenBy !== "launcher").flatMap((variable) => {
    const { name, required, form } = variable;
    const value = values[name];
    if (value === undefined) {
      return required && !provided.has(name) ? [{ name, rule: `set: ${String(form(""))}` }] : [];
    }
    const rule = brokenRule(variable, value);
    return rule === undefined ? [] : [{ name, rule }];
  });
}

function brokenRule({ form }: Variable, value: string): string | undefined {
  const rule = String(form(""));
  if (placeholderIn(value) !== undefined || /\.\.\.|…/.test(value)) {
    return `your own value in place of a placeholder: ${rule}`;
  }
  if (value !== value.trim()) return `${rule}; without the blank or line break around it`;
  return form(value);
}

/** What the guide writes where a reader's own value belongs, in a variable that is not the guide's: [production-key]. */
const PLACEHOLDER = /\[[a-z]{2,}(?:-[a-z0-9]{2,})+\]|\byourdomain\.com\b|\byour-org\b/i;

/** Variables that the guide does not name. */
function strangerFaults(values: Values): VariableFault[] {
  const known = new Set(VARIABLES.map(({ name }) => name));
  return Object.entries(values)
    .filter(([name]) => !known.has(name))
    .flatMap(([name, value]) => {
      if (/^(sk|rk|pk)_test_/.test(value)) return [{ name, rule: "no key of Stripe's test mode" }];
      return PLACEHOLDER.test(value) ? [{ name, rule: "your own value in place of a placeholder" }] : [];
    });
}

/** What nobody but its owner may have, by the form that its maker gives it. */
const SECRET_FORMS: readonly RegExp[] = [
  /\b[sr]k_(?:live|test)_[A-Za-z0-9]{8}/,
  /\bwhsec_[A-Za-z0-9+/=]{8}/,
  /\bsb_secret_[A-Za-z0-9_-]{8}/,
  /\bsbp_[A-Za-z0-9_-]{16}/,
  /\bre_[A-Za-z0-9]{6,}_[A-Za-z0-9]{16}/,
  /\bpostgres(?:ql)?:\/\/[^/@\s]*:[^/@\s]+@/,
  /PRIVATE KEY-----/,
];

/** Shortest secret that is looked for in other values: a shorter text stands somewhere by chance. */
const SHORTEST = 16;

/** Everybody may read what is in a NEXT_PUBLIC_ variable. */
function exposedFaults(values: Values): VariableFault[] {
  const secrets = SECRET_VARIABLES.flatMap(({ name }) => values[name] ?? []).filter(
    (one) => one.length >= SHORTEST,
  );
  return Object.entries(values)
    .filter(([name]) => isPublicVariable(name))
    .filter(([, value]) => {
      const isForm = SECRET_FORMS.some((form) => form.test(value)) || isServiceRole(value);
      return isForm || secrets.some((secret) => value.includes(secret));
    })
    .map(([name]) => ({
      name,
      rule: "nothing that is secret, for it is in what every browser loads: revoke this one if it was ever deployed",
    }));
}

/** Is it a key of Supabase's older generation that goes around row level security? */
function isServiceRole(value: string): boolean {
  const payload = /eyJ[\w-]*\.(eyJ[\w-]*)\.[\w-]+/.exec(value)?.[1] ?? "";
  return /"role"\s*:\s*"service_role"/.test(Buffer.from(payload, "base64url").toString());
}

/** Keys, URLs and databases of one project of Supabase's. */
function projectFaults(raw: RawConfig, values: Values): VariableFault[] {
  const named = givenText(raw, ["supabase", "projectRef"]);
  const keyFaults = supabaseKeyFaults(values, named).map(({ variable: name, rule }) => ({ name, rule }));
  const name = "DATABASE_URL";
  const found = refInDatabaseUrl(values[name] ?? "");
  const ours = {
    "supabase.projectRef": named,
    databaseUrl: refInDatabaseUrl(givenText(raw, ["databaseUrl"]) ?? ""),
    "variables.NEXT_PUBLIC_SUPABASE_URL": refInUrl(values["NEXT_PUBLIC_SUPABASE_URL"] ?? ""),
  };
  const other = Object.entries(ours).find(([, ref]) => ref !== undefined && ref !== found);
  if (found === undefined || other === undefined) return keyFaults;
  return [
    ...keyFaults,
    { name, rule: `the URL of the database that ${other[0]} is about; it leads to another project's` },
  ];
}

/** Links in mails and redirects lead to where the front door answers. */
function siteFaults(raw: RawConfig, values: Values): VariableFault[] {
  const name = "NEXT_PUBLIC_SITE_URL";
  const domains = (soundAt(raw, ["site", "domains"]) as readonly string[] | undefined) ?? [];
  const [, host] = /^https:\/\/([^/?#@:]+)$/.exec(values[name] ?? "") ?? [];
  if (host === undefined || domains.length === 0 || domains.includes(host)) return [];
  return [{ name, rule: `https:// and one of site.domains (${domains.slice(0, 5).join(", ")})` }];
}

/** Secrets of the stack that are no variables, and must not be one either. */
const OTHER_SECRETS = [
  "testerSecret",
  "supabaseAccessToken",
  "backupSecretAccessKey",
  "monitoringSecretAccessKey",
] as const;

/** One value for two purposes: who learns it from one has the other. Told at the later one. */
function reuseFaults(raw: RawConfig, values: Values): VariableFault[] {
  const owners = new Map<string, string>();
  for (const key of OTHER_SECRETS) {
    const value = givenText(raw, [key]);
    if (value !== undefined) owners.set(bytesIn(value), key);
  }
  return SECRET_VARIABLES.flatMap(({ name }) => {
    const value = values[name];
    if (value === undefined) return [];
    const owner = owners.get(bytesIn(value));
    if (owner !== undefined) return [{ name, rule: `a value of its own; it is the one of ${owner}` }];
    owners.set(bytesIn(value), `variables.${name}`);
    return [];
  });
}

/** The same bytes in hexadecimal and in base64 are one secret. */
function bytesIn(value: string): string {
  if (/^(?:[0-9a-f]{2}){16,}$/i.test(value)) return value.toLowerCase();
  if (/^[A-Za-z0-9+/]{22,}={0,2}$/.test(value)) return Buffer.from(value, "base64").toString("hex");
  return value;
}

/** A build runs the code of whoever wrote a dependency: it is told what it needs, and nothing that only a server may know. */
function buildFaults(raw: RawConfig): Fault[] {
  const named = (soundAt(raw, ["application", "buildVariables"]) as readonly string[] | undefined) ?? [];
  const kept = new Set(SECRET_VARIABLES.filter(({ readAt }) => readAt === "run").map(({ name }) => name));
  return named.flatMap((name, index) => {
    const path = ["application", "buildVariables", index];
    const rule = `no secret that only the running application reads, as ${name} is`;
    return kept.has(name) ? [faultAt(raw, path, rule, configCommand("rm", path))] : [];
  });
}
