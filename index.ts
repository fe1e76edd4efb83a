import * as pulumi from "@pulumi/pulumi";
import { AppSecrets } from "./components/app-secrets";
import { BackupBucket } from "./components/backup-bucket";
import { Certificate } from "./components/certificate";
import { Database } from "./components/database";
import { EnvironmentFile } from "./components/environment-file";
import { FrontDoor } from "./components/front-door";
import { Host } from "./components/host";
import { Machine } from "./components/machine";
import { Maintenance } from "./components/maintenance";
import { Monitoring } from "./components/monitoring";
import { Release } from "./components/release";
import { SitePlan } from "./components/site-plan";
import { StripeWebhook } from "./components/stripe-webhook";
import { SupabaseProject } from "./components/supabase-project";
import { Traffic } from "./components/traffic";
import { loadConfig } from "./config";

const {
  machine: machineSpec,
  bucket: bucketSpec,
  host: hostSettings,
  site,
  variables,
  secrets: secretsSpec,
  database: databaseSpec,
  supabase: supabaseSpec,
  stripe: stripeSpec,
  monitoring: monitoringSpec,
  releases,
  strategy,
  traffic: shares,
  maintenance: closed,
} = loadConfig(new pulumi.Config(), pulumi.getRootDirectory());

// Where the application runs, and where its backups are kept.
const machine = new Machine("machine", machineSpec);
const bucket = new BackupBucket("backups", { bucket: bucketSpec, role: machine.role });

// What runs it, and the door that its users come through. What it would refuse to become is refused here, before anything changes.
const host = new Host("web", {
  ...hostSettings,
  machine,
  desired: { releases, ...strategy, traffic: shares },
});
const frontDoor = new FrontDoor("front-door", { host, site });
const certificate = new Certificate("certificate", { host, frontDoor, site });

// What the application is told. Another value reaches users by another release, never by a restart of what serves.
const secrets = new AppSecrets("secrets", secretsSpec);
// Who calls it: Stripe tells a signing secret once, where it makes the endpoint.
const stripe = new StripeWebhook("stripe", stripeSpec);
// Where the database, the logins and the REST API live: as it shall be before the schema changes. One that is made has its own keys.
const supabase = new SupabaseProject("supabase", { supabase: supabaseSpec, database: databaseSpec });
const environment = new EnvironmentFile("environment", {
  host,
  variables: { ...variables, ...secrets.variables, ...stripe.variables, ...supabase.variables },
});

const maintenance = new Maintenance("maintenance", { host, frontDoor, on: closed });

// Schema before code, and behind a backup that was restored: both releases have to run on it.
const database = new Database("database", {
  host,
  environment,
  maintenance,
  before: [supabase.verified, bucket.ready],
  database: supabase.leadTo(databaseSpec),
});

// No release is touched before the host agrees that the whole can be reached from what is live.
const plan = new SitePlan("plan", {
  host,
  certificate,
  maintenance,
  database,
  after: [supabase.tryPublicApi(database)],
  environment,
  releases,
  ...strategy,
  traffic: shares,
});

// Two releases side by side; traffic moves last, and only to one that proved itself.
const blue = new Release("blue", {
  host,
  plan,
  environment,
  colour: "blue",
  release: releases.blue,
  ...strategy,
});
const green = new Release("green", {
  host,
  plan,
  environment,
  colour: "green",
  release: releases.green,
  ...strategy,
});
const traffic = new Traffic("traffic", { host, blue, green, ...shares });
maintenance.endAfter(traffic);

// What is published of all that, and who is told when it is not well. From the schema on: a rollout is watched, too.
new Monitoring("monitoring", { host, role: machine.role, database, monitoring: monitoringSpec });

export const { url } = frontDoor;
// How the host is reached: what the config says, or what was made.
export const { address, hostKey, securityGroupId } = machine;
export const { serving, effectiveWeight, stable } = traffic;
export const { schemaVersion, measuredRestoreSeconds, lastBackup } = database;
// Of a project of Supabase's that this stack made: how people reach it.
export const { access: supabaseAccess } = supabase;
// What Stripe's dashboard alone takes, and the endpoints that Stripe sends events by.
export const { redirectUri: stripeRedirectUri, endpoints: stripeEndpoints } = stripe;
// Colours that serve users by an environment, or a way to be built and started, that has changed since: they get the new one by their next
// release.
export const pending = { blue: blue.pending, green: green.pending };
