import * as fs from "node:fs";
import * as path from "node:path";

import { AWS_REGION } from "./aws/emulator";
import { pluginDirectory, SandboxCloud } from "./aws/sandbox-cloud";
import { Subscriber } from "./aws/subscriber/subscriber";
import { certificatesIn, makeCertificates, type Certificates } from "./certificates";
import { run } from "./command";
import { leadToDatabase } from "./database";
import { findHost, hostNames, type SandboxHost } from "./hosts/host";
import { SandboxPostgres } from "./postgres";
import { allDone } from "./processes";
import { SandboxProject } from "./project";
import {
  certificateFiles,
  chooseApplication,
  domainsOf,
  siteDirectory,
  type SiteOptions,
  type StandingSite,
} from "./site";
import { Source } from "./source";
import { SandboxStripe } from "./stripe/service";
import { SandboxSupabase } from "./supabase/service";
import { worldNamed, type World } from "./world";

/** Name of the site's directory in its world. */
const SITE = "cloud";

/** Bucket of its backups: no name on this machine is anybody else's. */
const BUCKET = "vehicleservice-sandbox-backups";

/** User that the stack makes on its host. */
const LOGIN = "admin";

/** Who is told of alarms, by severity. */
const SEVERITIES = ["page", "warn"] as const;

/** What a {@link CloudSite} is made of. */
export type CloudSiteOptions = Pick<SiteOptions, "projectDirectory" | "application" | "world" | "onProgress">;

/**
 * A site of which nothing is there yet: accounts at an AWS, a Supabase and a Stripe of this machine's own, the application's git source, and a
 * Pulumi project whose first `up` makes the rest, its host among it.
 */
export class CloudSite implements StandingSite {
  private constructor(
    readonly world: World,
    readonly cloud: SandboxCloud,
    readonly project: SandboxProject,
    readonly source: Source,
    /** What is neither at AWS nor on the host. */
    readonly services: { readonly postgres: SandboxPostgres; readonly stripe: SandboxStripe },
    /** Who is told of alarms. */
    readonly subscriber: Subscriber,
    readonly certificates: Certificates,
    readonly domain: string,
  ) {}

  /** Makes the accounts and the project. Throws where the world has a cloud already: what it has would be lost. */
  static async open(options: CloudSiteOptions): Promise<CloudSite> {
    const world = options.world ?? worldNamed();
    if (SandboxCloud.isThere(world))
      throw new Error("there is a site with a cloud of its own already: end it first with bin/sandbox down");
    const directory = siteDirectory(world, SITE);
    fs.mkdirSync(directory, { recursive: true });
    // For `down`, which may be called from another clone.
    fs.writeFileSync(path.join(directory, "project"), path.resolve(options.projectDirectory));
    const domains = domainsOf(options.projectDirectory);
    const certificates = await makeCertificates(path.join(directory, "certificates"), domains);
    const [cloud, source] = await allDone([
      SandboxCloud.start({
        world,
        directory: path.join(directory, "aws"),
        imageFiles: certificateFiles(certificates),
      }),
      Source.create(path.join(directory, "source"), chooseApplication(options)),
    ]);
    const { address, emulator } = cloud;
    const makeProject = async (): Promise<SandboxProject> => {
      const made = await SandboxProject.prepare(options.projectDirectory, {
        host: await hostValues(directory, cloud, domains),
        plugins: { aws: pluginDirectory() },
        // By this the plugin knows whose hosts its instances are.
        environment: { VEHICLESERVICE_SANDBOX_WORLD: world.name },
        application: source.application,
        repository: await source.serve(world, address),
      });
      await cloud.configure(made);
      return made;
    };
    const [project, { postgres, supabase }, stripe, subscriber] = await allDone([
      makeProject(),
      startDatabase(world, directory, address),
      SandboxStripe.start(world, { directory: path.join(directory, "stripe"), address }),
      Subscriber.start(world, { directory: path.join(directory, "subscriber"), address, emulator }),
    ]);
    // One after the other: each of them writes the stack's file.
    await leadToDatabase(project, postgres);
    await supabase.configure(project);
    await stripe.configure(project);
    await leadToCloud(project, cloud, subscriber);
    const [domain = ""] = domains;
    return new CloudSite(
      world,
      cloud,
      project,
      source,
      { postgres, stripe },
      subscriber,
      certificates,
      domain,
    );
  }

  /** The host that the stack made. Throws where there is none. */
  get host(): SandboxHost {
    return cloudHost(this.world);
  }

  authority(): string {
    return fs.readFileSync(this.certificates.authority, "utf8");
  }
}

/** The host that the stack of a world with a cloud made. Throws where there is none that is up. */
export function cloudHost(world: World): SandboxHost {
  const [name] = hostNames(world);
  const host = name === undefined ? null : findHost(name, world);
  if (host === null) throw new Error("the stack has no host yet: run an up first");
  return host;
}

/** How the operator logs in to the host that the stack of a world with a cloud made. Throws where there is none that is up. */
export function cloudLogin(world: World): string[] {
  const host = cloudHost(world);
  return [...host.sshOptions(deployKeyIn(siteDirectory(world, SITE))), `${LOGIN}@${host.address}`];
}

/** Where visitors of a world's cloud site go, and what they trust. */
export function cloudVisit(world: World, projectDirectory: string) {
  const [domain = ""] = domainsOf(projectDirectory);
  const { authority } = certificatesIn(path.join(siteDirectory(world, SITE), "certificates"));
  return { address: cloudHost(world).address, domain, authority: fs.readFileSync(authority, "utf8") };
}

/** A Postgres, and Supabase in front of it. */
async function startDatabase(
  world: World,
  site: string,
  address: string,
): Promise<{ postgres: SandboxPostgres; supabase: SandboxSupabase }> {
  const directory = path.join(site, "database");
  fs.mkdirSync(directory, { recursive: true });
  // Postgres runs as a user of its own, who has to find the way through.
  fs.chmodSync(directory, 0o711);
  const postgres = await SandboxPostgres.start(world, {
    directory: path.join(directory, "postgres"),
    address,
  });
  const supabase = await SandboxSupabase.start(world, {
    ...{ directory: path.join(site, "supabase"), address, postgres },
  });
  return { postgres, supabase };
}

function deployKeyIn(directory: string): string {
  return path.join(directory, "deploy_key");
}

/** The group `host`: a machine that the stack makes, and the operator's key for it. */
async function hostValues(
  directory: string,
  cloud: SandboxCloud,
  domains: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const privateKeyFile = deployKeyIn(directory);
  fs.rmSync(privateKeyFile, { force: true });
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy", "-f", privateKeyFile]);
  const ec2 = {
    imageId: cloud.image,
    availabilityZone: `${AWS_REGION}a`,
    sshFrom: [`${cloud.address}/32`],
    user: LOGIN,
    zoneId: await cloud.makeZone(domains[0] ?? ""),
  };
  return { mode: "ec2", privateKeyFile, ec2 };
}

/** Sets what the stack makes at AWS, and the endpoints by which the host reaches it. */
async function leadToCloud(
  project: SandboxProject,
  { emulator }: SandboxCloud,
  subscriber: Subscriber,
): Promise<void> {
  const values: Record<string, string> = {
    "backups.bucket": BUCKET,
    "backups.region": AWS_REGION,
    "backups.prefix": "database/",
    "backups.endpoint": emulator.url,
    "backups.authorityFile": emulator.authorityFile,
    "backups.create.objectLock.mode": "governance",
    "backups.create.objectLock.days": "1",
    "monitoring.enabled": "true",
    "monitoring.region": AWS_REGION,
    "monitoring.endpoint": emulator.url,
    "monitoring.authorityFile": emulator.authorityFile,
    "monitoring.intervalSeconds": "10",
    // The same time as by default, in periods that a first `up` need not wait a minute for.
    "monitoring.alarms.hostSilent.periodSeconds": "10",
    "monitoring.alarms.hostSilent.periods": "18",
    "monitoring.alarms.figuresMissing.periodSeconds": "10",
    "monitoring.alarms.figuresMissing.periods": "90",
  };
  for (const severity of SEVERITIES) values[`monitoring.${severity}.webhooks[0]`] = subscriber.url(severity);
  await project.setAll(values);
}
