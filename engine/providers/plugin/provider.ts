import type { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { EngineError } from "../../errors";
import { diffOf, type DiffResult } from "../../values/diff";
import {
  containsSecret,
  containsUnknown,
  isSecret,
  secret,
  textOf,
  type PropertyMap,
} from "../../values/property";
import { diffOfResponse, failuresOf } from "../protocol/answers";
import { mapOf } from "../protocol/properties";
import { markLike } from "../protocol/marks";
import {
  PartialFailure,
  type CheckResult,
  type CreateResult,
  type InvokeResult,
  type OldResource,
  type Provider,
  type ProviderContext,
  type ReadResult,
} from "../provider";
import { PLAIN, PluginConnection, type PluginOptions } from "./connection";
import { incoming } from "./values";

/** The config key that is for the engine, not for the provider. */
const VERSION = "version";

/** What is asked about, as requests have it. */
interface Subject {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
}

/**
 * One process of a provider plugin, which serves the resources of one provider resource once it is configured.
 */
export class PluginProvider implements Provider {
  private readonly connection: PluginConnection;
  /** False in a preview in which the provider's own config is not known yet: then nobody is asked. */
  private configured = false;

  /** Starts the process. */
  constructor(options: PluginOptions) {
    this.connection = new PluginConnection(options);
  }

  /** Validates the config of the provider. A plugin without an opinion takes it as it is. */
  async checkConfig(subject: Subject, old: PropertyMap, inputs: PropertyMap): Promise<CheckResult> {
    const request = addressed(new proto.CheckRequest(), subject)
      .setOlds(this.connection.struct(old, PLAIN))
      .setNews(this.connection.struct(inputs, PLAIN));
    const response = await this.connection.ifImplemented<proto.CheckResponse>((client, done) =>
      client.checkConfig(request, done),
    );
    if (!response) return { inputs, failures: [] };
    return {
      inputs: markLike(incoming(mapOf(response.getInputs())), inputs),
      failures: failuresOf(response.getFailuresList(), this.connection.mask),
    };
  }

  /** Compares the config of the provider with that of before. */
  async diffConfig(subject: Subject, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    const request = addressed(new proto.DiffRequest(), subject)
      .setOldInputs(this.connection.struct(old.inputs, PLAIN))
      .setOlds(this.connection.struct(old.outputs, PLAIN))
      .setNews(this.connection.struct(inputs, PLAIN));
    const response = await this.connection.ifImplemented<proto.DiffResponse>((client, done) =>
      client.diffConfig(request, done),
    );
    const diff = response ? diffOfResponse(response, old.outputs, inputs) : diffOf(old.outputs, inputs);
    // The CLI compares as a whole what no plugin has compared, and tells no keys.
    const { DIFF_SOME } = proto.DiffResponse.DiffChanges;
    if (!diff.changed || response?.getChanges() === DIFF_SOME) return diff;
    const { replaceKeys, deleteBeforeReplace = false } = diff;
    return { changed: true, changedKeys: [], replaceKeys, deleteBeforeReplace };
  }

  /** Tells the plugin its config. Where a part of that is not known yet, it is not told, and not asked from then on. */
  async configure(subject: Subject, id: string, inputs: PropertyMap): Promise<void> {
    this.connection.learn(inputs);
    if (containsUnknown(inputs)) return;
    const request = new proto.ConfigureRequest()
      .setUrn(subject.urn)
      .setName(subject.name)
      .setType(subject.type)
      .setId(id)
      .setArgs(Struct.fromJavaScript(inputs))
      .setAcceptsecrets(true)
      .setAcceptresources(true)
      .setSendsOldInputs(true)
      .setSendsOldInputsToDelete(true);
    for (const [key, value] of Object.entries(inputs)) {
      // As older providers still read it.
      if (key !== VERSION)
        request.getVariablesMap().set(`${this.connection.packageName}:config:${key}`, textOf(value));
    }
    const response = await this.connection.ask<proto.ConfigureResponse>((client, done) =>
      client.configure(request, done),
    );
    this.connection.agree({
      acceptSecrets: response.getAcceptsecrets(),
      acceptResources: response.getAcceptresources(),
      supportsPreview: response.getSupportspreview(),
    });
    this.configured = true;
  }

  async check(
    context: ProviderContext,
    old: PropertyMap | undefined,
    inputs: PropertyMap,
    seed: Buffer,
  ): Promise<CheckResult> {
    if (!this.configured) return { inputs, failures: [] };
    const request = addressed(new proto.CheckRequest(), context)
      .setOlds(this.connection.struct(old ?? {}))
      .setNews(this.connection.struct(inputs))
      .setRandomseed(seed);
    const response = await this.connection.ask<proto.CheckResponse>((client, done) =>
      client.check(request, done),
    );
    return {
      inputs: this.connection.remark(mapOf(response.getInputs()), inputs),
      failures: failuresOf(response.getFailuresList(), this.connection.mask),
    };
  }

  async diff(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    if (!this.configured) {
      context.log(
        "warning",
        "the inputs of its provider are not known in the preview, which may differ from what is done",
      );
      return { ...diffOf(old.inputs, inputs), changed: true };
    }
    const request = addressed(new proto.DiffRequest(), context)
      .setId(old.id)
      .setOldInputs(this.connection.struct(old.inputs))
      .setOlds(this.connection.struct(old.outputs))
      .setNews(this.connection.struct(inputs))
      .setIgnorechangesList([...context.ignoreChanges]);
    const response = await this.connection.ask<proto.DiffResponse>((client, done) =>
      client.diff(request, done),
    );
    return diffOfResponse(response, old.inputs, inputs);
  }

  async create(context: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    const guess = this.guess(context, inputs);
    if (guess) return { id: "", outputs: guess };
    const request = addressed(new proto.CreateRequest(), context)
      .setProperties(this.connection.struct(inputs))
      .setTimeout(context.timeoutSeconds ?? 0)
      .setPreview(context.dryRun);
    const response = await this.connection.ask<proto.CreateResponse>(
      (client, done) => client.create(request, done),
      inputs,
    );
    const id = response.getId();
    if (id === "" && !context.dryRun)
      throw new EngineError(`the provider of ${context.name} created it without an id`);
    return { id, outputs: this.connection.remark(mapOf(response.getProperties()), inputs) };
  }

  async update(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    const guess = this.guess(context, inputs);
    if (guess) return guess;
    const request = addressed(new proto.UpdateRequest(), context)
      .setId(old.id)
      .setOldInputs(this.connection.struct(old.inputs))
      .setOlds(this.connection.struct(old.outputs))
      .setNews(this.connection.struct(inputs))
      .setTimeout(context.timeoutSeconds ?? 0)
      .setIgnorechangesList([...context.ignoreChanges])
      .setPreview(context.dryRun);
    const response = await this.connection.ask<proto.UpdateResponse>(
      (client, done) => client.update(request, done),
      inputs,
    );
    return this.connection.remark(mapOf(response.getProperties()), inputs);
  }

  async delete(context: ProviderContext, old: OldResource): Promise<void> {
    if (context.dryRun) return;
    const request = addressed(new proto.DeleteRequest(), context)
      .setId(old.id)
      .setProperties(this.connection.struct(old.outputs))
      .setOldInputs(this.connection.struct(old.inputs))
      .setTimeout(context.timeoutSeconds ?? 0);
    await this.connection.ask<Empty>((client, done) => client.delete(request, done));
  }

  async read(
    context: ProviderContext,
    { id, inputs, outputs }: OldResource,
  ): Promise<ReadResult | undefined> {
    if (!this.configured) return { id, inputs, outputs };
    const request = addressed(new proto.ReadRequest(), context)
      .setId(id)
      .setInputs(this.connection.struct(inputs))
      .setProperties(this.connection.struct(outputs));
    try {
      const response = await this.connection.ask<proto.ReadResponse>(
        (client, done) => client.read(request, done),
        inputs,
      );
      if (response.getId() === "") return undefined;
      return {
        id: response.getId(),
        outputs: this.connection.remark(mapOf(response.getProperties()), outputs),
        ...(response.hasInputs()
          ? { inputs: this.connection.remark(mapOf(response.getInputs()), inputs) }
          : {}),
      };
    } catch (error) {
      // It is there, and is not what it is to be: that is what was asked for.
      if (!(error instanceof PartialFailure)) throw error;
      const { reasons: initErrors } = error;
      return {
        id: error.id,
        outputs: this.connection.remark(error.outputs, outputs),
        initErrors,
        ...(error.inputs ? { inputs: this.connection.remark(error.inputs, inputs) } : {}),
      };
    }
  }

  async invoke(token: string, args: PropertyMap, dryRun: boolean): Promise<InvokeResult> {
    if (!this.configured) return { outputs: {}, failures: [], unknown: true };
    const request = new proto.InvokeRequest()
      .setTok(token)
      .setArgs(this.connection.struct(args))
      .setPreview(dryRun);
    const response = await this.connection.ask<proto.InvokeResponse>((client, done) =>
      client.invoke(request, done),
    );
    const outputs = incoming(mapOf(response.getReturn()));
    const conceal = containsSecret(args) && !this.connection.protocol.acceptSecrets;
    return {
      outputs: conceal
        ? Object.fromEntries(
            Object.entries(outputs).map(([key, value]) => [key, isSecret(value) ? value : secret(value)]),
          )
        : outputs,
      failures: failuresOf(response.getFailuresList(), this.connection.mask),
    };
  }

  async close(): Promise<void> {
    await this.connection.close();
  }

  /** What a preview takes for the outputs where the plugin cannot be asked; undefined where it can. */
  private guess({ dryRun }: ProviderContext, inputs: PropertyMap): PropertyMap | undefined {
    if (!dryRun) return undefined;
    if (!this.configured) return {};
    return this.connection.protocol.supportsPreview ? undefined : inputs;
  }
}

function addressed<
  Request extends {
    setUrn(urn: string): unknown;
    setName(name: string): unknown;
    setType(type: string): unknown;
  },
>(request: Request, { urn, name, type }: Subject): Request {
  request.setUrn(urn);
  request.setName(name);
  request.setType(type);
  return request;
}
