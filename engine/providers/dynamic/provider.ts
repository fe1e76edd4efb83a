import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { EngineError, messageOf } from "../../errors";
import type { DiffResult } from "../../values/diff";
import { maskStrings, secretStrings, unwrapMap, type PropertyMap } from "../../values/property";
import { keepSecretOutputs } from "../command/outputs";
import { diffOfResponse, failuresOf } from "../protocol/answers";
import { openClient, promised, type Callback } from "../protocol/client";
import { mapOf } from "../protocol/properties";
import { LostConnection } from "../protocol/errors";
import { markLike } from "../protocol/marks";
import {
  PartialFailure,
  type CheckResult,
  type CreateResult,
  type OldResource,
  type Provider,
  type ProviderContext,
  type ReadResult,
} from "../provider";
import type { DynamicProcess } from "./process";

/** The input that holds the provider itself, as source text. */
const SOURCE = "__provider";

/** What the providers of a run need. */
export interface DynamicProviderOptions {
  /**
   * Starts the process. What is printed in it goes to `onLine`; it may hold secrets until `mask` is applied, which the
   * provider gives.
   */
  readonly start: (mask: (text: string) => string) => DynamicProcess;
  /** The config of the stack with its secret marks, by full key; a provider's `configure` gets it. */
  readonly config: PropertyMap;
  /** Aborted where operations under way have to stop at once. */
  readonly signal: AbortSignal;
}

/**
 * The resources whose providers stand in the program itself (`pulumi.dynamic.Resource`). Their providers run in a process
 * of the SDK's own, which begins to start with the object and knows neither secrets nor previews: secrets are
 * unwrapped before a call and marked again after it, and a preview takes the inputs for the outputs.
 */
export class DynamicProvider implements Provider {
  private readonly process: DynamicProcess;
  private readonly secrets = new Set<string>();
  private client: Promise<ResourceProviderClient> | undefined;

  constructor(private readonly options: DynamicProviderOptions) {
    this.process = options.start((text) => this.mask(text));
    this.learn(options.config);
    options.signal.addEventListener("abort", this.kill);
    if (options.signal.aborted) this.kill();
  }

  async check(
    context: ProviderContext,
    old: PropertyMap | undefined,
    inputs: PropertyMap,
  ): Promise<CheckResult> {
    const request = this.address(new proto.CheckRequest(), context)
      .setOlds(this.struct(old ?? {}))
      .setNews(this.struct(inputs));
    const response = await this.ask<proto.CheckResponse>((client, done) => client.check(request, done));
    return {
      inputs: markLike(mapOf(response.getInputs()), inputs),
      failures: failuresOf(response.getFailuresList(), (text) => this.mask(text)),
    };
  }

  async diff(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    const request = this.address(new proto.DiffRequest(), context)
      .setId(old.id)
      .setOlds(this.struct(old.outputs))
      .setOldInputs(this.struct(old.inputs))
      .setNews(this.struct(inputs));
    const response = await this.ask<proto.DiffResponse>((client, done) => client.diff(request, done));
    return diffOfResponse(response, old.inputs, inputs);
  }

  async create(context: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    if (context.dryRun) return { id: "", outputs: inputs };
    const request = this.address(new proto.CreateRequest(), context)
      .setProperties(this.struct(inputs))
      .setTimeout(context.timeoutSeconds ?? 0);
    const response = await this.ask<proto.CreateResponse>(
      (client, done) => client.create(request, done),
      inputs,
    );
    const id = response.getId();
    if (id === "") throw new EngineError(`the provider of ${context.name} created it without an id`);
    return { id, outputs: remark(mapOf(response.getProperties()), inputs) };
  }

  async update(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    if (context.dryRun) return inputs;
    const request = this.address(new proto.UpdateRequest(), context)
      .setId(old.id)
      .setOlds(this.struct(old.outputs))
      .setOldInputs(this.struct(old.inputs))
      .setNews(this.struct(inputs))
      .setTimeout(context.timeoutSeconds ?? 0);
    const response = await this.ask<proto.UpdateResponse>(
      (client, done) => client.update(request, done),
      inputs,
    );
    return remark(mapOf(response.getProperties()), inputs);
  }

  async delete(context: ProviderContext, old: OldResource): Promise<void> {
    if (context.dryRun) return;
    const request = this.address(new proto.DeleteRequest(), context)
      .setId(old.id)
      .setProperties(this.struct(old.outputs))
      .setOldInputs(this.struct(old.inputs))
      .setTimeout(context.timeoutSeconds ?? 0);
    await this.ask<Empty>((client, done) => client.delete(request, done));
  }

  /** Asks the provider's own `read`; without one the SDK says that nothing has changed. */
  async read(context: ProviderContext, resource: OldResource): Promise<ReadResult | undefined> {
    const request = this.address(new proto.ReadRequest(), context)
      .setId(resource.id)
      .setProperties(this.struct(resource.outputs))
      .setInputs(this.struct(resource.inputs));
    const response = await this.ask<proto.ReadResponse>((client, done) => client.read(request, done));
    if (response.getId() === "") return undefined;
    const { outputs, inputs } = resource;
    const found = { ...mapOf(response.getProperties()), ...source(outputs) };
    return {
      id: response.getId(),
      outputs: remark(markLike(found, outputs), inputs),
      ...(response.hasInputs()
        ? { inputs: markLike({ ...mapOf(response.getInputs()), ...source(inputs) }, inputs) }
        : {}),
    };
  }

  async close(): Promise<void> {
    this.options.signal.removeEventListener("abort", this.kill);
    const client = await this.client?.catch(() => undefined);
    client?.close();
    await this.process.close();
  }

  private readonly kill = (): void => {
    this.process.kill();
  };

  private address<
    Request extends {
      setUrn(urn: string): unknown;
      setName(name: string): unknown;
      setType(type: string): unknown;
    },
  >(request: Request, { urn, name, type }: ProviderContext): Request {
    request.setUrn(urn);
    request.setName(name);
    request.setType(type);
    return request;
  }

  /** Calls the process. A resource that was made or changed by half gets its secret marks from `inputs`. */
  private async ask<Response>(
    call: (client: ResourceProviderClient, done: Callback<Response>) => unknown,
    inputs: PropertyMap = {},
  ): Promise<Response> {
    this.client ??= this.connect();
    const client = await this.client;
    try {
      return await promised<Response>((done) => call(client, done));
    } catch (error) {
      if (this.options.signal.aborted) throw new EngineError("interrupted");
      if (error instanceof LostConnection) throw new EngineError(await this.process.close());
      if (!(error instanceof PartialFailure)) throw new EngineError(this.mask(messageOf(error)));
      throw new PartialFailure(
        error.id,
        remark({ ...error.outputs, ...source(inputs) }, inputs),
        error.reasons.map((reason) => this.mask(reason)),
      );
    }
  }

  private async connect(): Promise<ResourceProviderClient> {
    const client = openClient(await this.process.address);
    const request = new proto.ConfigureRequest()
      .setArgs(this.struct(this.options.config))
      .setAcceptsecrets(true)
      .setAcceptresources(true)
      .setSendsOldInputs(true)
      .setSendsOldInputsToDelete(true);
    await promised<proto.ConfigureResponse>((done) => client.configure(request, done));
    return client;
  }

  /** Properties as the process takes them; the secrets among them are not shown from now on. */
  private struct(properties: PropertyMap): Struct {
    this.learn(properties);
    return Struct.fromJavaScript(unwrapMap(properties));
  }

  private learn(properties: PropertyMap): void {
    for (const each of secretStrings(withoutSource(properties))) this.secrets.add(each);
  }

  private mask(text: string): string {
    return maskStrings(text, this.secrets);
  }
}

function source(inputs: PropertyMap): PropertyMap {
  return inputs[SOURCE] === undefined ? {} : { [SOURCE]: inputs[SOURCE] };
}

/** A source that is secret, for what it captured, would have each of its lines taken for a secret. */
function withoutSource(properties: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => key !== SOURCE));
}

/** Outputs with the marks of the inputs, and with marks where a secret shows up in another output. */
function remark(outputs: PropertyMap, inputs: PropertyMap): PropertyMap {
  return keepSecretOutputs(withoutSource(inputs), markLike(outputs, inputs));
}
