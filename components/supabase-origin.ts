/** The provider of the project itself: one that is there and adopted, or one that this stack makes. */
import { setTimeout as pause } from "node:timers/promises";
import type {
  CreateResult,
  DiffResult,
  ReadResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import type { V1CreateProjectBody, V1ProjectWithDatabaseResponse } from "supabase-management-js";
import { type ApiAccess, SupabaseApi } from "./supabase-api";

/** A project that is to be made. */
export interface NewProject {
  /** Slug of the organization. */
  readonly organization: string;
  readonly region: string;
  readonly name: string;
  /** Size of its machine; Supabase's own default where it is not set. */
  readonly size?: string | undefined;
}

/** What the program gives. */
export interface ProjectInputs extends ApiAccess {
  /** The project that is adopted; empty for one that is made. */
  readonly projectRef: string;
  /** The project that is made; null for one that is adopted. */
  readonly create: NewProject | null;
  /** Password of the database of a project that is made; empty for one that is adopted. A secret. */
  readonly password: string;
}

/** What is kept, and what the program gets. */
export interface ProjectState extends ProjectInputs {
  readonly ref: string;
  /** Whether this stack made the project: only then does its password come from here. */
  readonly made: boolean;
  /** Where its APIs are. */
  readonly url: string;
  /** Where its database takes direct connections; by IPv6 alone, as a rule. */
  readonly databaseHost: string;
  readonly region: string;
  /** Key that everybody may have, and the one that goes around row level security; empty for an adopted project. */
  readonly anonKey: string;
  readonly serviceRoleKey: string;
}

/** How long a project may take until it is there, and the shortest and longest pause between two looks, in milliseconds. */
const READY = { withinMs: 600_000, firstMs: 250, longestMs: 10_000 };

/** States that a project leaves by itself. */
const UNDER_WAY = ["COMING_UP", "UNKNOWN", "RESTORING", "UPGRADING", "RESTARTING", "RESIZING"];

/** Never deletes: what is in a database is nobody's to lose by a `destroy`. */
export const project: ResourceProvider<ProjectInputs, ProjectState> = {
  diff,
  create,
  update,
  read,
  delete: refuseToDelete,
};

function diff(_id: string, olds: ProjectState, news: ProjectInputs): Promise<DiffResult> {
  const replaces: string[] = [];
  // A project that this stack made, and that is adopted by its own reference from now on, stays what it is.
  if (news.projectRef !== "" && news.projectRef !== olds.ref) replaces.push("projectRef");
  if (news.projectRef === "" && olds.create?.name !== news.create?.name) replaces.push("create");
  if (news.projectRef === "" && olds.create?.organization !== news.create?.organization)
    replaces.push("create");
  if (news.projectRef === "" && olds.create?.region !== news.create?.region) replaces.push("create");
  const changes =
    replaces.length > 0 ||
    olds.accessToken !== news.accessToken ||
    olds.apiUrl !== news.apiUrl ||
    olds.projectRef !== news.projectRef ||
    (olds.made && news.projectRef === "" && olds.password !== news.password);
  return Promise.resolve({ changes, replaces: [...new Set(replaces)] });
}

async function create(inputs: ProjectInputs): Promise<CreateResult<ProjectState>> {
  const api = new SupabaseApi(inputs, [inputs.password]);
  const outs = inputs.create === null ? await adopt(api, inputs) : await make(api, inputs, inputs.create);
  return { id: outs.ref, outs };
}

async function adopt(api: SupabaseApi, inputs: ProjectInputs): Promise<ProjectState> {
  const { projectRef: ref } = inputs;
  const found = await api.project(ref);
  if (found === null) {
    throw new Error(
      `there is no project ${ref} that the token may see: correct supabase.projectRef, or take the token of a member ` +
        "of its organization",
    );
  }
  requireLive(found);
  return { ...stateOf(inputs, found), made: false, anonKey: "", serviceRoleKey: "" };
}

/** Makes a project, unless one of that name is there: a `create` whose answer was lost has made one. */
async function make(api: SupabaseApi, inputs: ProjectInputs, wanted: NewProject): Promise<ProjectState> {
  const { organization, region, name, size } = wanted;
  const same = (await api.projects()).find(
    (one) => one.name === name && one.organization_slug === organization,
  );
  if (same !== undefined) {
    throw new Error(
      `organization ${organization} has a project ${name} (${same.ref}) already, and a second one is not made: adopt it ` +
        "(`pulumi config set --path supabase.projectRef`, and supabase.create removed); or, where an `up` that died left " +
        "it behind, delete it in the dashboard and run `pulumi up` again",
    );
  }
  const body = {
    organization_slug: organization,
    name,
    region_selection: { type: "specific", code: region },
    db_pass: inputs.password,
    ...(size === undefined ? {} : { desired_instance_size: size }),
  } as V1CreateProjectBody;
  const { ref } = await api.create(body);
  const begun: ProjectState = {
    ...{
      ...inputs,
      ref,
      made: true,
      region,
      url: urlOf(ref),
      databaseHost: "",
      anonKey: "",
      serviceRoleKey: "",
    },
  };
  try {
    const found = await becomeLive(api, ref);
    return { ...begun, ...stateOf(inputs, found), ...(await keysOf(api, ref)) };
  } catch (error) {
    throw kept(ref, begun, error as Error);
  }
}

/** A project that is there by half: Pulumi keeps what is known of it, and the next `up` goes on. */
function kept(id: string, properties: ProjectState, error: Error): Error {
  return Object.assign(error, { id, properties, reasons: [error.message] });
}

async function becomeLive(api: SupabaseApi, ref: string): Promise<V1ProjectWithDatabaseResponse> {
  let waited = 0;
  for (let wait = READY.firstMs; waited < READY.withinMs; wait = Math.min(2 * wait, READY.longestMs)) {
    const found = await api.project(ref);
    if (found !== null && !UNDER_WAY.includes(found.status)) {
      requireLive(found);
      return found;
    }
    await pause(wait);
    waited += wait;
  }
  const minutes = READY.withinMs / 60_000;
  throw new Error(`project ${ref} is not ready after ${minutes} minutes: run \`pulumi up\` again`);
}

function requireLive({ ref, status }: V1ProjectWithDatabaseResponse): void {
  if (status === "ACTIVE_HEALTHY" || status === "ACTIVE_UNHEALTHY") return;
  throw new Error(
    `project ${ref} is ${status} and takes no settings: ${status === "INACTIVE" ? "it is paused, restore it in its dashboard" : "look at its dashboard"}, then run \`pulumi up\` again`,
  );
}

async function update(
  _id: string,
  olds: ProjectState,
  news: ProjectInputs,
): Promise<UpdateResult<ProjectState>> {
  const { ref } = olds;
  const api = new SupabaseApi(news, [news.password]);
  const found = await becomeLive(api, ref);
  const made = olds.made && news.projectRef === "";
  // Only ever of a project that this stack made: of an adopted one others know it, and would be shut out.
  if (made && news.password !== olds.password) await api.setPassword(ref, news.password);
  const keys = made ? await keysOf(api, ref) : { anonKey: "", serviceRoleKey: "" };
  return { outs: { ...stateOf(news, found), made, ...keys } };
}

async function read(id: string, state?: ProjectState): Promise<ReadResult<ProjectState>> {
  if (state === undefined) throw new Error("a project is adopted by supabase.projectRef, and not imported");
  const found = await new SupabaseApi(state).project(state.ref);
  // A database that is gone is not made again in silence: what was in it would be missing without a word.
  if (found === null) {
    throw new Error(
      `project ${state.ref} is gone, or the token may not see it any more; where it was deleted, restore it with ` +
        "Supabase's support, or take it out of the state (`pulumi state delete`) and begin with another one",
    );
  }
  return { id, props: { ...state, ...stateOf(state, found) } };
}

function refuseToDelete(id: string, state: ProjectState): Promise<void> {
  if (!state.made) return Promise.resolve();
  return Promise.reject(
    new Error(`project ${id} is deleted by nobody but you: in its dashboard, Settings, General`),
  );
}

function stateOf(inputs: ProjectInputs, found: V1ProjectWithDatabaseResponse) {
  const { ref, region, database } = found;
  return { ...inputs, ref, region, url: urlOf(ref), databaseHost: database.host };
}

function urlOf(ref: string): string {
  return `https://${ref}.supabase.co`;
}

/** The newer generation where the project has one. */
async function keysOf(
  api: SupabaseApi,
  ref: string,
): Promise<Pick<ProjectState, "anonKey" | "serviceRoleKey">> {
  const keys = await api.keys(ref);
  const pick = (type: string, legacy: string) =>
    (keys.find((one) => one.type === type) ?? keys.find(({ name }) => name === legacy))?.key ?? "";
  return { anonKey: pick("publishable", "anon"), serviceRoleKey: pick("secret", "service_role") };
}
