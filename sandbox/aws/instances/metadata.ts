import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../../command";
import { releaseNetwork, reserveNetwork, type SandboxHost } from "../../hosts/host";
import { waitFor } from "../../processes";
import { repositoryRoot } from "../../repository";
import { findService, serviceLog, startService, stopService } from "../../services";
import type { World } from "../../world";
import { EMULATOR_OWNER } from "../emulator";
import type { Cloud } from "../plugin/cloud";
import { IMAGE } from "../types/ec2-image";
import { METADATA_ADDRESS, type MetadataSettings } from "./metadata-settings";

/** Longest wait for the service to listen, in seconds. */
const ANSWER_SECONDS = 120;

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
 * Starts the metadata service of an instance, over one that runs: under the address that every instance has it at, in a
 * network between it and its host alone. The host may shut anybody out of it by its own firewall, as on EC2.
 */
export async function startMetadata(
  cloud: Cloud,
  host: SandboxHost,
  options: MetadataOptions,
): Promise<void> {
  const { world } = cloud;
  await stopMetadata(world, host.name);
  if (!options.enabled) return;
  const namespace = await connect(world, host);
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

/** Ends it, and takes it off the host's network. */
export async function stopMetadata(world: World, instanceId: string): Promise<void> {
  await stopService(world, serviceOf(instanceId));
  fs.rmSync(settingsFile(world, instanceId), { force: true });
  // The link goes with its other end.
  await releaseNetwork(world, networkName(instanceId));
}

/**
 * Makes the service's network: one of the machine's, by which it reaches the emulator, and a link to the host. In the
 * host's own its port would be the front door's. Returns its namespace.
 */
async function connect(world: World, host: SandboxHost): Promise<string> {
  const { namespace: guest, address } = host.network;
  const { namespace: own } = await reserveNetwork(world, networkName(host.name));
  const inside = (...words: string[]): Promise<unknown> => run(["ip", "-n", own, ...words]);
  const onHost = (...words: string[]): Promise<unknown> => run(["ip", "-n", guest, ...words]);
  await onHost("link", "add", "imds0", "type", "veth", "peer", "name", "guest0", "netns", own);
  await inside("address", "add", `${METADATA_ADDRESS}/32`, "dev", "guest0");
  await inside("link", "set", "guest0", "up");
  await onHost("link", "set", "imds0", "up");
  await inside("route", "add", `${address}/32`, "dev", "guest0");
  await onHost("route", "add", `${METADATA_ADDRESS}/32`, "dev", "imds0", "src", address);
  return own;
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

function networkName(instanceId: string): string {
  return `${instanceId}-metadata`;
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
