import * as fs from "node:fs";
import { Agent } from "node:https";
import * as path from "node:path";

import {
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { CreateHostedZoneCommand, Route53Client } from "@aws-sdk/client-route-53";

import { releaseNetwork, reservedNetwork, reserveNetwork } from "../hosts/host";
import type { SeedFiles } from "../hosts/seed";
import type { SandboxProject } from "../project";
import { repositoryRoot } from "../repository";
import { startService, stopService, stopServicesLeft } from "../services";
import type { World } from "../world";
import { BOUNDARY, deployerPolicies } from "./deployer-policy";
import { AWS_REGION, AwsEmulator, EMULATOR_OWNER, installAws, type AwsKeys } from "./emulator";
import { Cloud, SERVICE_NAMES } from "./plugin/cloud";
import { keepFacts } from "./plugin/facts";
import { IMAGE } from "./types/ec2-image";
import { terminate } from "./types/ec2-instance";

/** The network that the world's cloud is at, before any host is there. */
const NETWORK = "cloud";

/** Service that evaluates the alarms. */
const EVALUATOR = "aws-alarms";

/** Where a {@link SandboxCloud} keeps what it has, and what its machines are made from. */
export interface CloudOptions {
  /** World of the emulator and of the hosts that instances are. */
  readonly world: World;
  /** For what the emulator has; emptied first. */
  readonly directory: string;
  /** What the machine image has beside Debian. */
  readonly imageFiles?: SeedFiles;
  /** Actions that the deployer may do on anything, beside what production's may; none by default. */
  readonly moreActions?: readonly string[];
}

/**
 * An AWS for a stack: the emulator at an address that every host of the world reaches, a deployer who may do what the
 * stack needs, and the plugin that stands in for Pulumi's AWS provider.
 */
export class SandboxCloud {
  private constructor(
    private readonly world: World,
    readonly emulator: AwsEmulator,
    /** Keys of the stack's deployer: a user's, not the owner's. */
    readonly deployer: AwsKeys,
    /** Where it is: this machine's address on a network of the world's. */
    readonly address: string,
  ) {}

  /** Starts one; what an earlier run left in the world is ended first. */
  static async start({
    world,
    directory,
    imageFiles = {},
    moreActions = [],
  }: CloudOptions): Promise<SandboxCloud> {
    await stopServicesLeft(world, "aws-");
    const software = await installAws();
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true });
    const { gateway } = await reserveNetwork(world, NETWORK);
    const emulator = await AwsEmulator.start({ world, software, directory, address: gateway });
    startEvaluator(world, emulator);
    keepImageFiles(world, imageFiles);
    return new SandboxCloud(world, emulator, await makeDeployer(emulator, moreActions), gateway);
  }

  /** Has a world one, be it of a run that was killed? */
  static isThere(world: World): boolean {
    return reservedNetwork(world, NETWORK) !== null;
  }

  /** The one image that instances are made from. */
  get image(): string {
    return IMAGE.imageId;
  }

  /** Configuration of Pulumi's AWS provider that leads here, by its key without `aws:`; two of them are secrets. */
  get providerConfig(): Readonly<Record<string, unknown>> {
    return {
      region: AWS_REGION,
      accessKey: this.deployer.accessKeyId,
      secretKey: this.deployer.secretAccessKey,
      endpoints: [this.endpoints],
      customCaBundle: this.emulator.authorityFile,
      s3UsePathStyle: true,
      skipCredentialsValidation: true,
      skipMetadataApiCheck: true,
      skipRequestingAccountId: true,
    };
  }

  /** Sets the keys of a stack's config that lead here. */
  async configure(project: SandboxProject): Promise<void> {
    const { accessKey, secretKey, ...plain } = this.providerConfig;
    const texts = (values: Readonly<Record<string, unknown>>): Record<string, string> => {
      const entries = Object.entries(values).map(([key, value]) => {
        const text = typeof value === "string" ? value : JSON.stringify(value);
        return [`aws:${key}`, text] as const;
      });
      return Object.fromEntries(entries);
    };
    const values = { ...texts(plain), permissionsBoundary: BOUNDARY.arn };
    await project.setAll(values, texts({ accessKey, secretKey }));
  }

  /** Makes a hosted zone of Route 53, as an account's owner does who has a domain; returns its id. Nobody resolves its names. */
  async makeZone(domain: string): Promise<string> {
    const client = new Route53Client(ownersClient(this.emulator));
    const { HostedZone } = await client.send(
      new CreateHostedZoneCommand({ Name: domain, CallerReference: domain }),
    );
    client.destroy();
    const id = HostedZone?.Id?.split("/").pop();
    if (id === undefined) throw new Error(`CreateHostedZone answered without an id for ${domain}`);
    return id;
  }

  /** Ends an instance as AWS does when the machine under it fails: no protection holds it back, and no stack is told. */
  async endInstance(id: string): Promise<void> {
    const { endpoints, world } = this;
    const { authorityFile } = this.emulator;
    const settings = { ...EMULATOR_OWNER, region: AWS_REGION, endpoints, authorityFile, defaultTags: {} };
    const owner = new Cloud(settings, world);
    try {
      await terminate(owner, id);
    } finally {
      owner.close();
    }
  }

  /** Ends it, and removes what it had. Instances that are left are the world's to remove. */
  async remove(): Promise<void> {
    await stopService(this.world, EVALUATOR);
    await this.emulator.remove();
    await releaseNetwork(this.world, NETWORK);
  }

  private get endpoints(): Readonly<Record<string, string>> {
    return Object.fromEntries(SERVICE_NAMES.map((service) => [service, this.emulator.url]));
  }
}

/** Folder of the plugin, for a project file's `plugins.providers`. */
export function pluginDirectory(): string {
  return path.join(repositoryRoot(), "sandbox", "aws");
}

function startEvaluator(world: World, emulator: AwsEmulator): void {
  const program = path.join(repositoryRoot(), "dist", "alarm-evaluator.js");
  startService(world, EVALUATOR, [process.execPath, program, emulator.url, emulator.authorityFile]);
}

function keepImageFiles(world: World, files: SeedFiles): void {
  const entries = Object.entries(files).map(([name, { content, mode = 0o644 }]) => {
    const base64 = Buffer.from(content as string).toString("base64");
    return [name, { base64, mode }] as const;
  });
  keepFacts(world, IMAGE.imageId, { files: Object.fromEntries(entries) });
}

/** How a client of the SDK's asks the emulator as the account's owner. */
function ownersClient({ url, authorityFile }: AwsEmulator) {
  return {
    region: AWS_REGION,
    endpoint: url,
    credentials: EMULATOR_OWNER,
    requestHandler: { httpsAgent: new Agent({ ca: fs.readFileSync(authorityFile) }) },
  };
}

async function makeDeployer(emulator: AwsEmulator, moreActions: readonly string[]): Promise<AwsKeys> {
  const iam = new IAMClient(ownersClient(emulator));
  await iam.send(
    new CreatePolicyCommand({
      PolicyName: BOUNDARY.name,
      PolicyDocument: JSON.stringify(BOUNDARY.document),
    }),
  );
  const UserName = "deployer";
  await iam.send(new CreateUserCommand({ UserName }));
  const more = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: moreActions, Resource: "*" }],
  };
  const policies = { ...deployerPolicies(), ...(moreActions.length > 0 ? { more } : {}) };
  for (const [PolicyName, document] of Object.entries(policies)) {
    const PolicyDocument = JSON.stringify(document);
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));
  }
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  iam.destroy();
  if (AccessKey?.AccessKeyId === undefined || AccessKey.SecretAccessKey === undefined)
    throw new Error("CreateAccessKey answered without a key");
  return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
}
