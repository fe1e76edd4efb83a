/** The provider of a project's settings: logins, mails and, where config says so, who may connect to the database. */
import { createHash } from "node:crypto";
import type {
  CreateResult,
  DiffResult,
  ReadResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import { type ApiAccess, isOtherProject, SupabaseApi } from "./supabase-api";

/** Settings by the Management API's names; what is not named is left as it is. */
export type AuthSettings = Readonly<Record<string, string | number | boolean>>;

/** What the program gives. */
export interface SettingsInputs extends ApiAccess {
  /** The project. */
  readonly ref: string;
  readonly auth: AuthSettings;
  /** Password of the mail server; empty for one that is left as it is. A secret. */
  readonly smtpPassword: string;
  /** Networks that may connect to the database; empty where they are left as they are. */
  readonly allow: readonly string[];
}

/** What is kept. */
export interface SettingsState extends SettingsInputs {
  /** Hash of what the API showed of the mail server's password once it was set: another one was set by somebody else. */
  readonly smtpSeen: string;
}

/** The setting whose word the platform does not always take: the verification looks at it, and names it with all else. */
const VERIFIED_LATER = "audit_log_disable_postgres";

/** Changes are told by `read`, in a refresh: an `up` that moves traffic back must not wait for Supabase. */
export const settings: ResourceProvider<SettingsInputs, SettingsState> = {
  diff,
  create,
  update,
  read,
  delete: leave,
};

function diff(_id: string, olds: SettingsState, news: SettingsInputs): Promise<DiffResult> {
  const changes =
    olds.apiUrl !== news.apiUrl ||
    olds.accessToken !== news.accessToken ||
    olds.smtpPassword !== news.smtpPassword ||
    differing(news.auth, olds.auth).length > 0 ||
    differing(olds.auth, news.auth).length > 0 ||
    !sameItems(olds.allow, news.allow);
  const replaces = isOtherProject(olds.ref, news.ref) ? ["ref"] : [];
  return Promise.resolve({ changes: changes || replaces.length > 0, replaces });
}

async function create(inputs: SettingsInputs): Promise<CreateResult<SettingsState>> {
  return { id: inputs.ref, outs: await apply(inputs, null) };
}

async function update(
  _id: string,
  olds: SettingsState,
  news: SettingsInputs,
): Promise<UpdateResult<SettingsState>> {
  return { outs: await apply(news, olds) };
}

/** Settings that somebody else made stand in the place of ours, so that the next `up` sees the difference. */
async function read(id: string, state?: SettingsState): Promise<ReadResult<SettingsState>> {
  if (state === undefined)
    throw new Error("settings are not imported: name the project in supabase.projectRef");
  const api = new SupabaseApi(state, [state.smtpPassword]);
  if ((await api.project(state.ref)) === null) return {};
  const live = await api.auth(state.ref);
  const auth = Object.fromEntries(
    Object.entries(state.auth).map(([key, value]) => [
      key,
      isSame(key, value, live[key]) ? value : shownOf(live[key]),
    ]),
  );
  const allow = state.allow.length === 0 ? [] : (await api.restrictions(state.ref)).allow;
  const isOurs = state.smtpPassword === "" || seenIn(live) === state.smtpSeen;
  const found = {
    ...state,
    auth,
    allow: sameItems(allow, state.allow) ? state.allow : allow,
    smtpPassword: isOurs ? state.smtpPassword : "",
  };
  // Without inputs the refresh would show a difference, and the preview after it none.
  return { id, props: found, inputs: found };
}

/** Settings have nothing that could be taken away: what was before them nobody knows. */
function leave(): Promise<void> {
  return Promise.resolve();
}

/**
 * Changes what differs, and nothing else.
 * @throws Error that names every setting that the API took without an objection and does not have
 */
async function apply(inputs: SettingsInputs, olds: SettingsState | null): Promise<SettingsState> {
  const { ref, auth, smtpPassword } = inputs;
  const api = new SupabaseApi(inputs, [smtpPassword]);
  const before = await api.auth(ref);
  const passwordIsKnown =
    smtpPassword === "" || (olds?.smtpPassword === smtpPassword && olds.smtpSeen === seenIn(before));
  const changes = {
    ...Object.fromEntries(differing(auth, before).map((key) => [key, auth[key]])),
    ...(passwordIsKnown ? {} : { smtp_pass: smtpPassword }),
  };
  let after = before;
  if (Object.keys(changes).length > 0) {
    await api.setAuth(ref, changes);
    after = await api.auth(ref);
  }
  await restrict(api, inputs);
  const outs = { ...inputs, smtpSeen: smtpPassword === "" ? "" : seenIn(after) };
  const refused = differing(auth, after).filter((key) => key !== VERIFIED_LATER);
  if (refused.length > 0) {
    throw new Error(
      `Supabase took these auth settings of project ${ref} without an objection, and has others: ${refused.join(", ")}; ` +
        "the organization's plan may not have them: take them out of supabase.auth, or change the plan",
    );
  }
  return outs;
}

async function restrict(api: SupabaseApi, { ref, allow }: SettingsInputs): Promise<void> {
  if (allow.length === 0) return;
  const live = await api.restrictions(ref);
  if (!sameItems(live.allow, allow)) await api.restrict(ref, allow);
}

/** Names of settings that `found` has otherwise. */
function differing(wanted: AuthSettings, found: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(wanted)
    .filter(([key, value]) => !isSame(key, value, found[key]))
    .map(([key]) => key);
}

/** The API gives some numbers as texts, and lists as texts with commas. */
function isSame(key: string, wanted: string | number | boolean, found: unknown): boolean {
  if (found === undefined || found === null) return wanted === "";
  const one = shownOf(wanted);
  const other = shownOf(found);
  if (key === "uri_allow_list") return sameItems(String(one).split(","), String(other).split(","));
  return String(one).replaceAll("\r\n", "\n") === String(other).replaceAll("\r\n", "\n");
}

function shownOf(value: unknown): string | number | boolean {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return value === null || value === undefined ? "" : JSON.stringify(value);
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  const sorted = (list: readonly string[]) => [...new Set(list.map((item) => item.trim()))].sort().join();
  return sorted(one) === sorted(other);
}

/** What the API shows of a password is a hash of its own; no more than a hash of that is kept. */
function seenIn(live: Readonly<Record<string, unknown>>): string {
  const shown = typeof live["smtp_pass"] === "string" ? live["smtp_pass"] : "";
  return createHash("sha256").update(shown).digest("hex").slice(0, 16);
}
