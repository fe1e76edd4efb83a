import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../../command";
import type { SandboxHost } from "../../hosts/host";
import { waitFor } from "../../processes";
import { repositoryRoot } from "../../repository";
import { findService, serviceLog, startService, stopService } from "../../services";
import type { World } from "../../world";
import { EMULATOR_OWNER } from "../emulator";
import type { Cloud } from "../plugin/cloud";
import { IMAGE } from "../types/ec2-image";
import { METADATA_ADDRESS, type MetadataSettings } from "./metadata-settings";

/** Longest wait for the service to listen, in seconds. */
const ANSWER_SECONDS = 20;

/** How an instance's metadata service is to be. */
export interface MetadataOptions {
  /** False: it is not there. */
  readonly enabled: boolean;
  /** Whether a session token is required. */
  readonly tokens: "required" | "optional";
  /** Name of the instance's profile; null for none. */
  readonly profile: string | null;
}

/**
 * Starts the metadata service of an instance, over one that runs: a program in the host's network and nowhere else, under
 * the address that every instance has it at. The host may shut anybody out of it by its own firewall, as on EC2.
 */
export async function startMetadata(
  cloud: Cloud,
  host: SandboxHost,
  options: MetadataOptions,
): Promise<void> {
  const { world } = cloud;
  await stopMetadata(world, host.name);
  if (!options.enabled) return;
  const { namespace } = host.network;
  await run(["ip", "-n", namespace, "address", "replace", `${METADATA_ADDRESS}/32`, "dev", "lo"]);
  const settings = settingsFile(world, host.name);
  fs.mkdirSync(path.dirname(settings), { recursive: true, mode: 0o700 });
  fs.writeFileSync(settings, JSON.stringify(settingsOf(cloud, host, options)), { mode: 0o600 });
  const program = path.join(repositoryRoot(), "dist", "instance-metadata.js");
  startService(world, serviceOf(host.name), [
    ...["nsenter", `--net=/run/netns/${namespace}`, process.execPath, program, settings],
  ]);
  await waitFor(`the metadata service of ${host.name}`, ANSWER_SECONDS, async () => {
    if (findService(world, serviceOf(host.name)) === null)
      throw new Error(`the metadata service ended at once:\n${logTail(world, host.name)}`);
    const asked = ["nsenter", `--net=/run/netns/${namespace}`, "ss", "-Hltn", `src ${METADATA_ADDRESS}`];
    return (await run(asked)).stdout.trim() === "" ? undefined : true;
  });
}

/** Ends it, and forgets what it knew. */
export async function stopMetadata(world: World, instanceId: string): Promise<void> {
  await stopService(world, serviceOf(instanceId));
  fs.rmSync(settingsFile(world, instanceId), { force: true });
}

function settingsOf(cloud: Cloud, host: SandboxHost, options: MetadataOptions): MetadataSettings {
  const { region, settings } = cloud;
  const { iam } = settings.endpoints;
  if (iam === undefined)
    throw new Error('aws:endpoints names no "iam": instances have their roles from there');
  const { authorityFile } = settings;
  return {
    instanceId: host.name,
    imageId: IMAGE.imageId,
    region,
    availabilityZone: `${region}a`,
    address: host.address,
    tokens: options.tokens,
    profile: options.profile,
    // Not the deployer's: whom EC2 asks for an instance's credentials is Amazon's own business.
    owner: EMULATOR_OWNER,
    endpoint: iam,
    authority: authorityFile === null ? null : fs.readFileSync(authorityFile, "utf8"),
  };
}

function serviceOf(instanceId: string): string {
  return `metadata-${instanceId}`;
}

function settingsFile(world: World, instanceId: string): string {
  return path.join(world.stateDirectory, "aws", `metadata-${instanceId}.json`);
}

function logTail(world: World, instanceId: string): string {
  const log = serviceLog(world, serviceOf(instanceId));
  return fs.existsSync(log) ? fs.readFileSync(log, "utf8").slice(-2000) : "";
}
