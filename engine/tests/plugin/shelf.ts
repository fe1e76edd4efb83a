/**
 * A provider plugin for the engine's tests: package `shelf`, whose boxes stand in the file `world.json` of its working
 * directory. It notes in `calls` what it is asked, and has three ways to say what it takes, by SHELF_PROTOCOL:
 * `handshake` (everything), `configure` (everything, and it has no handshake), `plain` (neither secrets nor previews, nor
 * checks of its config).
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { textOf, unwrapMap, type PropertyMap } from "../../values/property";

const PROTOCOL = process.env["SHELF_PROTOCOL"] ?? "handshake";
const TAKES_ALL = PROTOCOL !== "plain";
const engine = new EngineClient(process.argv[2] ?? "", grpc.credentials.createInsecure());
let config: PropertyMap = {};

function note(line: string): void {
  appendFileSync("calls", `${line}\n`);
}

function world(): Record<string, PropertyMap> {
  return existsSync("world.json")
    ? (JSON.parse(readFileSync("world.json", "utf8")) as Record<string, PropertyMap>)
    : {};
}

/** Two plugins of one run may change the world at once: they take turns, and nobody reads a part of it. */
function change(id: string, box: PropertyMap | undefined): void {
  while (!taken("world.turn")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TURN_MS);
  try {
    const others = Object.entries(world()).filter(([each]) => each !== id);
    const next = Object.fromEntries(box ? [...others, [id, box]] : others);
    writeFileSync("world.json.new", JSON.stringify(next));
    renameSync("world.json.new", "world.json");
  } finally {
    rmdirSync("world.turn");
  }
}

/** How long a plugin waits until it asks for its turn again, in milliseconds. */
const TURN_MS = 5;

function taken(turn: string): boolean {
  try {
    mkdirSync(turn);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

function values(struct: Struct | undefined): PropertyMap {
  return struct?.toJavaScript() ?? {};
}

function struct(properties: PropertyMap): Struct {
  return Struct.fromJavaScript(properties);
}

function without(properties: PropertyMap, key: string): PropertyMap {
  return Object.fromEntries(Object.entries(properties).filter(([each]) => each !== key));
}

/** What the box is like, whichever marks it came with. */
function plain(struct: Struct | undefined): PropertyMap {
  return unwrapMap(values(struct));
}

function say(urn: string, message: string): Promise<void> {
  const request = new LogRequest().setSeverity(LogSeverity.INFO).setUrn(urn).setMessage(message);
  return new Promise((resolve) => {
    engine.log(request, () => {
      resolve();
    });
  });
}

function failed(id: string, properties: PropertyMap, reasons: string[]): Partial<grpc.ServiceError> {
  const detail = new proto.ErrorResourceInitFailed()
    .setId(id)
    .setProperties(struct(properties))
    .setReasonsList(reasons);
  const any = new Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const metadata = new grpc.Metadata();
  metadata.set(
    "grpc-status-details-bin",
    Buffer.from(new Status().setCode(grpc.status.UNKNOWN).setDetailsList([any]).serializeBinary()),
  );
  return { code: grpc.status.UNKNOWN, details: "stopped half way", metadata };
}

function failure(property: string, reason: string): proto.CheckFailure {
  return new proto.CheckFailure().setProperty(property).setReason(reason);
}

function unary<Request, Reply>(
  handle: (request: Request) => Reply | Promise<Reply>,
): grpc.handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    Promise.resolve(call.request)
      .then(handle)
      .then(
        (reply) => {
          callback(null, reply);
        },
        (error: unknown) => {
          if (error instanceof Error) callback({ code: grpc.status.UNKNOWN, details: error.message });
          else callback(error as Partial<grpc.ServiceError>);
        },
      );
  };
}

const missing: grpc.handleUnaryCall<unknown, never> = (_call, callback) => {
  callback({ code: grpc.status.UNIMPLEMENTED, details: "not here" });
};

/** The state of a box: its inputs as they came, marks included, and what the shelf adds. */
function outputsOf(inputs: Struct | undefined, volume: number | undefined): PropertyMap {
  const kept = without(values(inputs), "fault");
  const place = config["place"];
  return { ...kept, ...(place === undefined ? {} : { place }), ...(volume === undefined ? {} : { volume }) };
}

function volumeOf({ size }: PropertyMap): number | undefined {
  return typeof size === "number" ? size ** 3 : undefined;
}

const handlers: grpc.UntypedServiceImplementation = {
  getPluginInfo: unary(() => new PluginInfo().setVersion("1.2.3")),
  handshake:
    PROTOCOL !== "handshake"
      ? missing
      : unary((request: proto.ProviderHandshakeRequest) => {
          note(`handshake ${String(request.getEngineAddress() === process.argv[2])}`);
          return new proto.ProviderHandshakeResponse()
            .setAcceptSecrets(true)
            .setAcceptResources(true)
            .setAcceptOutputs(true);
        }),
  checkConfig: !TAKES_ALL
    ? missing
    : unary((request: proto.CheckRequest) => {
        const inputs = without(values(request.getNews()), "version");
        const reply = new proto.CheckResponse().setInputs(struct({ depth: "deep", ...inputs }));
        if (inputs["place"] === "nowhere")
          reply.setFailuresList([failure("place", `nowhere with ${textOf(inputs["key"])}`)]);
        return reply;
      }),
  diffConfig: !TAKES_ALL
    ? missing
    : unary((request: proto.DiffRequest) => {
        const [old, next] = [values(request.getOldInputs()), values(request.getNews())];
        const moved = old["place"] !== next["place"];
        return new proto.DiffResponse()
          .setChanges(proto.DiffResponse.DiffChanges.DIFF_UNKNOWN)
          .setReplacesList(moved ? ["place"] : []);
      }),
  configure: unary((request: proto.ConfigureRequest) => {
    config = plain(request.getArgs());
    const place = request.getVariablesMap().get("shelf:config:place") ?? "without";
    note(`configure ${request.getName()} ${place} ${textOf(config["key"])} ${textOf(config["depth"])}`);
    if (config["place"] === "locked") throw new Error(`no entry with ${textOf(config["key"])}`);
    return new proto.ConfigureResponse()
      .setAcceptsecrets(TAKES_ALL)
      .setAcceptresources(TAKES_ALL)
      .setSupportspreview(TAKES_ALL);
  }),
  check: unary((request: proto.CheckRequest) => {
    const [old, inputs] = [plain(request.getOlds()), values(request.getNews())];
    const drawn = Buffer.from(request.getRandomseed_asU8()).toString("hex").slice(0, 8);
    const name = inputs["name"] ?? old["name"] ?? `box-${drawn}`;
    const reply = new proto.CheckResponse().setInputs(struct({ ...inputs, name }));
    const { size, note: secret } = unwrapMap(inputs);
    if (typeof size === "number" && size < 0)
      reply.setFailuresList([failure("size", `${String(size)} is too small for ${JSON.stringify(secret)}`)]);
    return reply;
  }),
  diff: unary((request: proto.DiffRequest) => {
    const [old, next] = [plain(request.getOldInputs()), plain(request.getNews())];
    const { DIFF_SOME, DIFF_NONE } = proto.DiffResponse.DiffChanges;
    const keys = [...new Set([...Object.keys(old), ...Object.keys(next)])].filter(
      (key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]) && key !== "ignored",
    );
    const replaces = keys.filter((key) => ["name", "material"].includes(key));
    note(`diff ${request.getId()} ${keys.join(",")} ignoring ${request.getIgnorechangesList().join(",")}`);
    const reply = new proto.DiffResponse()
      .setChanges(keys.length > 0 ? DIFF_SOME : DIFF_NONE)
      .setDiffsList(keys)
      .setReplacesList(replaces)
      .setDeletebeforereplace(replaces.includes("material"))
      .setHasdetaileddiff(true);
    const { Kind } = proto.PropertyDiff;
    for (const key of keys) {
      const kind = replaces.includes(key) ? Kind.UPDATE_REPLACE : Kind.UPDATE;
      reply.getDetaileddiffMap().set(key, new proto.PropertyDiff().setKind(kind));
    }
    return reply;
  }),
  create: unary(async (request: proto.CreateRequest) => {
    const [inputs, box] = [request.getProperties(), plain(request.getProperties())];
    const reply = new proto.CreateResponse().setProperties(struct(outputsOf(inputs, volumeOf(box))));
    if (request.getPreview()) return reply;
    note(`create ${textOf(box["label"])} in ${textOf(config["place"])}`);
    await say(request.getUrn(), `making it with ${textOf(box["note"])}`);
    if (box["fault"] === "hangs") await new Promise(() => undefined);
    if (box["fault"] === "ends") {
      process.stderr.write("out of wood\n");
      process.exit(3);
    }
    if (box["fault"] === "throws") throw new Error(`no room for ${textOf(box["note"])}`);
    const id = `id-${textOf(box["label"])}`;
    change(id, { ...box, volume: volumeOf(box) ?? 0 });
    if (box["fault"] === "half way")
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- an answer of gRPC's
      throw failed(id, outputsOf(inputs, undefined), [`not closed, ${textOf(box["note"])}`]);
    return reply.setId(id);
  }),
  read: unary((request: proto.ReadRequest) => {
    const box = world()[request.getId()];
    note(`read ${request.getId()}`);
    if (!box) return new proto.ReadResponse();
    if (box["fault"] === "unreadable") throw new Error("cannot be read");
    const { volume = 0, ...inputs } = box;
    const reply = new proto.ReadResponse().setId(request.getId()).setInputs(struct(inputs));
    return reply.setProperties(struct({ ...inputs, volume }));
  }),
  update: unary((request: proto.UpdateRequest) => {
    const box = plain(request.getNews());
    const outputs = outputsOf(request.getNews(), volumeOf(box));
    if (!request.getPreview()) {
      note(`update ${request.getId()}`);
      if (box["fault"] === "throws") throw new Error(`update fails with ${textOf(box["note"])}`);
      change(request.getId(), { ...box, volume: volumeOf(box) ?? 0 });
    }
    return new proto.UpdateResponse().setProperties(struct(outputs));
  }),
  delete: unary((request: proto.DeleteRequest) => {
    note(`delete ${request.getId()} from ${textOf(config["place"])}`);
    change(request.getId(), undefined);
    return new Empty();
  }),
  invoke: unary((request: proto.InvokeRequest) => {
    const args = plain(request.getArgs());
    note(`invoke ${request.getTok()} ${JSON.stringify(args)}${request.getPreview() ? " in a preview" : ""}`);
    const reply = new proto.InvokeResponse();
    const { size } = args;
    if (size === 13) throw new Error(`no box measures 13, ${textOf(args["note"])}`);
    if (typeof size !== "number") return reply.setFailuresList([failure("size", "has to be a number")]);
    return reply.setReturn(struct({ volume: size ** 3, place: config["place"] ?? "" }));
  }),
  cancel: unary(() => new Empty()),
};

const server = new grpc.Server();
server.addService(ResourceProviderService, handlers);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${String(port)}\n`);
});
