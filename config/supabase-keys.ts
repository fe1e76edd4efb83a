import { isIPv4 } from "node:net";

/** The application's variables that lead it to its Supabase project. */
export type SupabaseVariable =
  "NEXT_PUBLIC_SUPABASE_URL" | "NEXT_PUBLIC_SUPABASE_ANON_KEY" | "SUPABASE_SERVICE_ROLE_KEY";

/** What is wrong with one of these variables. Holds nothing of its value. */
export interface SupabaseKeyFault {
  readonly variable: SupabaseVariable;
  /** What the value has to be, as the end of the sentence "it has to be ...". */
  readonly rule: string;
}

/** Where the dashboard shows both generations of keys. */
const WHERE = "(the project's dashboard, Settings, API keys)";

const PRIVATE_ADDRESS = /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/;

/** URL of a project on Supabase's own domain; the label is the project's ref. */
const HOSTED = /^https:\/\/([a-z0-9]{20})\.supabase\.(?:co|in)$/;

/** The project that a URL on Supabase's own domain leads to; undefined for a domain of one's own. */
export function refInUrl(url: string): string | undefined {
  return HOSTED.exec(url)?.[1];
}

/** What in a database's URL says which project it belongs to: the host, or a pooler's user. */
const DATABASE_OF_PROJECT =
  /^postgres(?:ql)?:\/\/(?:postgres\.([a-z]{20})[:@]|[^@]*@db\.([a-z]{20})\.supabase\.)/;

/** The project whose database a URL leads to; undefined where the URL does not say so. */
export function refInDatabaseUrl(url: string): string | undefined {
  const [, pooled, direct] = DATABASE_OF_PROJECT.exec(url) ?? [];
  return pooled ?? direct;
}

/** A key as far as it says of itself what it is. */
type KeyKind =
  | { readonly kind: "publishable" | "secret" | "unknown" }
  | { readonly kind: "jwt"; readonly role: string; readonly ref: string | undefined };

/** Reads what a key says of itself. Nobody but Supabase can tell whether that is true. */
function kindOf(key: string): KeyKind {
  if (/^sb_publishable_[A-Za-z0-9_-]{10,}$/.test(key)) return { kind: "publishable" };
  if (/^sb_secret_[A-Za-z0-9_-]{10,}$/.test(key)) return { kind: "secret" };
  const payload = /^eyJ[\w-]*\.(eyJ[\w-]*)\.[\w-]+$/.exec(key)?.[1];
  if (payload === undefined) return { kind: "unknown" };
  try {
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
    const { role, ref } = claims;
    if (typeof role !== "string") return { kind: "unknown" };
    return { kind: "jwt", role, ref: typeof ref === "string" ? ref : undefined };
  } catch {
    return { kind: "unknown" };
  }
}

function urlFault(url: string, projectRef: string | undefined): string | undefined {
  const form = "the project's URL, https://PROJECT.supabase.co, without a path and without / at its end";
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return form;
  }
  if (parsed.origin !== url) return form;
  const isNear = isIPv4(parsed.hostname) && PRIVATE_ADDRESS.test(parsed.hostname);
  if (parsed.protocol !== "https:" && !isNear) return form;
  const ref = refInUrl(url);
  if (projectRef === undefined || ref === undefined || ref === projectRef) return undefined;
  return `the URL of the project ${projectRef}, which supabase.projectRef names; it leads to another one`;
}

interface KeyRule {
  readonly variable: SupabaseVariable;
  /** Its kind in the newer generation, and its role in the older one. */
  readonly kind: "publishable" | "secret";
  readonly role: "anon" | "service_role";
  /** What both of its forms are called. */
  readonly form: string;
}

const ANON: KeyRule = {
  variable: "NEXT_PUBLIC_SUPABASE_ANON_KEY",
  kind: "publishable",
  role: "anon",
  form: `the project's publishable key (sb_publishable_...) or its anon key (eyJ...) ${WHERE}`,
};

const SERVICE: KeyRule = {
  variable: "SUPABASE_SERVICE_ROLE_KEY",
  kind: "secret",
  role: "service_role",
  form: `the project's secret key (sb_secret_...) or its service_role key (eyJ...) ${WHERE}`,
};

function keyFault(key: string, rule: KeyRule, ref: string | undefined): string | undefined {
  const found = kindOf(key);
  const secretMeant = found.kind === "secret" || (found.kind === "jwt" && found.role === "service_role");
  if (rule === ANON && secretMeant) {
    return `${rule.form}; it is a key that goes around row level security, and everybody could read it: revoke it if it was ever deployed`;
  }
  if (found.kind === "unknown") return rule.form;
  if (found.kind !== "jwt") return found.kind === rule.kind ? undefined : rule.form;
  if (found.role !== rule.role) return `${rule.form}; the role in it is not ${rule.role}`;
  if (ref === undefined || found.ref === undefined || found.ref === ref) return undefined;
  return `${rule.form} of the project ${ref}; it belongs to another one`;
}

/**
 * What is wrong with the variables that lead to a Supabase project, of those that are there: forms, roles and whose they
 * are, for both generations of keys. Pure; messages hold nothing of a key.
 * @param projectRef The project that the stack is about, if it names one; else the one of the URL.
 */
export function supabaseKeyFaults(
  values: Readonly<Partial<Record<SupabaseVariable, string>>>,
  projectRef?: string,
): SupabaseKeyFault[] {
  const { NEXT_PUBLIC_SUPABASE_URL: url } = values;
  const faults: SupabaseKeyFault[] = [];
  const add = (variable: SupabaseVariable, rule: string | undefined) => {
    if (rule !== undefined) faults.push({ variable, rule });
  };
  if (url !== undefined) add("NEXT_PUBLIC_SUPABASE_URL", urlFault(url, projectRef));
  const ref = projectRef ?? (url === undefined ? undefined : refInUrl(url));
  for (const rule of [ANON, SERVICE]) {
    const key = values[rule.variable];
    if (key !== undefined) add(rule.variable, keyFault(key, rule, ref));
  }
  return faults;
}
