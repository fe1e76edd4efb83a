import { z } from "zod";
import { accessKeyOrNone } from "../rules/database";
import { applicationName } from "../rules/host";
import { fitsEnvironment, variableName, variableValue, versionOrNone } from "../rules/release";
import { flag, integer, ruled } from "../rules/rule";
import { testerSecret } from "../rules/web";
import { application } from "./application";
import { permissionsBoundary } from "./cloud";
import { backups, database, databaseUrl } from "./database";
import { host } from "./host";
import { monitoring, monitoringKeyOrNone } from "./monitoring";
import { secrets } from "./secrets";
import { site } from "./site";
import { source } from "./source";
import { signingSecretOrNone, stripe, stripeKeyOrNone } from "./stripe";
import { accessTokenOrNone, smtpPasswordOrNone, supabase } from "./supabase";

/**
 * Every key of the stack's configuration: its type, its rule and its default. `Pulumi.yaml` declares the same keys and
 * defaults for those who read that first; a test keeps the two equal.
 */

const colour = () => ruled(z.enum(["blue", "green"]), "blue or green", "blue");

/** The whole configuration of a stack, as it stands under the project's namespace. */
export const stackSchema = z.strictObject({
  /** The application's name on the host. */
  name: applicationName().default("vehicleservice"),
  /** The engine keeps its hands off a stack of the environment `production`, whose bucket has to have an object lock. */
  environment: ruled(
    z.string().regex(/^[a-z0-9-]{0,32}$/),
    "at most 32 of a-z, 0-9 and -",
    "production",
  ).default(""),
  /** ARN of the policy above which no role of the stack can be given a right; empty for none, which production refuses. */
  permissionsBoundary: permissionsBoundary().default(""),
  /** The colour that takes all that the candidate does not. */
  stable: colour().default("blue"),
  /** Share of the candidate, the colour that is not stable, in percent. */
  canaryWeight: integer(0, 100, "percent", 5).default(0),
  /** Keeps users out, from before the releases change until after they have. */
  maintenance: flag(true).default(false),
  /** Version on blue; empty retires blue. */
  blueVersion: versionOrNone().default(""),
  /** Version on green; empty retires green. */
  greenVersion: versionOrNone().default(""),
  /**
   * `in-place` lets a version be put on the colour that serves everyone, behind the maintenance page; `blue-green`
   * refuses that.
   */
  strategy: ruled(
    z.enum(["blue-green", "in-place"]),
    "blue-green, or in-place for a site without a second colour",
    "blue-green",
  ).default("blue-green"),
  /** Secret that takes testers to a colour of their choice; empty closes that route. */
  testerSecret: testerSecret().default(""),
  /** Private SSH key itself, where there is no `host.privateKeyFile`; empty for none. */
  hostPrivateKey: ruled(
    z.string().max(65536),
    "an unencrypted private SSH key, whole, in OpenSSH's or PEM format",
    "< ~/.ssh/id_ed25519",
  ).default(""),
  /** URL of the database, in session mode, as a role that owns the schema; empty for no database. */
  databaseUrl: databaseUrl().default(""),
  /** URL of a Postgres server to rehearse on, as a role that may make databases; empty for one on the host. */
  rehearsalUrl: databaseUrl().default(""),
  /** Key for the backups' bucket; empty, both of them, for the host's own role. */
  backupAccessKeyId: accessKeyOrNone().default(""),
  backupSecretAccessKey: accessKeyOrNone().default(""),
  /** Token of Supabase's Management API; needed where the group `supabase` names a project. */
  supabaseAccessToken: accessTokenOrNone().default(""),
  /** Password of `supabase.auth.smtp`; empty for `variables.RESEND_API_KEY`. */
  supabaseSmtpPassword: smtpPasswordOrNone().default(""),
  /** Key that the stack asks Stripe by, with fewer rights than the application's; empty for `variables.STRIPE_SECRET_KEY`. */
  stripeApiKey: stripeKeyOrNone().default(""),
  /** Signing secret of a webhook endpoint that is there already; empty where the stack makes its own. */
  stripeWebhookSecret: signingSecretOrNone().default(""),
  /** Key that a host without a role publishes by; empty, both of them, for its role or a chain of its own. */
  monitoringAccessKeyId: monitoringKeyOrNone().default(""),
  monitoringSecretAccessKey: monitoringKeyOrNone().default(""),
  host,
  site,
  /** The application's environment, value by name. */
  variables: ruled(
    z.record(variableName(), variableValue()).refine(fitsEnvironment),
    "names and values, 1 MiB of values at the most",
    "{ LOG_LEVEL: warn }",
  ).default({}),
  /** Which variables have to be there, and what they have to be: the `guide`'s, or `none` in particular. */
  variableRules: ruled(
    z.enum(["guide", "none"]),
    "guide, for an application that reads the guide's variables, or none for another one",
    "guide",
  ).default("guide"),
  /** Variables that this stack makes itself. */
  secrets: secrets.prefault({}),
  application: application.prefault({}),
  source,
  database: database.prefault({}),
  backups: backups.prefault({}),
  supabase: supabase.prefault({}),
  stripe: stripe.prefault({}),
  monitoring: monitoring.prefault({}),
});

/** A configuration in which every value keeps its own rule. */
export type StackValues = z.infer<typeof stackSchema>;

/** Keys that are groups of keys. Pulumi hands them over as JSON. */
export const GROUPS: ReadonlySet<string> = new Set([
  ...["host", "site", "variables", "application", "source"],
  ...["database", "backups", "supabase", "secrets", "stripe", "monitoring"],
]);

/** Keys whose values no message ever shows. */
export const SECRETS: ReadonlySet<string> = new Set([
  ...["testerSecret", "hostPrivateKey", "variables"],
  ...["databaseUrl", "rehearsalUrl", "backupAccessKeyId", "backupSecretAccessKey"],
  ...["supabaseAccessToken", "supabaseSmtpPassword"],
  ...["stripeApiKey", "stripeWebhookSecret"],
  ...["monitoringAccessKeyId", "monitoringSecretAccessKey"],
]);
