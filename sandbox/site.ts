import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";

import type { SiteStatus } from "../host/conductor/protocol";
import { applicationNamed, applicationOf, type Application, type ApplicationName } from "./applications";
import { certificatesIn, makeCertificates, type Certificates } from "./certificates";
import { SandboxDatabase } from "./database";
import { bootHost, findHost, type SandboxHost } from "./hosts/host";
import type { SeedFiles } from "./hosts/seed";
import type { Suite } from "./image/image";
import { allDone } from "./processes";
import { SandboxProject, STACK } from "./project";
import { sshGreets } from "./reachable";
import { repositoryRoot } from "./repository";
import { Source, stopServing } from "./source";
import { SandboxStripe } from "./stripe/service";
import { SandboxSupabase } from "./supabase/service";
import { worldNamed, type World } from "./world";

/** Which site to open. */
export interface SiteOptions {
  /** Name of its host. */
  readonly name: string;
  /** N in the host's 10.77.N.0/24; by default the lowest free one from 10. */
  readonly index?: number;
  /** Its host's Debian suite; `forky` by default. */
  readonly suite?: Suite;
  /** Directory of its Pulumi project. */
  readonly projectDirectory: string;
  /** What it ships; by default what its project ships already, and `plain` for a new one. */
  readonly application?: ApplicationName;
  /** Whether it has a database, made anew, with an S3 for its backups; none by default. */
  readonly database?: boolean;
  /** Whether the database is one of a project of Supabase's, whose APIs are stood in for; none by default. */
  readonly supabase?: boolean;
  /** Whether Stripe, which is stood in for, has a webhook endpoint for it; none by default. */
  readonly stripe?: boolean;
  /** World that it belongs to; the default one by default. */
  readonly world?: World;
  /** Called with a line for each slow step. */
  readonly onProgress?: (line: string) => void;
}

/** The application's name, as the stack's defaults have it: part of paths on the host. */
const APP = "vehicleservice";

/** A site that is there: where users find it, and what brings something else onto it. */
export interface StandingSite {
  readonly world: World;
  /** Throws where there is no host yet. */
  readonly host: SandboxHost;
  readonly project: SandboxProject;
  readonly certificates: Certificates;
  /** The name that it answers to. */
  readonly domain: string;
  /** The certificate authority that its visitors have to trust, in PEM. */
  authority(): string;
}

/**
 * A host with all that its stack needs beside it: certificates, the application's git source, a Pulumi project. What is
 * deployed on it is Pulumi's and the host's matter.
 */
export class Site implements StandingSite {
  private constructor(
    readonly world: World,
    readonly host: SandboxHost,
    readonly project: SandboxProject,
    readonly source: Source,
    readonly certificates: Certificates,
    /** The name that it answers to. */
    readonly domain: string,
    /** Whether the host was up already. */
    readonly reused: boolean,
  ) {}

  /** Opens the site: takes the host that is up under that name if it is sound, and boots one otherwise. */
  static async open(options: SiteOptions): Promise<Site> {
    const world = options.world ?? worldNamed();
    const directory = siteDirectory(world, options.name);
    const domains = domainsOf(options.projectDirectory);
    const present = await soundHost(world, options.name);
    const application = chooseApplication(options);
    const sourceDirectory = path.join(directory, "source");
    const [host, source] = await allDone([
      present ?? Site.boot(world, options, directory, domains),
      Source.isComplete(sourceDirectory, application)
        ? Source.open(sourceDirectory, application)
        : Source.create(sourceDirectory, application),
    ]);
    // A new host may have the address of one of a killed run's, whose repository was served there.
    if (present === null) await stopServing(world, host.gateway);
    const repository = await source.serve(world, host.gateway);
    const { address, hostKey, privateKeyFile } = host;
    const values = { host: { address, hostKey, privateKeyFile }, application, repository };
    const project = await SandboxProject.prepare(options.projectDirectory, values);
    if (options.database === true || options.supabase === true) {
      const address = host.gateway;
      const database = await SandboxDatabase.start(world, {
        ...{ directory: path.join(directory, "database"), address },
      });
      await database.configure(project);
      if (options.supabase === true) {
        const { postgres } = database;
        const supabase = await SandboxSupabase.start(world, {
          ...{ directory: path.join(directory, "supabase"), address, postgres },
        });
        await supabase.configure(project);
      }
    }
    if (options.stripe === true) {
      const stripe = await SandboxStripe.start(world, {
        ...{ directory: path.join(directory, "stripe"), address: host.gateway },
      });
      await stripe.configure(project);
    }
    const certificates = certificatesIn(path.join(directory, "certificates"));
    return new Site(world, host, project, source, certificates, domains[0] ?? "", present !== null);
  }

  /** Asks the host's conductor what is live. Throws where nothing has been deployed. */
  async status(): Promise<SiteStatus> {
    const status = await siteStatus(this.host);
    if (status === null) throw new Error(`host ${this.host.name} has no conductor yet: run an up first`);
    return status;
  }

  /** The certificate authority that its visitors have to trust, in PEM. */
  authority(): string {
    return fs.readFileSync(this.certificates.authority, "utf8");
  }

  /** Removes host, source and project. */
  async remove(): Promise<void> {
    await removeHostAndSource(this.world, this.host);
    this.project.remove();
  }

  private static async boot(
    world: World,
    options: SiteOptions,
    directory: string,
    domains: readonly string[],
  ): Promise<SandboxHost> {
    fs.mkdirSync(directory, { recursive: true });
    // For `down`, which may be called from another clone.
    fs.writeFileSync(path.join(directory, "project"), path.resolve(options.projectDirectory));
    const certificates = await makeCertificates(path.join(directory, "certificates"), domains);
    const files = certificateFiles(certificates);
    const { name, index, suite, onProgress } = options;
    return bootHost({
      name,
      world,
      files,
      ...(index === undefined ? {} : { index }),
      ...(suite === undefined ? {} : { suite }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  }
}

/** Removes a site's host, and its source; the project stays. */
export async function removeHostAndSource(world: World, host: SandboxHost): Promise<void> {
  await stopServing(world, host.gateway);
  fs.rmSync(siteDirectory(world, host.name), { recursive: true, force: true });
  removeIfEmpty(path.join(world.stateDirectory, "sites"));
  removeIfEmpty(path.join(world.stateDirectory, "services"));
  await host.remove();
}

/** Asks a host's conductor what is live; null where nothing has been deployed. */
export async function siteStatus(host: SandboxHost): Promise<SiteStatus | null> {
  const conductor = `/usr/local/bin/${APP}-conductor`;
  const installed = await host.exec(["test", "-x", conductor], { check: false });
  if (installed.exitCode !== 0) return null;
  const { stdout } = await host.exec([conductor, "act"], { stdin: '{"act":"status"}' });
  return JSON.parse(stdout) as SiteStatus;
}

/** Directories of the Pulumi projects that the sites of a world were opened with. */
export function projectDirectories(world: World): string[] {
  const sites = path.join(world.stateDirectory, "sites");
  if (!fs.existsSync(sites)) return [];
  const files = fs.readdirSync(sites).map((name) => path.join(sites, name, "project"));
  return files.filter((file) => fs.existsSync(file)).map((file) => fs.readFileSync(file, "utf8"));
}

/** A site's certificate and its key where the stack's defaults look for them on a host. */
export function certificateFiles({ chain, key }: Certificates): SeedFiles {
  return {
    [`/etc/ssl/${APP}/fullchain.pem`]: { content: fs.readFileSync(chain, "utf8") },
    [`/etc/ssl/${APP}/privkey.pem`]: { content: fs.readFileSync(key, "utf8"), mode: 0o600 },
  };
}

async function soundHost(world: World, name: string): Promise<SandboxHost | null> {
  const host = findHost(name, world);
  if (host === null) return null;
  if (await sshGreets(host.address)) return host;
  await host.remove();
  return null;
}

/** Directory of what a site has beside its host. */
export function siteDirectory(world: World, name: string): string {
  return path.join(world.stateDirectory, "sites", name);
}

/** The application asked for, or the one that the project was made for. */
export function chooseApplication({
  application,
  projectDirectory,
}: Pick<SiteOptions, "application" | "projectDirectory">): Application {
  if (application !== undefined) return applicationNamed(application);
  const repository = stackConfig(projectDirectory)["vehicleservice:source"]?.repository ?? "";
  return applicationOf(repository) ?? applicationNamed("plain");
}

/** The site's domains: as the user set them, or else the stack's defaults. */
export function domainsOf(projectDirectory: string): readonly string[] {
  const domains = stackConfig(projectDirectory)["vehicleservice:site"]?.domains ?? [];
  if (domains.length === 0)
    throw new Error(`Pulumi.${STACK}.yaml: vehicleservice:site.domains is empty; name at least one domain`);
  return domains;
}

/** The part of a stack's config that is looked at here. */
type Groups = Record<string, { readonly domains?: string[]; readonly repository?: string } | undefined>;

/** The stack's config as the user left it, or else the defaults. */
function stackConfig(projectDirectory: string): Groups {
  const file = `Pulumi.${STACK}.yaml`;
  const own = path.join(projectDirectory, file);
  const text = fs.readFileSync(fs.existsSync(own) ? own : path.join(repositoryRoot(), file), "utf8");
  return (parse(text) as { config: Groups }).config;
}

function removeIfEmpty(directory: string): void {
  if (fs.existsSync(directory) && fs.readdirSync(directory).length === 0) fs.rmdirSync(directory);
}
