import * as grpc from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct, type JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";

import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as provider from "@pulumi/pulumi/proto/provider_pb";

import type { Fault } from "./check";
import type { Value, Values } from "./properties";
import type { AwsProvider, Difference } from "./provider";

/** Version of `@pulumi/aws` that the plugin stands in for. */
export const VERSION = "7.48.0";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Serves a provider on a free port of loopback, and returns server and port. */
export async function serve(aws: AwsProvider): Promise<{ server: grpc.Server; port: number }> {
  // Inputs with files in them may be large.
  const server = new grpc.Server({ "grpc.max_receive_message_length": 400 * 1024 * 1024 });
  server.addService(ResourceProviderService, handlersOf(aws));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { server, port };
}

type Handler<Request, Reply> = (request: Request) => Reply | Promise<Reply>;

function unary<Request, Reply>(handler: Handler<Request, Reply>): grpc.handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    Promise.resolve(call.request)
      .then(handler)
      .then(
        (reply) => callback(null, reply),
        (error: unknown) =>
          callback({
            code: grpc.status.UNKNOWN,
            details: error instanceof Error ? error.message : String(error),
          }),
      );
  };
}

function handlersOf(aws: AwsProvider): grpc.UntypedServiceImplementation {
  return {
    ...configurationOf(aws),
    check: unary((request: provider.CheckRequest) => {
      const [token, name] = [typeOf(request.getUrn()), nameOf(request.getUrn())];
      const seed = Buffer.from(request.getRandomseed_asU8());
      const { inputs, faults } = aws.check(
        token,
        name,
        values(request.getOlds()),
        values(request.getNews()),
        seed,
      );
      return checked(inputs, faults);
    }),
    diff: unary((request: provider.DiffRequest) => {
      const [oldInputs, olds] = [values(request.getOldInputs()), values(request.getOlds())];
      const [token, name] = [typeOf(request.getUrn()), nameOf(request.getUrn())];
      return differenceReply(aws.diff(token, name, oldInputs, olds, values(request.getNews())), oldInputs);
    }),
    create: unary(async (request: provider.CreateRequest) => {
      const [urn, inputs] = [request.getUrn(), values(request.getProperties())];
      const made = await aws.create(typeOf(urn), urn, inputs, request.getPreview());
      const reply = new provider.CreateResponse();
      reply.setId(made.id);
      reply.setProperties(struct(made.outputs));
      return reply;
    }),
    read: unary(async (request: provider.ReadRequest) => {
      const inputs = request.hasInputs() ? values(request.getInputs()) : null;
      const state = values(request.getProperties());
      const found = await aws.read(typeOf(request.getUrn()), request.getId(), inputs, state);
      const reply = new provider.ReadResponse();
      if (found === null) return reply;
      reply.setId(found.id);
      reply.setProperties(struct(found.outputs));
      reply.setInputs(struct(found.inputs));
      return reply;
    }),
    update: unary(async (request: provider.UpdateRequest) => {
      const outputs = await aws.update(typeOf(request.getUrn()), request.getUrn(), request.getId(), {
        oldInputs: values(request.getOldInputs()),
        olds: values(request.getOlds()),
        news: values(request.getNews()),
        preview: request.getPreview(),
      });
      const reply = new provider.UpdateResponse();
      reply.setProperties(struct(outputs));
      return reply;
    }),
    delete: unary(async (request: provider.DeleteRequest) => {
      await aws.delete(typeOf(request.getUrn()), request.getId(), values(request.getProperties()));
      return new Empty();
    }),
    invoke: unary(async (request: provider.InvokeRequest) => {
      const { result, faults } = await aws.invoke(request.getTok(), values(request.getArgs()));
      const reply = new provider.InvokeResponse();
      reply.setReturn(struct(result));
      reply.setFailuresList(faults.map(failure));
      return reply;
    }),
  };
}

function configurationOf(aws: AwsProvider): grpc.UntypedServiceImplementation {
  return {
    getPluginInfo: unary(() => {
      const info = new PluginInfo();
      info.setVersion(VERSION);
      return info;
    }),
    checkConfig: unary((request: provider.CheckRequest) => {
      const faults = aws.checkConfig(values(request.getNews()));
      const reply = new provider.CheckResponse();
      // As it came: what is secret in it stays so.
      reply.setInputs(request.getNews());
      reply.setFailuresList(faults.map(failure));
      return reply;
    }),
    // Another address or key is the same AWS for what is in it.
    diffConfig: unary(() => new provider.DiffResponse()),
    configure: unary((request: provider.ConfigureRequest) => {
      aws.configure(values(request.getArgs()));
      const reply = new provider.ConfigureResponse();
      reply.setSupportspreview(true);
      return reply;
    }),
    cancel: unary(() => {
      aws.close();
      return new Empty();
    }),
  };
}

function checked(inputs: Values, faults: readonly Fault[]): provider.CheckResponse {
  const reply = new provider.CheckResponse();
  reply.setInputs(struct(inputs));
  reply.setFailuresList(faults.map(failure));
  return reply;
}

function failure({ property, reason }: Fault): provider.CheckFailure {
  const one = new provider.CheckFailure();
  one.setProperty(property);
  one.setReason(reason);
  return one;
}

function differenceReply(
  { changed, replaces, deleteBeforeReplace }: Difference,
  oldInputs: Values,
): provider.DiffResponse {
  const reply = new provider.DiffResponse();
  const { DIFF_SOME, DIFF_NONE } = provider.DiffResponse.DiffChanges;
  reply.setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE);
  reply.setDiffsList([...changed]);
  reply.setReplacesList([...replaces]);
  reply.setDeletebeforereplace(deleteBeforeReplace);
  reply.setHasdetaileddiff(true);
  for (const name of changed) {
    const kind = new provider.PropertyDiff();
    const { ADD, ADD_REPLACE, UPDATE, UPDATE_REPLACE } = provider.PropertyDiff.Kind;
    const replacing = replaces.includes(name);
    if (oldInputs[name] === undefined) kind.setKind(replacing ? ADD_REPLACE : ADD);
    else kind.setKind(replacing ? UPDATE_REPLACE : UPDATE);
    reply.getDetaileddiffMap().set(name, kind);
  }
  return reply;
}

/** `aws:s3/bucket:Bucket`, of an URN whose qualified type may name parents before it. */
function typeOf(urn: string): string {
  const qualified = urn.split("::")[2] ?? "";
  return qualified.slice(qualified.lastIndexOf("$") + 1);
}

function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

function values(message: Struct | undefined): Values {
  return message === undefined ? {} : (revealed(message.toJavaScript()) as Values);
}

/** Without the marks of secrets: what takes none gets none, but for the provider's own configuration. */
function revealed(value: Value): Value {
  if (Array.isArray(value)) return (value as readonly Value[]).map(revealed);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Values;
  if (object[SIGNATURE] === SECRET) return revealed(object["value"] ?? null);
  return Object.fromEntries(Object.entries(object).map(([name, one]) => [name, revealed(one ?? null)]));
}

function struct(object: Values): Struct {
  return Struct.fromJavaScript(withoutGaps(object) as Record<string, JavaScriptValue>);
}

function withoutGaps(value: Value): Value {
  if (Array.isArray(value)) return (value as readonly Value[]).map(withoutGaps);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as Values).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([name, one]) => [name, withoutGaps(one ?? null)]));
}
