import { Metadata } from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { EngineError, messageOf } from "../../errors";
import type { PropertyMap } from "../../values/property";
import { keepSecretOutputs } from "../command/outputs";
import { openClient, promised, type Callback } from "../protocol/client";
import { LostConnection, Unimplemented } from "../protocol/errors";
import { markLike } from "../protocol/marks";
import { PartialFailure } from "../provider";
import { PluginProcess, type PluginProcessOptions } from "./process";
import type { PluginSecrets } from "./secrets";
import { incoming, outgoing, type PluginProtocol } from "./values";

/** How long a plugin may take to answer that it drops what is under way, in milliseconds. */
const PATIENCE = 2000;

/** Before a plugin has said what it takes, nothing but plain values is sure to be understood. */
export const PLAIN: PluginProtocol = { acceptSecrets: false, acceptResources: false, supportsPreview: false };

/** What a plugin is started with. */
export interface PluginOptions extends PluginProcessOptions {
  readonly secrets: PluginSecrets;
  /** Aborted where operations under way have to stop at once. */
  readonly signal: AbortSignal;
}

type Call<Response> = (client: ResourceProviderClient, done: Callback<Response>) => unknown;

/**
 * A plugin's process and the calls to it. Values go to it with the marks that it takes; what it does not take is taken off
 * before a call and put back after it.
 */
export class PluginConnection {
  private readonly process: PluginProcess;
  private readonly client: Promise<ResourceProviderClient>;
  private agreed: PluginProtocol | undefined;

  constructor(private readonly options: PluginOptions) {
    this.process = new PluginProcess(options);
    this.client = this.connect();
    // Whoever needs it meets the failure then; nobody may.
    this.client.catch(() => undefined);
    options.signal.addEventListener("abort", this.kill);
    if (options.signal.aborted) this.kill();
  }

  get packageName(): string {
    return this.options.packageName;
  }

  /** What the plugin takes. */
  get protocol(): PluginProtocol {
    return this.agreed ?? PLAIN;
  }

  /** What the plugin takes, unless a handshake has settled that. */
  agree(protocol: PluginProtocol): void {
    this.agreed ??= protocol;
  }

  /** Calls the plugin. A resource that was made or changed by half gets its secret marks from `inputs`. */
  async ask<Response>(call: Call<Response>, inputs: PropertyMap = {}): Promise<Response> {
    const client = await this.client;
    try {
      return await promised<Response>((done) => call(client, done));
    } catch (error) {
      throw await this.explained(error, inputs);
    }
  }

  /** The same, for a call that a plugin need not have: undefined where it does not. */
  async ifImplemented<Response>(call: Call<Response>): Promise<Response | undefined> {
    const client = await this.client;
    try {
      return await promised<Response>((done) => call(client, done));
    } catch (error) {
      if (error instanceof Unimplemented) return undefined;
      throw await this.explained(error, {});
    }
  }

  /** Properties as the plugin takes them; the secrets among them are not shown from now on. */
  struct(properties: PropertyMap, protocol = this.protocol): Struct {
    this.learn(properties);
    return Struct.fromJavaScript(outgoing(properties, protocol));
  }

  /**
   * What the plugin answered, with the secret marks of `like` put back: what has a secret's name stays one even where a
   * plugin drops a mark that it takes. Where it takes none, every value counts in which a secret shows up.
   */
  remark(answer: PropertyMap, like: PropertyMap): PropertyMap {
    const values = markLike(incoming(answer), like);
    return this.protocol.acceptSecrets ? values : keepSecretOutputs(like, values);
  }

  /** The secrets among the properties are not shown from now on. */
  learn(properties: PropertyMap): void {
    this.options.secrets.learn(properties);
  }

  /** A text of the plugin's without the secrets that it was given. */
  readonly mask = (text: string): string => this.options.secrets.mask(text);

  /** Ends the plugin: it is asked to drop what is under way, and then to go. */
  async close(): Promise<void> {
    this.options.signal.removeEventListener("abort", this.kill);
    const client = await this.client.catch(() => undefined);
    if (client) {
      const deadline = Date.now() + PATIENCE;
      await promised<Empty>((done) => client.cancel(new Empty(), new Metadata(), { deadline }, done)).catch(
        () => undefined,
      );
      client.close();
    }
    await this.process.close();
  }

  private readonly kill = (): void => {
    this.process.kill();
  };

  private async connect(): Promise<ResourceProviderClient> {
    const client = openClient(await this.process.address);
    const request = new proto.ProviderHandshakeRequest()
      .setEngineAddress(this.options.engineAddress)
      .setRootDirectory(this.options.directory)
      .setProgramDirectory(this.options.directory)
      .setConfigureWithUrn(true)
      .setInvokeWithPreview(true);
    try {
      const answer = await promised<proto.ProviderHandshakeResponse>((done) =>
        client.handshake(request, done),
      );
      this.agreed = {
        acceptSecrets: answer.getAcceptSecrets(),
        acceptResources: answer.getAcceptResources(),
        supportsPreview: true,
      };
    } catch (error) {
      // Then `configure` says what it takes.
      if (!(error instanceof Unimplemented)) throw await this.explained(error, {});
    }
    return client;
  }

  private async explained(error: unknown, inputs: PropertyMap): Promise<Error> {
    if (this.options.signal.aborted) return new EngineError("interrupted");
    if (error instanceof LostConnection) return new EngineError(this.mask(await this.process.lost()));
    if (!(error instanceof PartialFailure)) return new EngineError(this.mask(messageOf(error)));
    return new PartialFailure(
      error.id,
      this.remark(error.outputs, inputs),
      error.reasons.map(this.mask),
      error.inputs,
    );
  }
}
