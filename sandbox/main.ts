import * as path from "node:path";
import { Command, Option } from "commander";

import { APPLICATION_NAMES, type ApplicationName } from "./applications";
import { runDemo } from "./demo/demo";
import { takeDown } from "./down";
import { repositoryRoot } from "./repository";
import { openShell } from "./shell";
import { printStatus } from "./status";
import { loadUntilInterrupted } from "./steady-load";
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
}: {
  readonly app?: ApplicationName;
  readonly database?: boolean;
  readonly stripe?: boolean;
}): Promise<void> {
  const options = {
    ...{ ...HOST, projectDirectory: projectDirectory() },
    ...{ database: database === true, stripe: stripe === true },
  };
  const { faults, total } = await runDemo(
    app === undefined ? options : { ...options, application: app },
    print,
  );
  if (faults.length > 0) throw new Error(`not everything was as it should be:\n  ${faults.join("\n  ")}`);
  if (total.lost > 0) throw new Error(`${total.lost} of ${total.sent} requests were lost`);
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
    .action((command: string[]) => openShell(HOST.name, command));
  program
    .command("load")
    .description("a steady load of POST requests over HTTP/1.1 and HTTP/2 until Ctrl-C")
    .action(() => loadUntilInterrupted({ ...HOST, projectDirectory: projectDirectory() }, print));
  return program;
}

commands()
  .parseAsync(process.argv.length > 2 ? process.argv : [...process.argv, "up"])
  .catch((error: unknown) => {
    process.stderr.write(`sandbox: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
