import type { DatabaseActs } from "../database/protocol";
import type { MonitoringAct, MonitoringStatus } from "../monitoring/protocol";

/**
 * What Pulumi's command resources and the conductor say to each other.
 *
 * An act is one JSON object on the standard input of `<app>-conductor act`. The conductor answers with progress on
 * standard error, and on standard output with exactly one JSON object: the act's result. A refused or failed act
 * prints nothing on standard output and exits with a code from {@link ExitCode}.
 */

/** The two sides of a blue/green site. */
export const COLOURS = ["blue", "green"] as const;

/** One side of a blue/green site. */
export type Colour = (typeof COLOURS)[number];

/** Returns the side that is not `colour`. */
export function otherColour(colour: Colour): Colour {
  return colour === "blue" ? "green" : "blue";
}

/** What a release is, as far as the host is concerned. Two equal intents are one release. */
export interface ReleaseIntent {
  /** Version without decoration, e.g. `v1.0.0`. */
  readonly version: string;
  /** The tag that {@link ReleaseIntent.version} was published under, e.g. `v1.0.0-production`. */
  readonly tag: string;
  /** Where the source comes from: anything that `git fetch` takes as a repository. */
  readonly repository: string;
  /** Commit that the tag has to resolve to; null takes what it resolves to now. */
  readonly commit: string | null;
  /** Argument list that installs the dependencies; run in the release's directory, before the build. */
  readonly install: readonly string[];
  /** Argument list that builds; empty for an application that needs no build. */
  readonly build: readonly string[];
  /** Argument list that removes what only the build needed; empty for none. */
  readonly prune: readonly string[];
  /** Node script, relative to the release's directory, that PM2 runs in every instance. */
  readonly script: string;
  /** Arguments of {@link ReleaseIntent.script}. */
  readonly args: readonly string[];
  /** Hash of the {@link EnvironmentAct environment} that the release is built and run with. */
  readonly environment: string;
  /** Names of the variables that the build sees; it sees no others of the environment. */
  readonly buildVariables: readonly string[];
}

/** `environment`: the variables that releases run with. Kept beside the ones before, for older releases use those. */
export interface EnvironmentAct {
  readonly act: "environment";
  /** Keyed hash of {@link EnvironmentAct.variables}, in hex: names the environment, and tells nothing of it. */
  readonly hash: string;
  /** Value by name. Secrets. */
  readonly variables: Readonly<Record<string, string>>;
}

/** `configure`: everything about the site that is neither a release nor a share of traffic. */
export interface ConfigureAct {
  readonly act: "configure";
  readonly site: SiteSettings;
}

/** Settings of the site. They change rarely; a change that Nginx has to know costs one reload. */
export interface SiteSettings {
  /** Names the front door answers to; the first one is canonical. */
  readonly domains: readonly string[];
  /** Loopback TCP port of each colour. */
  readonly ports: Readonly<Record<Colour, number>>;
  /** PM2 cluster instances of each colour. */
  readonly instances: number;
  readonly tls: TlsSettings;
  readonly health: {
    /** Path that answers 2xx when an instance can serve. */
    readonly path: string;
    /** Passes in a row that every instance needs before it counts as healthy. */
    readonly passes: number;
    /** Failures in a row after which a healthy colour no longer counts as one. */
    readonly failures: number;
    /** Pause between two probes of an instance, in milliseconds. */
    readonly intervalMs: number;
    /** Longest wait for the answer to a probe, in milliseconds. */
    readonly timeoutMs: number;
    /** Longest wait for a new release to become healthy, in seconds. */
    readonly deadlineSeconds: number;
  };
  /** Longest wait for a withdrawn colour's requests and streams to end before they are closed, in seconds. */
  readonly drainSeconds: number;
  /** Longest silence of the application, or of a WebSocket, before the request is given up, in seconds. */
  readonly readTimeoutSeconds: number;
  /** Requests that one client connection may carry before Nginx closes it. */
  readonly keepaliveRequests: number;
  /** How long an idle client connection stays open, in seconds. */
  readonly keepaliveSeconds: number;
  /** Name of the first-party cookie that keeps a user on one colour. */
  readonly idCookie: string;
  readonly testers: {
    /** Header, and cookie, that takes a tester to a colour; its value is `<colour>:<secret>`. */
    readonly name: string;
    /** Shared secret of the testers; empty closes the testers' route. */
    readonly secret: string;
  };
  /** Paths that stay on the stable colour at any weight, as prefixes (webhooks whose sender has no cookie). */
  readonly stablePaths: readonly string[];
  /** Largest request body, in megabytes. */
  readonly maxBodyMegabytes: number;
  /** Finished releases kept on disk beside those in use. */
  readonly releasesKept: number;
  /** Paths, as prefixes, whose callers are programs: what the front door answers itself is JSON there. */
  readonly apiPaths: readonly string[];
  readonly maintenance: {
    /** Page for people, HTML; null for the built-in one. */
    readonly page: string | null;
    /** Paths, as prefixes, that pass while the site is closed. */
    readonly passPaths: readonly string[];
    /** When callers are told to come back, in seconds. */
    readonly retryAfterSeconds: number;
  };
  /** Strict-Transport-Security. */
  readonly hsts: {
    /** How long browsers come by HTTPS only, in seconds; 0 sends no such header. */
    readonly maxAgeSeconds: number;
    readonly includeSubdomains: boolean;
    readonly preload: boolean;
  };
  /** Headers, value by name, of every answer that the application gives no header of that name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rateLimit: {
    /** Requests that one client (an IPv4 address, an IPv6 /64) may send a minute; 0 is no limit. */
    readonly requestsPerMinute: number;
    /** Requests above that which it may send at once. */
    readonly burst: number;
    /** Paths, as prefixes, that do not count. */
    readonly exemptPaths: readonly string[];
    /** Networks, in CIDR notation, whose clients are not limited. */
    readonly exemptNetworks: readonly string[];
  };
  /** Nginx directives for the site's server block; null for none. */
  readonly nginxSnippet: string | null;
  /** Path of a URL below which files of the last releases are served from disk; null for none. */
  readonly assetsPath: string | null;
  /** How releases are built. A change holds from the next release on. */
  readonly builds: BuildSettings;
  /** What a new release has to answer before it counts as proven. */
  readonly smokeTests: readonly SmokeTest[];
}

/** How releases are built. */
export interface BuildSettings {
  /** Directory of a release, relative to it, whose files are served below `assetsPath`. */
  readonly assets: string;
  /** Directories, relative to a release, that a build takes over from the newest finished release. */
  readonly cache: readonly string[];
  /** Space that is left on the disk before a build, in megabytes, beside twice the size of the last release. */
  readonly minFreeMegabytes: number;
  /** Longest install, build or prune, in seconds, each for itself. */
  readonly timeoutSeconds: number;
}

/** One request to a release, and what it has to be answered with. */
export interface SmokeTest {
  /** What is tested, for people: a word. */
  readonly name: string;
  readonly path: string;
  readonly method: "GET" | "HEAD" | "POST";
  /** Any of these is a pass. Redirects are answers, and are not followed. */
  readonly status: readonly number[];
  /** Text that the body has to hold; null for any body. */
  readonly contains: string | null;
  /**
   * Variable of the release's environment with signing secrets, commas between them: a harmless event is sent once by each, signed as
   * Stripe signs. Only for a POST; absent for a request that nobody signs.
   */
  readonly signedWith?: string;
}

/** Where the site's certificate comes from: files that somebody else keeps, or an ACME server. */
export type TlsSettings = TlsFiles | { readonly acme: AcmeSettings };

/** A certificate that somebody else puts on the host and keeps valid. */
export interface TlsFiles {
  /** Certificate chain in PEM, a path on the host. */
  readonly certificate: string;
  /** Private key in PEM, a path on the host. */
  readonly key: string;
}

/** An ACME server that the conductor gets one certificate for all domains from, and renews it. */
export interface AcmeSettings {
  /** URL of the server's directory. */
  readonly directory: string;
  /** Where the server may write to about the account; empty for nowhere. */
  readonly email: string;
  /** PEM of the authority that signed the server's own TLS certificate; null where the host trusts it anyway. */
  readonly authority: string | null;
  /**
   * Days before its end that a certificate is renewed; in any case when a third of its life is left, and never before half of
   * it is over.
   */
  readonly renewBeforeDays: number;
}

/**
 * `certify`: gets the certificate that the site's settings ask for and puts it in force, or checks the one that they name.
 * A certificate that is good for these domains and not near its end is left as it is. It waits for no other act, and no other
 * act for it.
 */
export interface CertifyAct {
  readonly act: "certify";
  /** As in the settings that the host was configured with. */
  readonly domains: readonly string[];
  /** As in the settings that the host was configured with. */
  readonly tls: TlsSettings;
}

/** `plan`: the whole desired state. Touches nothing; refused where it cannot be reached from what is live now. */
export interface PlanAct {
  readonly act: "plan";
  /** What each colour shall run; null retires it. */
  readonly releases: Readonly<Record<Colour, ReleaseIntent | null>>;
  /** As in {@link ReleaseAct.inPlace}. */
  readonly inPlace?: true;
  /** Migrations that each release runs on; null for a colour without one. Absent where there is no database. */
  readonly schema?: Readonly<Record<Colour, SchemaRange | null>>;
  readonly traffic: TrafficIntent;
}

/** The part of the schema's history that a release runs on. */
export interface SchemaRange {
  /** Version of the migration that the release needs at least. */
  readonly first: string;
  /** Version of the last migration that it runs on; null for as long as none is known that it does not run on. */
  readonly last: string | null;
}

/** `release`: what one colour shall run. */
export interface ReleaseAct {
  readonly act: "release";
  readonly colour: Colour;
  /** Null retires the colour. */
  readonly release: ReleaseIntent | null;
  /**
   * A colour whose users nobody can take over is changed all the same, behind the maintenance page. Where this is
   * absent, that is refused.
   */
  readonly inPlace?: true;
}

/** Who gets which share. */
export interface TrafficIntent {
  /** The colour that takes all that the other one does not. */
  readonly stable: Colour;
  /** Share of the other colour, the candidate, in percent: 0 to 100. */
  readonly weight: number;
}

/** `traffic`: sets stable, weight and salt in one step, without a reload. */
export interface TrafficAct extends TrafficIntent {
  readonly act: "traffic";
}

/**
 * `abort`: takes all users off the candidate at once, and keeps them off until `ack`, whatever the config says. Valid in
 * every state, and it waits for no other act.
 */
export interface AbortAct {
  readonly act: "abort";
  /** Why, for whoever looks at it later: one line. */
  readonly reason: string;
}

/** `ack`: the abort was looked at; the candidate may get users again by the next `traffic` act. */
export interface AckAct {
  readonly act: "ack";
}

/**
 * `maintenance`: closes the site to users, or opens it. Testers, probes and `maintenance.passPaths` pass. The file
 * `/var/www/<app>/MAINTENANCE_MODE` closes it, too, whatever this act said.
 */
export interface MaintenanceAct {
  readonly act: "maintenance";
  readonly on: boolean;
}

/** `smoke`: runs the smoke tests. Touches nothing, and waits for no other act. */
export interface SmokeAct {
  readonly act: "smoke";
  /** A colour: each of its instances, and its port. `site`: the front door, as a new user. */
  readonly target: Colour | "site";
}

/** `status`: asks what is live. */
export interface StatusAct {
  readonly act: "status";
}

/** The parts of a host that somebody may have changed by hand. */
export const DRIFT_PARTS = ["frontDoor", "environment", "database", "blue", "green"] as const;

/** One part of a host. */
export type DriftPart = (typeof DRIFT_PARTS)[number];

/**
 * `drift`: asks what on the host is not as the conductor left it, and whether a desired state would be refused. Touches nothing, and
 * waits for no other act.
 */
export interface DriftAct {
  readonly act: "drift";
  /** What an `up` is about to ask for; absent where nothing is. */
  readonly desired?: DesiredState;
}

/** The whole desired state, as the config says it: before its environment is on the host, and the schema has changed. */
export interface DesiredState extends Omit<PlanAct, "act" | "releases" | "schema"> {
  /** What each colour shall run; null retires it. */
  readonly releases: Readonly<Record<Colour, Omit<ReleaseIntent, "environment"> | null>>;
}

/** Everything that the conductor takes. */
export type Act =
  | ConfigureAct
  | CertifyAct
  | EnvironmentAct
  | PlanAct
  | ReleaseAct
  | TrafficAct
  | MaintenanceAct
  | AbortAct
  | AckAct
  | SmokeAct
  | StatusAct
  | DriftAct
  | DatabaseActs
  | MonitoringAct;

/** One colour as it is now. */
export interface ColourStatus {
  /** Version that runs, or null for a retired colour. */
  readonly version: string | null;
  /** Commit that {@link ColourStatus.version} was built from. */
  readonly commit: string | null;
  /** Directory of the release. */
  readonly directory: string | null;
  /** Hash of the environment that it runs with. */
  readonly environment: string | null;
  /** Hash of the environment that it gets by its next release; its own where it is to be built or started another way; null for nothing new. */
  readonly pendingEnvironment: string | null;
  /** N passes in a row from every instance, and probed ever since. */
  readonly healthy: boolean;
  /** May get users' requests, by share or by failover. */
  readonly admitted: boolean;
}

/** A candidate that was taken off the users' traffic and is kept off it. */
export interface Abort {
  readonly colour: Colour;
  readonly reason: string;
  /** When, in ISO 8601. */
  readonly at: string;
}

/** What is live, as the conductor tells it. */
export interface SiteStatus {
  /** Counts up with every change of the truth. */
  readonly generation: number;
  /** What was asked for last. */
  readonly traffic: TrafficIntent & { readonly salt: string };
  /** Share of users that the candidate gets at this moment, in percent. */
  readonly effectiveWeight: number;
  /** The abort in force, if any. */
  readonly aborted: Abort | null;
  /** Closed to users by the last `maintenance` act. */
  readonly maintenance: boolean;
  /** Closed to users as far as the conductor says, by maintenance or by a change in place. */
  readonly closed: boolean;
  readonly colours: Readonly<Record<Colour, ColourStatus>>;
  /** The certificate in force; null where the site has no settings yet. */
  readonly certificate: CertificateStatus | null;
  /** Act under way, if any. */
  readonly underWay: string | null;
  /** How publishing goes; absent where the host publishes nothing. */
  readonly monitoring?: MonitoringStatus;
  /** Why the disk does not hold what is in force, which a restart would undo; absent where it does. */
  readonly unrecorded?: string;
}

/** The certificate that users see. */
export interface CertificateStatus {
  /**
   * `acme`: the conductor got it. `files`: it is in files that somebody else keeps. `placeholder`: signed by itself, until there
   * is another one. `none`: the files are not there, or are no certificate.
   */
  readonly source: "acme" | "files" | "placeholder" | "none";
  /** Names that it holds. */
  readonly domains: readonly string[];
  /** Who issued it; empty for none. */
  readonly issuer: string;
  /** End of its life, in ISO 8601; null for none. */
  readonly notAfter: string | null;
  /** Why it could not be had or renewed at the last try; null where the last try went well. */
  readonly lastFailure: CertificateFailure | null;
}

/** A certificate that could not be had. */
export interface CertificateFailure {
  /** When, in ISO 8601. */
  readonly at: string;
  readonly reason: string;
  /** Tries in a row that failed. */
  readonly tries: number;
}

/** Result of `configure`. */
export interface ConfigureResult {
  /** SHA-256 of the site's Nginx configuration, in hex. */
  readonly configuration: string;
}

/** Result of `environment`. */
export interface EnvironmentResult {
  readonly hash: string;
}

/** Result of `certify`. */
export interface CertifyResult {
  /** See {@link CertificateStatus.source}. */
  readonly source: "acme" | "files";
  /** Names that the certificate holds. */
  readonly domains: readonly string[];
  readonly issuer: string;
  /** End of its life, in ISO 8601. */
  readonly notAfter: string;
}

/**
 * Result of `drift`: what was found of each part, in words that hold no secret; null where it is as it was left. A part
 * that an act is changing just now is not judged, and null, too.
 */
export type DriftResult = Readonly<Record<DriftPart, string | null>> & {
  /** Why the desired state would be refused, with the way out; null where it would not. Absent where none was asked about. */
  readonly refusal?: string | null;
};

/** Result of `plan`. */
export interface PlanResult {
  /** The steps that the following acts will take, in order, in words. */
  readonly steps: readonly string[];
}

/** Result of `release`. Carries nothing that a repetition would change. */
export interface ReleaseResult {
  readonly colour: Colour;
  /** Null, like the next three, for a retired colour. */
  readonly version: string | null;
  readonly commit: string | null;
  readonly directory: string | null;
  /** Hash of the environment that the colour runs with. */
  readonly environment: string | null;
  /** The colour serves users, so that it keeps its environment until its next release. */
  readonly pending: boolean;
}

/** Result of `traffic`. */
export interface TrafficResult {
  readonly stable: Colour;
  readonly weight: number;
  /** Share that the front door confirmed, in percent. */
  readonly effectiveWeight: number;
  /** The version that each colour with a share serves. */
  readonly serving: Partial<Readonly<Record<Colour, string>>>;
}

/** Result of `maintenance`. */
export interface MaintenanceResult {
  readonly maintenance: boolean;
}

/** Result of `smoke`. */
export interface SmokeResult {
  readonly passed: boolean;
  readonly checks: readonly SmokeCheck[];
}

/** What came of a {@link SmokeTest}. */
export interface SmokeCheck {
  readonly name: string;
  readonly passed: boolean;
  /** What was answered, or what was wrong with it. */
  readonly detail: string;
  /** The slowest answer, in milliseconds. */
  readonly milliseconds: number;
}

/** Exit codes of `<app>-conductor act`. */
export const ExitCode = {
  done: 0,
  /** The act was begun and failed; what served before still serves. */
  failed: 1,
  /** The state does not allow the act; nothing was touched. */
  refused: 3,
  /** The act is not one, or breaks a rule; nothing was touched. */
  invalid: 4,
  /** Nobody answered: the conductor does not run. */
  silent: 5,
} as const;
