import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { Database, DatabaseSpec } from "./database";
import { doneAfter } from "./done-after";
import { ACCESS_VARIABLES, type AccessVariable, type SupabaseAccess } from "./supabase-access";
import type { NewProject, ProjectInputs, ProjectState } from "./supabase-origin";
import type { ApiFunction, PublicApiInputs } from "./supabase-public-api";
import type { providers } from "./supabase-provider";
import type { AuthSettings, SettingsInputs } from "./supabase-settings";
import type { Expectations, Finding, VerificationInputs } from "./supabase-verification";

/** A project of Supabase's, and what it shall be. */
export interface SupabaseSpec {
  /** URL of the Management API. */
  readonly apiUrl: string;
  /** Personal access token for it. A secret. */
  readonly accessToken: pulumi.Input<string>;
  /** The project that is adopted; empty for one that is made. */
  readonly projectRef: string;
  /** The project that is made, and never deleted; null for one that is adopted. */
  readonly create: NewProject | null;
  /** Settings of logins and mails by the API's names; all others are left as they are. */
  readonly auth: AuthSettings;
  /** Password of the mail server; null for one that is left as it is. A secret. */
  readonly smtpPassword: pulumi.Input<string> | null;
  /** Networks that may connect to the database, and whether they are set or only looked at; null for neither. */
  readonly network: { readonly allow: readonly string[]; readonly set: boolean } | null;
  /** What is verified before the schema changes. */
  readonly expected: Expectations;
  /** What everybody on the internet is tried by, after the schema changed; null where nobody tries it. */
  readonly api: {
    /** Null for the URL of the project that is made. */
    readonly url: string | null;
    /** Null for the key of the project that is made. */
    readonly anonKey: pulumi.Input<string> | null;
    readonly functions: readonly ApiFunction[];
  } | null;
  /** What the rest of the stack is told of a project that is made, because the config does not say it; nothing of an adopted one. */
  readonly told: {
    /** Variables that the application gets. */
    readonly variables: readonly AccessVariable[];
    /** Whether its database is the stack's. */
    readonly database: boolean;
  };
}

const NO_ACCESS: SupabaseAccess = { url: "", databaseUrl: "", anonKey: "", serviceRoleKey: "" };

/** Arguments of {@link SupabaseProject}. */
export interface SupabaseProjectArgs {
  /** Null for a site without Supabase: nothing is there, and nothing is asked. */
  readonly supabase: SupabaseSpec | null;
  /** The schema that the project is verified for; null for none. */
  readonly database: Pick<DatabaseSpec, "migrations"> | null;
}

/** Length of the password of a project that is made: twice what the guide asks for, nothing that a URL would act on. */
const PASSWORD_LENGTH = 48;

/** What a site without Supabase has in the place of each. */
const NONE = pulumi.output("");

/**
 * The project that the database, the logins and the REST API live in: adopted or made, its settings as config names them,
 * and verified before the schema changes. Only of a project that this stack made is the password ever set.
 */
export class SupabaseProject extends pulumi.ComponentResource {
  /** Reference of the project; empty for a site without Supabase. */
  readonly ref: pulumi.Output<string>;
  /** Where the project's APIs are; empty without Supabase. */
  readonly url: pulumi.Output<string>;
  /**
   * Variables that lead the application to a project that this stack makes, of those that the config does not set. Secrets; none for another
   * project.
   */
  readonly variables: Readonly<Record<string, pulumi.Output<string>>>;
  /** How a project that this stack made is reached; empty texts for another. A secret. */
  readonly access: pulumi.Output<SupabaseAccess>;
  /** What was found of the project; empty without Supabase. */
  readonly findings: pulumi.Output<readonly Finding[]>;
  /** Constant; resolves once the project is as it shall be. The schema waits for it. */
  readonly verified: pulumi.Output<string>;
  private readonly name: string;
  private readonly args: SupabaseProjectArgs;

  constructor(name: string, args: SupabaseProjectArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:supabase:SupabaseProject", name, {}, opts);
    this.name = name;
    this.args = args;
    const { supabase } = args;
    const made = supabase === null ? null : this.make(supabase);
    this.ref = made?.ref ?? NONE;
    this.url = made?.project.url ?? NONE;
    this.access = made?.access ?? pulumi.output(NO_ACCESS);
    const names = supabase?.told.variables ?? [];
    this.variables = Object.fromEntries(names.map((one) => [one, this.accessBy(ACCESS_VARIABLES[one])]));
    this.findings = made?.verification.findings ?? pulumi.output([]);
    this.verified = made === null ? pulumi.output("verified") : doneAfter("verified", [made.verification]);
    this.registerOutputs({ ref: this.ref, url: this.url, findings: this.findings });
  }

  /** The database as the config has it, with the URL of the project that this stack makes where the config has none. */
  leadTo(database: DatabaseSpec | null): DatabaseSpec | null {
    if (database === null || this.args.supabase?.told.database !== true) return database;
    const settings = pulumi
      .all([database.settings, this.accessBy("databaseUrl")])
      .apply(([known, url]) => ({ ...known, url }));
    return { ...database, settings: pulumi.secret(settings) };
  }

  /**
   * Tries what everybody can do by the REST API, once the schema is there.
   * @returns a constant that resolves once it was tried
   */
  tryPublicApi(database: Pick<Database, "ready">): pulumi.Output<string> {
    const { supabase } = this.args;
    if (supabase?.api === null || supabase === null) return database.ready;
    const { apiUrl, accessToken, api } = supabase;
    const inputs: Inputs<PublicApiInputs> = {
      ...{ apiUrl, ref: this.ref, url: api.url ?? this.url, functions: api.functions },
      accessToken: pulumi.secret(accessToken),
      anonKey: pulumi.secret(api.anonKey ?? this.accessBy("anonKey")),
      // Waits for the schema, and is the same value whatever becomes of it.
      migrations: pulumi.all([this.migrations, database.ready]).apply(([known]) => known),
    };
    const tried = new SupabaseResource("publicApi", `${this.name}-public-api`, inputs, { parent: this });
    return doneAfter("tried", [tried]);
  }

  private accessBy(key: keyof SupabaseAccess): pulumi.Output<string> {
    return this.access.apply((known) => known[key]);
  }

  /** Migrations, each with its content's hash. */
  private get migrations(): readonly string[] {
    return (this.args.database?.migrations ?? []).map(({ version, sha256 }) => `${version} ${sha256}`);
  }

  private make(spec: SupabaseSpec) {
    const { name } = this;
    const { apiUrl, accessToken, network, expected } = spec;
    const through = { apiUrl, accessToken: pulumi.secret(accessToken) };
    const opts = { parent: this };
    const password = spec.create === null ? pulumi.secret("") : this.password();
    const origin: Inputs<ProjectInputs> = {
      ...{ ...through, projectRef: spec.projectRef, create: spec.create, password },
    };
    const isMade = spec.create !== null;
    const project = new ProjectResource(`${name}-project`, origin, {
      ...opts,
      ...(isMade ? { protect: true, retainOnDelete: true } : {}),
    });
    // Of an adopted project it is known in every preview.
    const ref = isMade ? project.ref : doneAfter(spec.projectRef, [project]);
    const allow = network?.allow ?? [];
    const wanted: Inputs<SettingsInputs> = {
      ...{ ...through, ref, auth: spec.auth },
      smtpPassword: pulumi.secret(spec.smtpPassword ?? ""),
      allow: network?.set === true ? allow : [],
    };
    const settings = new SupabaseResource("settings", `${name}-settings`, wanted, opts);
    const verified: Inputs<VerificationInputs> = {
      ...{ ...through, ref: doneAfter(ref, [settings]), expected, allow, migrations: this.migrations },
    };
    const verification = new VerificationResource(`${name}-verification`, verified, opts);
    const access = pulumi
      .all([project.url, project.databaseHost, project.anonKey, project.serviceRoleKey, password])
      .apply(([url, host, anonKey, serviceRoleKey, known]) => {
        const databaseUrl = `postgres://postgres:${encodeURIComponent(known)}@${host}:5432/postgres`;
        return isMade ? { url, databaseUrl, anonKey, serviceRoleKey } : NO_ACCESS;
      });
    return { project, ref, verification, access: pulumi.secret(access) };
  }

  /** Made once: nothing that changes later makes another one, which would have to be told to whoever connects. */
  private password(): pulumi.Output<string> {
    const args = { length: PASSWORD_LENGTH, special: false };
    const opts = { parent: this, protect: true };
    return pulumi.secret(new random.RandomPassword(`${this.name}-database-password`, args, opts).result);
  }
}

type Inputs<T> = { readonly [Key in keyof T]: pulumi.Input<T[Key]> };

/**
 * What the state keeps as the provider, and Pulumi's process for such providers runs, in the program's folder: see
 * {@link HostDrift}.
 */
const providerOf = (kind: keyof typeof providers): string =>
  `exports.handler = () => require(require("node:path").resolve("dist/supabase-provider.js")).providers.${kind};`;

/** A resource of one of the providers. */
class SupabaseResource extends pulumi.CustomResource {
  constructor(
    kind: keyof typeof providers,
    name: string,
    inputs: object,
    opts: pulumi.CustomResourceOptions,
  ) {
    const type = `pulumi-nodejs:dynamic/vehicleservice:Supabase${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
    const additionalSecretOutputs = [
      "accessToken",
      "password",
      "smtpPassword",
      "smtpSeen",
      "serviceRoleKey",
      "anonKey",
    ];
    super(type, name, { ...inputs, __provider: providerOf(kind) }, { ...opts, additionalSecretOutputs });
  }
}

class ProjectResource extends SupabaseResource {
  declare readonly ref: pulumi.Output<ProjectState["ref"]>;
  declare readonly url: pulumi.Output<ProjectState["url"]>;
  declare readonly databaseHost: pulumi.Output<ProjectState["databaseHost"]>;
  declare readonly anonKey: pulumi.Output<ProjectState["anonKey"]>;
  declare readonly serviceRoleKey: pulumi.Output<ProjectState["serviceRoleKey"]>;

  constructor(name: string, inputs: Inputs<ProjectInputs>, opts: pulumi.CustomResourceOptions) {
    const outputs = { ref: undefined, url: undefined, databaseHost: undefined, anonKey: undefined };
    super("project", name, { ...outputs, serviceRoleKey: undefined, ...inputs }, opts);
  }
}

class VerificationResource extends SupabaseResource {
  declare readonly findings: pulumi.Output<readonly Finding[]>;

  constructor(name: string, inputs: Inputs<VerificationInputs>, opts: pulumi.CustomResourceOptions) {
    super("verification", name, { findings: undefined, ...inputs }, opts);
  }
}
