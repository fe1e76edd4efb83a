import { setTimeout as pause } from "node:timers/promises";
import {
  SupabaseManagementAPI,
  SupabaseManagementAPIError,
  type V1BackupsResponse,
  type V1CreateProjectBody,
  type V1ProjectWithDatabaseResponse,
} from "supabase-management-js";

/** How the Management API is reached. */
export interface ApiAccess {
  /** URL without a path. */
  readonly apiUrl: string;
  /** Personal access token. A secret. */
  readonly accessToken: string;
}

/** Pulumi's mark of a value that is not known yet. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Is a resource about another project than before? One that a preview does not know yet is not taken for another. */
export function isOtherProject(before: string, now: string): boolean {
  return now !== UNKNOWN && before !== now;
}

/** How long an answer is waited for. */
export interface Patience {
  /** How often a question that changes nothing when it is asked twice is asked, at most. */
  readonly tries: number;
  /** Longest wait for one answer, in milliseconds. */
  readonly answerMs: number;
  /** Wait before the second try, in milliseconds; twice as long before each one after it. `Retry-After` goes before it. */
  readonly pauseMs: number;
}

const PATIENCE: Patience = { tries: 4, answerMs: 30_000, pauseMs: 1000 };

/** Longest `Retry-After` that is obeyed, in seconds: the API counts by the minute. */
const LONGEST_PAUSE_SECONDS = 60;

/** What an answer means to whoever runs the program. */
const REMEDIES: Readonly<Record<number, string>> = {
  401: "the token is unknown or was revoked: make another (dashboard, Account, Access Tokens), and `pulumi config set --secret supabaseAccessToken`",
  402: "the organization's plan does not have this, or a payment is due: look at its billing",
  403: "the token's user may not do this: it takes an owner or administrator of the organization",
  404: "no such project for this token: correct supabase.projectRef, or take the token of a user who is a member",
  429: "too many questions: wait a minute, and run it again",
};

const NO_LINTS =
  "Supabase's security advisors answered in a form that this program does not know (the API calls them experimental): look at " +
  "them in the dashboard, Advisors, and `pulumi config set --path supabase.advisors off` meanwhile";

/** Networks that may connect to a project's database. */
export interface Restrictions {
  readonly allow: readonly string[];
  /** Whether the plan has restrictions at all. */
  readonly available: boolean;
  /** Whether what was asked for is in force. */
  readonly applied: boolean;
}

/** A finding of Supabase's security advisors. */
export interface Lint {
  /** What kind it is, e.g. `rls_disabled_in_public`. */
  readonly name: string;
  readonly level: "ERROR" | "WARN" | "INFO";
  readonly detail: string;
  readonly remediation: string;
}

/** A key of a project. */
export interface ProjectKey {
  readonly name: string;
  readonly type: string | null;
  readonly key: string;
}

/** What this program asks Supabase's Management API. Each error says what was asked, what came back, and the way out. */
export class SupabaseApi {
  private readonly client: SupabaseManagementAPI;

  constructor(
    private readonly access: ApiAccess,
    /** Values beside the token that no message may hold, whatever the API says. */
    private readonly secrets: readonly string[] = [],
    private readonly patience: Patience = PATIENCE,
  ) {
    this.client = new SupabaseManagementAPI({
      accessToken: access.accessToken,
      baseUrl: access.apiUrl.replace(/\/$/, ""),
    });
  }

  /** The project, or null where there is none that the token may see. */
  async project(ref: string): Promise<V1ProjectWithDatabaseResponse | null> {
    try {
      return await this.ask(`about project ${ref}`, (init) => this.client.getProject(ref, init));
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 404) return null;
      throw error;
    }
  }

  /** All projects that the token may see. */
  projects() {
    return this.ask("for all projects", (init) => this.client.listAllProjects(init));
  }

  /** Makes a project. Never tried twice: an answer that is lost may be that of a project that is there. */
  create(body: V1CreateProjectBody) {
    const again = { ...this.patience, tries: 1, answerMs: 4 * this.patience.answerMs };
    return this.ask(
      `to make the project ${body.name}`,
      (init) => this.client.createAProject(body, init),
      again,
    );
  }

  /** Sets the password of a project's database. */
  async setPassword(ref: string, password: string): Promise<void> {
    await this.ask(`to set the password of project ${ref}`, (init) =>
      this.client.updateDatabasePassword(ref, { password }, init),
    );
  }

  /** A project's keys, in clear. */
  async keys(ref: string): Promise<readonly ProjectKey[]> {
    const found = await this.ask(`for the keys of project ${ref}`, (init) =>
      this.client.getProjectApiKeys(ref, { reveal: true }, init),
    );
    return found.map(({ name, type = null, api_key: key }) => ({ name, type, key: key ?? "" }));
  }

  /** The settings of a project's logins, by the API's names; secrets among them come as hashes. */
  async auth(ref: string): Promise<Readonly<Record<string, unknown>>> {
    const found = await this.ask(`for the auth settings of project ${ref}`, (init) =>
      this.client.getAuthServiceConfig(ref, init),
    );
    return { ...found };
  }

  /** Changes some of these settings. */
  async setAuth(ref: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
    await this.ask(`to change the auth settings of project ${ref}`, (init) =>
      this.client.updateAuthServiceConfig(ref, settings, init),
    );
  }

  /** What Supabase keeps of a project's database. */
  backups(ref: string): Promise<V1BackupsResponse> {
    return this.ask(`for the backups of project ${ref}`, (init) => this.client.listAllBackups(ref, init));
  }

  /** Who may connect to a project's database. */
  async restrictions(ref: string): Promise<Restrictions> {
    const { entitlement, config, status } = await this.ask(
      `for the network restrictions of project ${ref}`,
      (init) => this.client.getNetworkRestrictions(ref, init),
    );
    return {
      allow: [...(config.dbAllowedCidrs ?? []), ...(config.dbAllowedCidrsV6 ?? [])].sort(),
      available: entitlement === "allowed",
      applied: status === "applied",
    };
  }

  /** Sets who may connect. */
  async restrict(ref: string, allow: readonly string[]): Promise<void> {
    const body = {
      dbAllowedCidrs: allow.filter((cidr) => !cidr.includes(":")),
      dbAllowedCidrsV6: allow.filter((cidr) => cidr.includes(":")),
    };
    await this.ask(`to set the network restrictions of project ${ref}`, (init) =>
      this.client.updateNetworkRestrictions(ref, body, init),
    );
  }

  /** Does a project's database refuse connections without TLS? */
  async requiresSsl(ref: string): Promise<boolean> {
    const { currentConfig, appliedSuccessfully } = await this.ask(
      `whether project ${ref} enforces SSL`,
      (init) => this.client.getSslEnforcementConfig(ref, init),
    );
    return currentConfig.database && appliedSuccessfully;
  }

  /** What Supabase's own security lints find in a project. */
  async advisors(ref: string): Promise<readonly Lint[]> {
    const { lints } = await this.ask(`for the security advisors of project ${ref}`, (init) =>
      // Called deprecated for being experimental, with nothing in its place; the supabase CLI asks the same.
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- see above
      this.client.getSecurityAdvisors(ref, undefined, init),
    );
    if (!Array.isArray(lints)) throw new Error(NO_LINTS);
    return lints;
  }

  /** Runs SQL that reads, as a role that may do nothing else. */
  async read(ref: string, query: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    // The client's types know no answer.
    const ask = this.client.readOnlyQuery.bind(this.client) as (
      ...args: Parameters<SupabaseManagementAPI["readOnlyQuery"]>
    ) => Promise<{ data: unknown }>;
    const rows = await this.ask(`to read the catalog of project ${ref}`, (init) => ask(ref, { query }, init));
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  }

  private async ask<T>(
    what: string,
    call: (init: RequestInit) => Promise<{ data: T }>,
    { tries, answerMs, pauseMs }: Patience = this.patience,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await call({ signal: AbortSignal.timeout(answerMs) })).data;
      } catch (error) {
        const wait = waitAfter(error, pauseMs * 2 ** (attempt - 1));
        if (wait === null || attempt >= tries) throw this.failureOf(what, error, answerMs);
        await pause(wait);
      }
    }
  }

  private failureOf(what: string, error: unknown, answerMs: number): ApiFailure {
    const asked = `Supabase's Management API (${this.access.apiUrl}), asked ${what},`;
    if (error instanceof SupabaseManagementAPIError) {
      const { status } = error;
      const remedy = REMEDIES[status] ?? (status >= 500 ? "run it again; https://status.supabase.com" : "");
      const said = `answered ${status}: ${this.masked(messageOf(error))}`;
      return new ApiFailure([`${asked} ${said}`, remedy].filter((part) => part !== "").join("; "), status);
    }
    const { name, message, cause } = error as Error;
    const why =
      name === "TimeoutError"
        ? `no answer within ${answerMs / 1000} s`
        : [message, (cause as Error | undefined)?.message].filter(Boolean).join(": ");
    return new ApiFailure(
      `${asked} did not answer: ${this.masked(why)}; see that it can be reached from here, and run it again`,
      null,
    );
  }

  private masked(text: string): string {
    return [this.access.accessToken, ...this.secrets]
      .filter((secret) => secret.length >= 4)
      .reduce((masked, secret) => masked.replaceAll(secret, "[secret]"), text);
  }
}

/** An answer that is none, or not the one that was wanted. */
export class ApiFailure extends Error {
  constructor(
    message: string,
    /** HTTP status; null where there was no answer. */
    readonly status: number | null,
  ) {
    super(message);
    this.name = "ApiFailure";
  }
}

function messageOf(error: Error): string {
  return error.message.replace(/^\[\w+\] failed: /, "").slice(0, 500);
}

/** Milliseconds to wait before asking again; null where another answer is not to be expected. */
function waitAfter(error: unknown, pauseMs: number): number | null {
  if (!(error instanceof SupabaseManagementAPIError)) return pauseMs;
  const { status, headers } = error;
  if (status !== 429 && status < 500) return null;
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.min(seconds, LONGEST_PAUSE_SECONDS) * 1000 : pauseMs;
}
