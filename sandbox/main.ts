import * as path from "node:path";
import { Command, Option } from "commander";

import { APPLICATION_NAMES, type ApplicationName } from "./applications";
import { SandboxCloud } from "./aws/sandbox-cloud";
import { cloudLogin, cloudVisit } from "./cloud-site";
import { runCloudDemo, runDemo } from "./demo/demo";
import { takeDown } from "./down";
import { findHost } from "./hosts/host";
import { repositoryRoot } from "./repository";
import { openShell } from "./shell";
import { Site } from "./site";
import { printStatus } from "./status";
import { loadUntilInterrupted, type LoadedSite } from "./steady-load";
import { DEFAULT_WORLD, worldNamed } from "./world";

/** The demo's host. Its address, 10.77.1.2, is part of the documentation; in a world of a test it takes a free one. */
const HOST = { name: "web", ...(worldNamed().name === DEFAULT_WORLD ? { index: 1 } : {}) };

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function up({
  app,
  database,
  stripe,
  cloud,
}: {
  readonly app?: ApplicationName;
  readonly database?: boolean;
  readonly stripe?: boolean;
  readonly cloud?: boolean;
}): Promise<void> {
  const options = {
    projectDirectory: projectDirectory(),
    ...(app === undefined ? {} : { application: app }),
  };
  const beside = { database: database === true, stripe: stripe === true };
  const { faults, total } =
    cloud === true
      ? await runCloudDemo(options, print)
      : await runDemo({ ...HOST, ...options, ...beside }, print);
  if (faults.length > 0) throw new Error(`not everything was as it should be:\n  ${faults.join("\n  ")}`);
  if (total.lost > 0)
    throw new Error(`${total.lost} of ${total.sent} requests were lost; the loads' reports above say why`);
}

/** The site that is up, of whichever kind. */
async function siteToLoad(): Promise<LoadedSite> {
  const world = worldNamed();
  if (SandboxCloud.isThere(world)) return { world, ...cloudVisit(world, projectDirectory()) };
  if (findHost(HOST.name) === null) throw new Error(`host ${HOST.name} is not up: boot it with bin/sandbox`);
  const site = await Site.open({ ...HOST, projectDirectory: projectDirectory() });
  return { world, address: site.host.address, domain: site.domain, authority: site.authority() };
}

/** How an administrator logs in to the host that is up, of whichever kind. */
function login(): string[] {
  const world = worldNamed();
  if (SandboxCloud.isThere(world)) return cloudLogin(world);
  const host = findHost(HOST.name);
  if (host === null) throw new Error(`host ${HOST.name} is not up: boot it with bin/sandbox`);
  return [...host.sshOptions(), `root@${host.address}`];
}

/** Directory of the sandbox's Pulumi project. */
function projectDirectory(): string {
  return process.env["VEHICLESERVICE_SANDBOX_PROJECT"] ?? path.join(repositoryRoot(), ".sandbox");
}

function commands(): Command {
  const program = new Command("sandbox");
  program.description("The whole product on this one machine: a real host, two releases, a moving canary.");
  program.enablePositionalOptions();
  program
    .command("up")
    .description(
      "boot the host, and show blue/green with a canary under load; leaves the site up (the default)",
    )
    .addOption(
      new Option("--app <name>", "what to ship; by default what was shipped last, or plain").choices(
        APPLICATION_NAMES,
      ),
    )
    .option(
      "--database",
      "with a Postgres and an S3 of its own, both new: migrations behind a rehearsed backup",
    )
    .option("--stripe", "with a stand-in for Stripe, which has a webhook endpoint for the site")
    .option(
      "--cloud",
      "from nothing but accounts: the stack makes network, host, bucket, alarms and the rest at an AWS, a Supabase and a Stripe of this machine",
    )
    .action(up);
  program
    .command("down")
    .description("put the machine back as it was, also after a killed run; packages and the image cache stay")
    .action(() => takeDown(worldNamed(), print));
  program
    .command("status")
    .description("hosts, and who serves what")
    .action(() => printStatus(worldNamed(), print));
  program
    .command("shell")
    .description("SSH into the host, or run a command there")
    .argument("[command...]")
    .passThroughOptions()
    .action((command: string[]) => openShell(login(), command));
  program
    .command("load")
    .description("a steady load of POST requests over HTTP/1.1 and HTTP/2 until Ctrl-C")
    .action(async () => loadUntilInterrupted(await siteToLoad(), print));
  return program;
}

commands()
  .parseAsync(process.argv.length > 2 ? process.argv : [...process.argv, "up"])
  .catch((error: unknown) => {
    process.stderr.write(`sandbox: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
