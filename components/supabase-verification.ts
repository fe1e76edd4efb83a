/** The provider of what Supabase has to have done for a project before the schema may change. */
import type {
  CreateResult,
  DiffResult,
  ReadResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import { type ApiAccess, isOtherProject, type Lint, type Restrictions, SupabaseApi } from "./supabase-api";

/** What is expected of a project. */
export interface Expectations {
  /** Where logins have to be recorded. */
  readonly auditLog: "database" | "platform";
  /** What Supabase has to keep of the database. */
  readonly backups: "pitr" | "daily" | "none";
  /** Whether the database has to refuse connections without TLS. */
  readonly requireSsl: boolean;
  /** What a fault of the security advisors does. */
  readonly advisors: "stop" | "tell" | "off";
}

/** What the program gives. */
export interface VerificationInputs extends ApiAccess {
  readonly ref: string;
  readonly expected: Expectations;
  /** Networks that may connect to the database, all others not; empty where nobody says. */
  readonly allow: readonly string[];
  /** What the schema shall be, an entry a migration: a new one is verified for. */
  readonly migrations: readonly string[];
}

/** One thing that was looked at. */
export interface Finding {
  readonly name: "audit-log" | "backups" | "network" | "ssl" | "advisors";
  /** `fault` stops an `up` that brings something new; `told` never does. */
  readonly verdict: "ok" | "told" | "fault";
  /** What was found and, unless it is well, what to do. */
  readonly text: string;
}

/** What is kept. */
export interface VerificationState extends VerificationInputs {
  readonly findings: readonly Finding[];
}

/** Verifies once for each new migration and expectation, so that going back to what was needs no word of Supabase's. */
export const verification: ResourceProvider<VerificationInputs, VerificationState> = {
  diff,
  create,
  update,
  read,
  delete: () => Promise.resolve(),
};

function diff(_id: string, olds: VerificationState, news: VerificationInputs): Promise<DiffResult> {
  const replaces = isOtherProject(olds.ref, news.ref) ? ["ref"] : [];
  const changes =
    replaces.length > 0 ||
    isNew(olds, news) ||
    olds.accessToken !== news.accessToken ||
    olds.apiUrl !== news.apiUrl ||
    faultsOf(olds.findings).length > 0;
  return Promise.resolve({ changes, replaces });
}

/** Is there something that was never verified for? What was taken away is not: that is the way back. */
export function isNew(
  olds: Pick<VerificationInputs, "expected" | "allow" | "migrations">,
  news: Pick<VerificationInputs, "expected" | "allow" | "migrations">,
): boolean {
  const known = new Set(olds.migrations);
  return (
    news.migrations.some((one) => !known.has(one)) ||
    Object.entries(news.expected).some(
      ([key, value]) => olds.expected[key as keyof Expectations] !== value,
    ) ||
    olds.allow.join() !== news.allow.join()
  );
}

async function create(inputs: VerificationInputs): Promise<CreateResult<VerificationState>> {
  const findings = await verify(inputs);
  requireNone(inputs.ref, findings);
  return { id: inputs.ref, outs: { ...inputs, findings } };
}

async function update(
  _id: string,
  olds: VerificationState,
  news: VerificationInputs,
): Promise<UpdateResult<VerificationState>> {
  if (isNew(olds, news)) {
    const findings = await verify(news);
    requireNone(news.ref, findings);
    return { outs: { ...news, findings } };
  }
  // Nothing new is about to happen: what is found is told, and stands in the way of nothing, be it of the way back.
  try {
    const findings = await verify(news);
    for (const { text } of faultsOf(findings)) console.error(`Supabase: ${text}`);
    return { outs: { ...news, findings } };
  } catch (error) {
    console.error((error as Error).message);
    return { outs: { ...news, findings: olds.findings } };
  }
}

async function read(id: string, state?: VerificationState): Promise<ReadResult<VerificationState>> {
  if (state === undefined) throw new Error("a verification is made, and not imported");
  const api = new SupabaseApi(state);
  if ((await api.project(state.ref)) === null) return {};
  return { id, props: { ...state, findings: await verify(state) } };
}

function faultsOf(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ verdict }) => verdict === "fault");
}

/** @throws Error that names every fault */
function requireNone(ref: string, findings: readonly Finding[]): void {
  const faults = faultsOf(findings);
  if (faults.length === 0) return;
  const list = faults.map(({ name, text }) => `  ${name}: ${text}`).join("\n");
  throw new Error(
    `project ${ref} is not as it has to be, and nothing was done to its schema:\n${list}\nThen run \`pulumi up\` again`,
  );
}

/** Looks at everything, and tells on standard error what is well enough and yet has to be known. */
async function verify(inputs: VerificationInputs): Promise<readonly Finding[]> {
  const { ref, expected, allow } = inputs;
  const api = new SupabaseApi(inputs);
  const [auth, backups, restrictions, ssl, lints, project] = await Promise.all([
    api.auth(ref),
    api.backups(ref),
    api.restrictions(ref),
    expected.requireSsl ? api.requiresSsl(ref) : true,
    expected.advisors === "off" ? [] : api.advisors(ref),
    api.project(ref),
  ]);
  const findings = [
    auditLog(auth, expected.auditLog),
    kept(backups, expected.backups, { now: new Date(), madeAt: project?.created_at }),
    network(restrictions, allow),
    sslEnforced(ssl),
    ...advised(lints, expected.advisors),
  ];
  for (const { verdict, text } of findings) if (verdict === "told") console.error(`Supabase: ${text}`);
  return findings;
}

/** Where logins are recorded. */
export function auditLog(
  auth: Readonly<Record<string, unknown>>,
  expected: Expectations["auditLog"],
): Finding {
  const name = "audit-log";
  if (expected === "platform") return { name, verdict: "ok", text: "logins are recorded by the platform" };
  if (auth["audit_log_disable_postgres"] !== true)
    return { name, verdict: "ok", text: "logins are recorded in auth.audit_log_entries" };
  return {
    name,
    verdict: "fault",
    text:
      "logins are not recorded in the database: turn it on (dashboard, Authentication, Audit Logs); or, where the logs " +
      "of the platform are the audit log, `pulumi config set --path supabase.auditLog platform`",
  };
}

/** How old the newest daily backup may be, in hours: a day, and one that is late. */
const DAILY_HOURS = 48;

/** What Supabase keeps of the database. */
export function kept(
  found: {
    readonly pitr_enabled: boolean;
    readonly backups: readonly { readonly status: string; readonly inserted_at: string }[];
  },
  expected: Expectations["backups"],
  { now, madeAt }: { readonly now: Date; readonly madeAt?: string | undefined },
): Finding {
  const name = "backups";
  if (expected === "none") return { name, verdict: "ok", text: "nobody asks for Supabase's backups" };
  if (found.pitr_enabled) return { name, verdict: "ok", text: "point-in-time recovery is on" };
  if (expected === "pitr") {
    const text =
      "point-in-time recovery is off: turn it on (dashboard, Database, Backups; an add-on of the plan Pro and above); or, " +
      "where a day's writes may be lost beside the stack's own backups, `pulumi config set --path supabase.backups daily`";
    return { name, verdict: "fault", text };
  }
  const isRecent = (time: string | undefined) =>
    time !== undefined && now.getTime() - Date.parse(time) < DAILY_HOURS * 3_600_000;
  const recent = found.backups.some(
    ({ status, inserted_at }) => status === "COMPLETED" && isRecent(inserted_at),
  );
  if (recent) return { name, verdict: "ok", text: "there is a daily backup" };
  if (isRecent(madeAt))
    return { name, verdict: "told", text: "the project is new, and has no daily backup yet" };
  const text = `there is no backup of the last ${DAILY_HOURS} hours: daily backups take the plan Pro and above (dashboard, Database, Backups)`;
  return { name, verdict: "fault", text };
}

/** Everybody. */
const OPEN = ["0.0.0.0/0", "::/0"];

/** Who may connect to the database. */
export function network(found: Restrictions, allow: readonly string[]): Finding {
  const name = "network";
  const isOpen = found.allow.length === 0 || found.allow.some((cidr) => OPEN.includes(cidr));
  if (allow.length === 0) {
    return isOpen
      ? {
          name,
          verdict: "told",
          text: "the database takes connections from anywhere: supabase.network.allow names who may connect",
        }
      : { name, verdict: "ok", text: `the database takes connections from ${found.allow.join(", ")} only` };
  }
  const way =
    "set them (dashboard, Database, Settings, Network Restrictions), or have `up` do it: " +
    "`pulumi config set --path supabase.network.set true`";
  const differs = [...allow].sort().join() !== [...found.allow].sort().join();
  if (differs) {
    const live = found.allow.length === 0 ? "anywhere" : found.allow.join(", ");
    return {
      name,
      verdict: "fault",
      text: `the database takes connections from ${live}, and not from ${allow.join(", ")}${isOpen ? " only" : ""}: ${way}`,
    };
  }
  if (!found.applied)
    return {
      name,
      verdict: "fault",
      text: "the network restrictions are stored and not in force yet: wait a minute",
    };
  return { name, verdict: "ok", text: `the database takes connections from ${allow.join(", ")} only` };
}

function sslEnforced(enforced: boolean): Finding {
  const name = "ssl";
  if (enforced)
    return { name, verdict: "ok", text: "connections without TLS are refused, or nobody asks for that" };
  const text =
    "the database takes connections without TLS: enforce SSL (dashboard, Database, Settings, SSL Configuration). That " +
    "restarts the database for a moment, so this program leaves it to you";
  return { name, verdict: "fault", text };
}

/** What the security advisors find: an entry a finding, and one where there is none. */
export function advised(lints: readonly Lint[], mode: Expectations["advisors"]): readonly Finding[] {
  const name = "advisors";
  if (mode === "off") return [];
  const found = lints.filter(({ level }) => level !== "INFO");
  if (found.length === 0) return [{ name, verdict: "ok", text: "the security advisors find nothing" }];
  return found.map(({ name: lint, level, detail, remediation }) => {
    const stops = level === "ERROR" && mode === "stop";
    const way = stops
      ? "; where a pending migration puts it right, `pulumi config set --path supabase.advisors tell` until it has"
      : "";
    return {
      name,
      verdict: stops ? "fault" : "told",
      text: `${lint}: ${detail} (${remediation})${way}`,
    };
  });
}
