import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import * as pulumi from "@pulumi/pulumi";
import type { SecretsSpec } from "./components/app-secrets";
import type { BackupBucketSpec } from "./components/backup-bucket";
import type { DatabaseSpec } from "./components/database";
import type { SiteArgs } from "./components/front-door";
import type { HostSettings } from "./components/host";
import type { MachineSpec } from "./components/machine";
import type { MonitoringSpec } from "./components/monitoring";
import type { ReleaseSpec, Strategy } from "./components/release-spec";
import type { StripeSpec } from "./components/stripe-webhook";
import type { SupabaseSpec } from "./components/supabase-project";
import { bucketSpec } from "./config/cloud-bucket";
import { machineSpec } from "./config/cloud-machine";
import { checkAgreement } from "./config/cross-rules";
import { type FoundDatabase, findDatabase } from "./config/database";
import { ConfigError, type Fault } from "./config/faults";
import { findKeys, type Keys, type Machine } from "./config/keys";
import { findMonitoring, monitoringSpec, type PlainMonitoringSpec } from "./config/monitoring";
import { SECRETS, type StackValues } from "./config/schema/stack";
import { findSecrets, generatedNames, secretsSpec } from "./config/secrets";
import { findStripe, namesOfStripe, stripeSpec } from "./config/stripe";
import { findSupabase, namesOfSupabase, supabaseSpec } from "./config/supabase";
import { findTexts, type Texts } from "./config/texts";
import { checkValues, type RawConfig, readGroups } from "./config/validation";
import { findVariableFaults } from "./config/variables";
import type { Colour, SiteSettings, TlsSettings, TrafficIntent } from "./host/conductor/protocol";
import type { DatabaseSettings } from "./host/database/protocol";

/** The configuration of a stack, in the words of the components that take it. */
export interface StackConfig {
  /** Where the machine comes from that the host is. */
  readonly machine: MachineSpec;
  /** The bucket of backups that the stack makes; null for one that is there, or none. */
  readonly bucket: BackupBucketSpec | null;
  /** The host, and who logs in. */
  readonly host: HostSettings;
  /** Everything about the site that is neither a release nor a share of traffic. */
  readonly site: SiteArgs;
  /** The application's variables, value by name. Secrets, all of them. */
  readonly variables: Readonly<Record<string, pulumi.Input<string>>>;
  /** The variables that the stack makes itself; null for none. */
  readonly secrets: SecretsSpec | null;
  /** The database, and what shall become of its schema; null for none. */
  readonly database: DatabaseSpec | null;
  /** The project of Supabase's, and what it shall be; null for none. */
  readonly supabase: SupabaseSpec | null;
  /** Where Stripe sends events; null for nowhere. */
  readonly stripe: StripeSpec | null;
  /** What is published of the site, and who is told what of it; null for nothing. */
  readonly monitoring: MonitoringSpec | null;
  /** What each colour shall run; null retires it. */
  readonly releases: Readonly<Record<Colour, ReleaseSpec | null>>;
  /** How a release comes to users where the other colour could not take them over meanwhile. */
  readonly strategy: Strategy;
  /** Who gets which share. */
  readonly traffic: TrafficIntent;
  /** Keeps users out, from before the releases change until after they have. */
  readonly maintenance: boolean;
}

/** {@link StackConfig} before its secrets are marked as such. */
interface PlainConfig extends StackConfig {
  readonly host: HostSettings & { readonly privateKey: string };
  readonly site: SiteSettings;
  readonly variables: Readonly<Record<string, string>>;
  readonly database: (DatabaseSpec & { readonly settings: DatabaseSettings }) | null;
  readonly supabase: ReturnType<typeof supabaseSpec>;
  readonly stripe: ReturnType<typeof stripeSpec>;
  readonly monitoring: PlainMonitoringSpec | null;
}

/**
 * Reads the stack's whole configuration, once.
 * @param config The project's configuration; its name is the namespace of the keys.
 * @param projectDirectory Directory that holds `Pulumi.yaml`; relative paths of files start here.
 * @throws {ConfigError} naming every fault at once: key, value (secrets masked), rule, remedy.
 */
export function loadConfig(config: pulumi.Config, projectDirectory: string): StackConfig {
  const machine: Machine = {
    projectDirectory,
    home: homedir(),
    read: (path) => readFileSync(path, "utf8"),
    bytes: (path) => readFileSync(path),
    list: (path) => readdirSync(path),
  };
  const { host, site, variables, database, supabase, stripe, monitoring, ...rest } = validate(
    readRaw(config),
    machine,
  );
  const { name, secret } = site.testers;
  return {
    host: { ...host, privateKey: pulumi.secret(host.privateKey) },
    site: { ...site, testers: { name, secret: secret === "" ? "" : pulumi.secret(secret) } },
    variables: Object.fromEntries(
      Object.entries(variables).map(([variable, value]) => [variable, pulumi.secret(value)]),
    ),
    database: database && { ...database, settings: pulumi.secret(database.settings) },
    supabase: supabase && {
      ...supabase,
      accessToken: pulumi.secret(supabase.accessToken),
      smtpPassword: supabase.smtpPassword && pulumi.secret(supabase.smtpPassword),
    },
    stripe: stripe && {
      ...stripe,
      apiKey: pulumi.secret(stripe.apiKey),
      adoptedSecret: pulumi.secret(stripe.adoptedSecret),
    },
    monitoring: monitoring && {
      ...monitoring,
      credentials: monitoring.credentials && pulumi.secret(monitoring.credentials),
    },
    ...rest,
  };
}

/**
 * Checks a raw configuration and puts it into the components' words. Pure but for what `machine` reads.
 * @throws {ConfigError} naming every fault at once.
 */
export function validate(unread: RawConfig, machine: Machine): PlainConfig {
  const raw = readGroups(unread);
  const { values, faults } = checkValues(raw);
  const keys = findKeys(raw, machine);
  const texts = findTexts(raw, machine);
  const database = findDatabase(raw, machine);
  const supabase = findSupabase(raw, machine);
  // What components give: the config need not.
  const provided = new Set([...generatedNames(raw), ...namesOfStripe(raw), ...namesOfSupabase(raw)]);
  const all = firstOfEachKey([
    ...[...faults, ...checkAgreement(raw), ...keys.faults, ...texts.faults],
    ...[...database.faults, ...supabase.faults],
    ...[...findSecrets(raw), ...findVariableFaults(raw, provided)],
    ...[...findStripe(raw), ...findMonitoring(raw).faults],
  ]);
  if (values === undefined || all.length > 0) throw new ConfigError(all, raw.stack);
  return {
    ...arranged(values, keys, texts),
    machine: machineSpec(values, keys, raw.stack),
    bucket: bucketSpec(values),
    database: databaseSpec(values, texts, database.found),
    supabase: supabaseSpec(values, supabase.mails, raw.stack),
    stripe: stripeSpec(values, raw),
    monitoring: monitoringSpec(values, texts, raw),
  };
}

/** Of several faults of one key the first, which is the most basic one. */
function firstOfEachKey(faults: readonly Fault[]): Fault[] {
  return faults.filter((fault, index) => faults.findIndex(({ key }) => key === fault.key) === index);
}

/** Is a key encrypted in the stack's file? Pulumi's own answer is no part of its declared types. */
function isEncrypted(key: string): boolean {
  const { isConfigSecret } = pulumi.runtime as { isConfigSecret?: (key: string) => boolean };
  // Without an answer everything counts as a secret: a message that shows too little does no harm.
  return isConfigSecret === undefined || isConfigSecret(key);
}

function readRaw(config: pulumi.Config): RawConfig {
  const prefix = `${config.name}:`;
  const entries = Object.entries(pulumi.runtime.allConfig())
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value] as const);
  const encrypted = entries
    .map(([key]) => key)
    .filter((key) => SECRETS.has(key) || isEncrypted(prefix + key));
  return {
    namespace: config.name,
    stack: pulumi.getStack(),
    values: Object.fromEntries(entries),
    encrypted: new Set(encrypted),
    awsRegion: pulumi.runtime.allConfig()["aws:region"],
  };
}

function arranged(
  values: StackValues,
  { privateKey }: Keys,
  texts: Texts,
): Omit<PlainConfig, "machine" | "bucket" | "database" | "supabase" | "stripe" | "monitoring"> {
  if (privateKey === undefined) throw new Error("a key is missing without a fault");
  return {
    host: { app: values.name, privateKey },
    site: siteSettings(values, texts),
    variables: values.variables,
    secrets: secretsSpec(values),
    releases: { blue: releaseSpec(values, "blue"), green: releaseSpec(values, "green") },
    strategy: values.strategy === "in-place" ? { inPlace: true } : {},
    traffic: { stable: values.stable, weight: values.canaryWeight },
    maintenance: values.maintenance,
  };
}

/** Files on the host, unless the host gets its certificate itself. */
function tlsSettings({ name, site }: StackValues, texts: Texts): TlsSettings {
  const { acme, certificate, key } = site.tls;
  if (acme !== undefined) return { acme: { ...acme, authority: texts.acmeAuthority } };
  return {
    certificate: certificate ?? `/etc/ssl/${name}/fullchain.pem`,
    key: key ?? `/etc/ssl/${name}/privkey.pem`,
  };
}

function siteSettings(values: StackValues, texts: Texts): SiteSettings {
  const { testerName, ...site } = values.site;
  const { ports, instances, health, releasesKept, smokeTests, assets } = values.application;
  const { buildCache, buildTimeoutSeconds, minFreeMegabytes } = values.application;
  const { maintenance, rateLimit } = site;
  return {
    ...site,
    tls: tlsSettings(values, texts),
    testers: { name: testerName, secret: values.testerSecret },
    maintenance: {
      page: texts.maintenancePage,
      passPaths: maintenance.passPaths ?? [health.path],
      retryAfterSeconds: maintenance.retryAfterSeconds,
    },
    rateLimit: { ...rateLimit, exemptPaths: rateLimit.exemptPaths ?? [health.path, ...site.stablePaths] },
    nginxSnippet: texts.nginxSnippet,
    assetsPath: assets.path === "" ? null : assets.path,
    ports,
    instances,
    health,
    releasesKept,
    builds: {
      assets: assets.directory,
      cache: buildCache,
      minFreeMegabytes,
      timeoutSeconds: buildTimeoutSeconds,
    },
    smokeTests: smokeTests.map(({ contains = null, signedWith, ...test }) => ({
      ...{ ...test, contains },
      ...(signedWith === undefined ? {} : { signedWith }),
    })),
  };
}

function databaseSpec(
  values: StackValues,
  texts: Texts,
  found: FoundDatabase | undefined,
): PlainConfig["database"] {
  if (found === undefined) return null;
  const { epoch, backupGeneration, baseline, accept } = values.database;
  const { migrations, checks, ranges } = found.schema;
  const rangeOf = (version: string) => ranges.get(version) ?? null;
  return {
    settings: databaseSettings(values, texts),
    identity: found.identity,
    migrations: migrations.map(({ version, name, sha256, sql, contract }) => {
      return { version, name, sha256, sql, contract };
    }),
    holdsSecrets: migrations.some(({ secret }) => secret),
    checks,
    accept: accept.map(({ version, sha256, reason }) => ({ version, sha256: sha256 || null, reason })),
    baseline: baseline || null,
    epoch,
    backupGeneration,
    ranges: { blue: rangeOf(values.blueVersion), green: rangeOf(values.greenVersion) },
  };
}

function databaseSettings(values: StackValues, texts: Texts): DatabaseSettings {
  const { schemas, lockTimeoutMs, lockWaitSeconds, statementTimeoutSeconds, rowTolerancePercent } =
    values.database;
  const { bucket, region, endpoint, prefix } = values.backups;
  const { backupAccessKeyId: accessKeyId, backupSecretAccessKey: secretAccessKey } = values;
  return {
    url: values.databaseUrl,
    schemas,
    limits: { lockTimeoutMs, lockWaitSeconds, statementTimeoutSeconds },
    bucket: {
      name: bucket,
      region,
      endpoint: endpoint || null,
      prefix,
      credentials: accessKeyId === "" ? null : { accessKeyId, secretAccessKey },
      authority: texts.backupAuthority,
    },
    rehearsal: { url: values.rehearsalUrl || null },
    rowTolerancePercent,
  };
}

function releaseSpec(values: StackValues, colour: Colour): ReleaseSpec | null {
  const version = colour === "blue" ? values.blueVersion : values.greenVersion;
  if (version === "") return null;
  const { repository, tagPattern, commits } = values.source;
  const { install, build, prune, script, args, buildVariables } = values.application;
  const tag = tagPattern.replace("{version}", version);
  const commit = commits[version] ?? null;
  return { version, tag, repository, commit, install, build, prune, script, args, buildVariables };
}
