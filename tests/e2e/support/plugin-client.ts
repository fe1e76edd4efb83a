import * as grpc from "@grpc/grpc-js";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as provider from "@pulumi/pulumi/proto/provider_pb";

/** Properties, as a test writes them. */
export type Properties = Readonly<Record<string, unknown>>;

/** A resource that the plugin made. */
export interface Made {
  readonly type: string;
  readonly name: string;
  readonly id: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
}

/** A provider plugin as an engine sees it: over the wire. */
export class PluginClient {
  private readonly client: ResourceProviderClient;

  constructor(port: number) {
    this.client = new ResourceProviderClient(`127.0.0.1:${String(port)}`, grpc.credentials.createInsecure());
  }

  close(): void {
    this.client.close();
  }

  async checkConfig(config: Properties): Promise<string[]> {
    const request = new provider.CheckRequest();
    request.setUrn("urn:pulumi:test::test::pulumi:providers:aws::default");
    request.setNews(struct(config));
    return faults(await call<provider.CheckResponse>((done) => this.client.checkConfig(request, done)));
  }

  async configure(config: Properties): Promise<void> {
    const request = new provider.ConfigureRequest();
    request.setArgs(struct(config));
    await call((done) => this.client.configure(request, done));
  }

  /** Completed inputs, and what is wrong with them. */
  async check(type: string, name: string, news: Properties, olds: Properties = {}): Promise<Checked> {
    const request = new provider.CheckRequest();
    request.setUrn(urnOf(type, name));
    request.setNews(struct(news));
    request.setOlds(struct(olds));
    request.setRandomseed(Buffer.from(name.padEnd(32, ".")));
    const reply = await call<provider.CheckResponse>((done) => this.client.check(request, done));
    return { inputs: reply.getInputs()?.toJavaScript() ?? {}, faults: faults(reply) };
  }

  async diff(made: Made, news: Properties): Promise<Diff> {
    const request = new provider.DiffRequest();
    request.setId(made.id);
    request.setUrn(urnOf(made.type, made.name));
    request.setOldInputs(struct(made.inputs));
    request.setOlds(struct(made.outputs));
    request.setNews(struct(news));
    const reply = await call<provider.DiffResponse>((done) => this.client.diff(request, done));
    return {
      changed: reply.getDiffsList(),
      replaces: reply.getReplacesList(),
      deleteBeforeReplace: reply.getDeletebeforereplace(),
    };
  }

  /** Checks and makes. Throws with everything that is wrong with the inputs. */
  async create(type: string, name: string, news: Properties, { preview = false } = {}): Promise<Made> {
    const { inputs, faults: wrong } = await this.check(type, name, news);
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    const request = new provider.CreateRequest();
    request.setUrn(urnOf(type, name));
    request.setProperties(struct(inputs));
    request.setPreview(preview);
    const reply = await call<provider.CreateResponse>((done) => this.client.create(request, done));
    return { type, name, id: reply.getId(), inputs, outputs: reply.getProperties()?.toJavaScript() ?? {} };
  }

  /** Reads; null where it is gone. */
  async read(made: Made): Promise<Made | null> {
    const request = new provider.ReadRequest();
    request.setId(made.id);
    request.setUrn(urnOf(made.type, made.name));
    request.setInputs(struct(made.inputs));
    request.setProperties(struct(made.outputs));
    const reply = await call<provider.ReadResponse>((done) => this.client.read(request, done));
    if (reply.getId() === "") return null;
    const [inputs, outputs] = [reply.getInputs()?.toJavaScript(), reply.getProperties()?.toJavaScript()];
    return { ...made, inputs: inputs ?? {}, outputs: outputs ?? {} };
  }

  /** Checks and updates in place. */
  async update(made: Made, news: Properties, { preview = false } = {}): Promise<Made> {
    const { inputs, faults: wrong } = await this.check(made.type, made.name, news, made.inputs);
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    const request = new provider.UpdateRequest();
    request.setId(made.id);
    request.setUrn(urnOf(made.type, made.name));
    request.setOldInputs(struct(made.inputs));
    request.setOlds(struct(made.outputs));
    request.setNews(struct(inputs));
    request.setPreview(preview);
    const reply = await call<provider.UpdateResponse>((done) => this.client.update(request, done));
    return { ...made, inputs, outputs: reply.getProperties()?.toJavaScript() ?? {} };
  }

  async delete(made: Made): Promise<void> {
    const request = new provider.DeleteRequest();
    request.setId(made.id);
    request.setUrn(urnOf(made.type, made.name));
    request.setOldInputs(struct(made.inputs));
    request.setProperties(struct(made.outputs));
    await call((done) => this.client.delete(request, done));
  }

  async invoke(token: string, args: Properties): Promise<Properties> {
    const request = new provider.InvokeRequest();
    request.setTok(token);
    request.setArgs(struct(args));
    const reply = await call<provider.InvokeResponse>((done) => this.client.invoke(request, done));
    return reply.getReturn()?.toJavaScript() ?? {};
  }
}

/** Inputs that were looked at. */
export interface Checked {
  readonly inputs: Properties;
  /** `property: reason`. */
  readonly faults: readonly string[];
}

/** What a change would do. */
export interface Diff {
  readonly changed: readonly string[];
  readonly replaces: readonly string[];
  readonly deleteBeforeReplace: boolean;
}

function urnOf(type: string, name: string): string {
  return `urn:pulumi:test::test::vehicleservice:aws:Parent$${type}::${name}`;
}

function struct(value: Properties): Struct {
  return Struct.fromJavaScript(value as Record<string, JavaScriptValue>);
}

function faults(reply: provider.CheckResponse): string[] {
  return reply.getFailuresList().map((one) => `${one.getProperty()}: ${one.getReason()}`);
}

async function call<Reply>(
  send: (done: (error: grpc.ServiceError | null, reply: Reply) => void) => void,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    send((error, reply) => {
      if (error === null) resolve(reply);
      else reject(new Error(error.details));
    });
  });
}
