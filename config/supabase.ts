import { ACCESS_NAMES } from "../components/supabase-access";
import type { SupabaseSpec } from "../components/supabase-project";
import type { AuthSettings } from "../components/supabase-settings";
import { configCommand, type Fault, type Path } from "./faults";
import { attempt, fileAt, givenText, type Machine } from "./keys";
import type { StackValues } from "./schema/stack";
import { KeyFault } from "./ssh-keys";
import { refInDatabaseUrl, supabaseKeyFaults, type SupabaseVariable } from "./supabase-keys";
import type { SupabaseValues } from "./schema/supabase";
import { faultAt, type RawConfig, soundAt } from "./validation";
import { variablesIn } from "./variable-values";

type TemplateKind = keyof SupabaseValues["auth"]["templates"];

/** What the Management API calls each kind of mail. */
const TEMPLATE_NAMES: Readonly<Record<TemplateKind, string>> = {
  confirmation: "confirmation",
  invite: "invite",
  recovery: "recovery",
  magicLink: "magic_link",
  emailChange: "email_change",
  reauthentication: "reauthentication",
};
const TEMPLATE_KINDS = Object.keys(TEMPLATE_NAMES) as TemplateKind[];

/** Texts of mails by kind, of those that the configuration names a file for. */
export type MailTexts = Readonly<Partial<Record<TemplateKind, string>>>;

/** Largest text of a mail, in bytes: what mail programs show without cutting it. */
const MAIL_BYTES = 100 * 1024;

/** What a mail needs to be of any use: the link, or what it is made of. */
const LINK = /\{\{[^{}]*\.(ConfirmationURL|TokenHash|Token)\b[^{}]*\}\}/;

/** Variables that the project is reached by from the outside. */
const REACHED_BY = ["NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY"] as const;

/** What is set at a path, be it at fault; undefined for nothing. */
function setAt(raw: RawConfig, path: Path): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === "object" && at !== null ? (at as Record<string, unknown>)[step] : undefined),
    raw.values,
  );
}

/** Does the configuration name a project, be it by a value that is at fault? */
function isWanted(raw: RawConfig): boolean {
  const ref = setAt(raw, ["supabase", "projectRef"]);
  return (ref !== undefined && ref !== "") || setAt(raw, ["supabase", "create"]) !== undefined;
}

/** Does the stack make the project, be it by a value that is at fault? */
export function makesProject(raw: RawConfig): boolean {
  return setAt(raw, ["supabase", "create"]) !== undefined;
}

/** Names of the variables that a project gives which the stack makes: nobody knows their values before it is there. */
export function namesOfSupabase(raw: RawConfig): readonly string[] {
  return makesProject(raw) ? ACCESS_NAMES : [];
}

/** Reads what the configuration says about a Supabase project, but for values that stand for themselves. */
export function findSupabase(
  raw: RawConfig,
  machine: Machine,
): { readonly mails: MailTexts; readonly faults: readonly Fault[] } {
  if (!isWanted(raw)) return { mails: {}, faults: [] };
  const faults: Fault[] = [...originFaults(raw), ...smtpFaults(raw), ...variableFaults(raw)];
  if (soundAt(raw, ["supabaseAccessToken"]) === "") faults.push(faultAt(raw, ["supabaseAccessToken"]));
  const ref = givenText(raw, ["supabase", "projectRef"]);
  const url = givenText(raw, ["databaseUrl"]);
  const found = url === undefined ? undefined : refInDatabaseUrl(url);
  if (ref !== undefined && found !== undefined && found !== ref) {
    const rule = `the URL of the database of project ${ref}, which supabase.projectRef names; it leads to another one`;
    faults.push(faultAt(raw, ["databaseUrl"], rule));
  }
  const mails: Partial<Record<TemplateKind, string>> = {};
  for (const kind of TEMPLATE_KINDS) {
    const path = ["supabase", "auth", "templates", kind, "html"];
    const file = givenText(raw, path);
    if (file === undefined) continue;
    const text = attempt(raw, path, faults, () => mailAt(machine, file));
    if (text !== undefined) mails[kind] = text;
  }
  return { mails, faults };
}

function mailAt(machine: Machine, file: string): string {
  const text = fileAt(machine, file);
  if (text.trim() === "" || Buffer.byteLength(text) > MAIL_BYTES) {
    throw new KeyFault(
      `a file with a text of at most ${String(MAIL_BYTES / 1024)} KiB, and not an empty one`,
    );
  }
  if (!LINK.test(text)) {
    throw new KeyFault(
      "the text of a mail with its link or code in it: {{ .ConfirmationURL }}, {{ .TokenHash }} or {{ .Token }}",
    );
  }
  return text;
}

/** One project: either it is there, or the stack makes it. */
function originFaults(raw: RawConfig): Fault[] {
  const path = ["supabase", "create"];
  if (givenText(raw, ["supabase", "projectRef"]) === undefined) return [];
  if (setAt(raw, path) === undefined) return [];
  const rule = "not set beside supabase.projectRef: a project is adopted, or made by this stack";
  return [faultAt(raw, path, rule, configCommand("rm", path))];
}

function smtpFaults(raw: RawConfig): Fault[] {
  const path = ["supabase", "auth", "smtp"];
  if (setAt(raw, path) === undefined) return [];
  const { RESEND_API_KEY: key = "", NEXT_PUBLIC_FROM_EMAIL: from = "" } = variablesIn(raw);
  const faults: Fault[] = [];
  if (soundAt(raw, ["supabaseSmtpPassword"]) === "" && key === "") {
    const rule = "the password of supabase.auth.smtp, or empty where variables.RESEND_API_KEY is it";
    faults.push(faultAt(raw, ["supabaseSmtpPassword"], rule));
  }
  if (soundAt(raw, [...path, "sender"]) === "" && from === "") {
    const rule = "whom mails come from, where variables.NEXT_PUBLIC_FROM_EMAIL does not say so";
    faults.push(faultAt(raw, [...path, "sender"], rule));
  }
  return faults;
}

/** The variables that lead the application to the project, of which an adopted project needs those of the public. */
function variableFaults(raw: RawConfig): Fault[] {
  const known: Partial<Record<SupabaseVariable, string>> = variablesIn(raw);
  const ref = givenText(raw, ["supabase", "projectRef"]);
  const missing = ref === undefined ? [] : REACHED_BY.filter((name) => known[name] === undefined);
  return [
    ...missing.map((name) => ({ name, rule: `set: what the public can do is tried by it` })),
    ...supabaseKeyFaults(known, ref).map(({ variable: name, rule }) => ({ name, rule })),
  ].map(({ name, rule }) => {
    const path: Path = ["variables", name];
    return faultAt(raw, path, rule, `${configCommand("set --secret", path)} < value-file`);
  });
}

/** Groups of characters as the Management API wants them. */
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const REQUIRED_CHARACTERS = {
  none: "",
  "letters-digits": `${LOWER}${LOWER.toUpperCase()}:${DIGITS}`,
  "lower-upper-digits": `${LOWER}:${LOWER.toUpperCase()}:${DIGITS}`,
  "lower-upper-digits-symbols": `${LOWER}:${LOWER.toUpperCase()}:${DIGITS}:!@#$%^&*()_+-=[]{};'\\:"|<>?,./\`~`,
} as const;

/** The settings that the configuration names, as the Management API calls them. */
export function authSettings(values: StackValues, mails: MailTexts): AuthSettings {
  const { auth, auditLog } = values.supabase;
  const { smtp, password, templates } = auth;
  const settings: Record<string, string | number | boolean | undefined> = {
    site_url: auth.siteUrl ?? `https://${values.site.domains[0] ?? ""}`,
    uri_allow_list: auth.redirectUrls?.join(","),
    jwt_exp: auth.jwtExpirySeconds,
    password_min_length: password.minLength,
    password_required_characters:
      password.requiredCharacters && REQUIRED_CHARACTERS[password.requiredCharacters],
    password_hibp_enabled: password.refuseLeaked,
    audit_log_disable_postgres: auditLog === "database" ? false : undefined,
    smtp_host: smtp?.host,
    smtp_port: smtp && String(smtp.port),
    smtp_user: smtp?.user,
    smtp_admin_email: smtp && (smtp.sender || values.variables["NEXT_PUBLIC_FROM_EMAIL"]),
    smtp_sender_name: smtp?.senderName,
  };
  for (const kind of TEMPLATE_KINDS) {
    settings[`mailer_subjects_${TEMPLATE_NAMES[kind]}`] = templates[kind]?.subject;
    settings[`mailer_templates_${TEMPLATE_NAMES[kind]}_content`] = mails[kind];
  }
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as AuthSettings;
}

/** What the component is given; null for a stack without Supabase. Secrets are not marked yet. */
export function supabaseSpec(
  values: StackValues,
  mails: MailTexts,
  stack: string,
): (SupabaseSpec & { readonly accessToken: string; readonly smtpPassword: string | null }) | null {
  const { projectRef, create, apiUrl, auth, network, auditLog, backups, requireSsl, advisors, apiFunctions } =
    values.supabase;
  if (projectRef === "" && create === undefined) return null;
  const isMade = create !== undefined;
  const { NEXT_PUBLIC_SUPABASE_URL: url = "", NEXT_PUBLIC_SUPABASE_ANON_KEY: anonKey = "" } =
    values.variables;
  const smtpPassword = values.supabaseSmtpPassword || (values.variables["RESEND_API_KEY"] ?? "");
  return {
    apiUrl,
    accessToken: values.supabaseAccessToken,
    projectRef,
    create: !isMade ? null : { ...create, name: create.name ?? `${values.name}-${stack}` },
    auth: authSettings(values, mails),
    smtpPassword: auth.smtp === undefined ? null : smtpPassword,
    network: network ?? null,
    expected: { auditLog, backups, requireSsl, advisors },
    api: { url: url || null, anonKey: anonKey || null, functions: apiFunctions },
    told: {
      // A value of the config's goes before the project's own: a custom domain, or a pooler's URL.
      variables: isMade ? ACCESS_NAMES.filter((name) => (values.variables[name] ?? "") === "") : [],
      database: isMade && values.databaseUrl === "",
    },
  };
}
