import * as fs from "node:fs";
import { Agent } from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import type * as grpc from "@grpc/grpc-js";

import { SandboxCloud } from "../../../sandbox/aws/sandbox-cloud";
import { EMULATOR_OWNER, type AwsKeys } from "../../../sandbox/aws/emulator";
import { AwsProvider } from "../../../sandbox/aws/plugin/provider";
import { serve } from "../../../sandbox/aws/plugin/server";
import { takeDown } from "../../../sandbox/down";
import { worldNamed, type World } from "../../../sandbox/world";
import { PluginClient } from "./plugin-client";

/** A cloud in a world of its own, and the plugin in front of it. */
export class TestCloud {
  private constructor(
    readonly world: World,
    readonly cloud: SandboxCloud,
    /** The plugin, configured. */
    readonly plugin: PluginClient,
    private readonly provider: AwsProvider,
    private readonly server: grpc.Server,
    private readonly directory: string,
  ) {}

  /** @param name of the world; unlike any other test file's */
  static async create(name: string): Promise<TestCloud> {
    const world = worldNamed(name);
    // What a killed run left.
    await takeDown(world);
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
    const cloud = await SandboxCloud.start({
      world,
      directory: path.join(directory, "aws"),
      // Of any names, and of kinds that the program has none of; buckets with something in them, too.
      moreActions: ["iam:*", "s3:ListBucketVersions"],
    });
    const provider = new AwsProvider(world);
    const { server, port } = await serve(provider);
    const plugin = new PluginClient(port);
    // A group of the stack's config comes as JSON text.
    const endpoints = JSON.stringify(cloud.providerConfig["endpoints"]);
    await plugin.configure({ ...cloud.providerConfig, endpoints });
    return new TestCloud(world, cloud, plugin, provider, server, directory);
  }

  /** What a client of the SDK's needs to ask the emulator; as its owner by default. */
  client(credentials: AwsKeys & { readonly sessionToken?: string } = EMULATOR_OWNER): ClientOptions {
    const { emulator } = this.cloud;
    const httpsAgent = new Agent({ ca: fs.readFileSync(emulator.authorityFile) });
    return { region: "us-east-1", endpoint: emulator.url, credentials, requestHandler: { httpsAgent } };
  }

  /** The same for one that speaks no TLS. */
  plainClient(credentials: AwsKeys & { readonly sessionToken?: string } = EMULATOR_OWNER) {
    return { region: "us-east-1", endpoint: this.cloud.emulator.plainUrl, credentials };
  }

  async remove(): Promise<void> {
    this.plugin.close();
    this.provider.close();
    this.server.forceShutdown();
    await this.cloud.remove();
    await takeDown(this.world);
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

interface ClientOptions {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: AwsKeys;
  readonly requestHandler: { readonly httpsAgent: Agent };
}
