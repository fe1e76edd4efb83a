import { Server, ServerCredentials, type handleUnaryCall, type ServiceDefinition } from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LARGEST_MESSAGE } from "../providers/protocol/client";
import { answerCall, type Methods } from "./calls";
import { engineMethods, type LogHandler } from "./engine-methods";

/** The engine as plugins see it: there for as long as they are, with or without a program. */
export class EngineServer {
  // Requests can hold whole files (string assets).
  private readonly server = new Server({
    "grpc.max_receive_message_length": LARGEST_MESSAGE,
    "grpc.max_send_message_length": LARGEST_MESSAGE,
  });
  private listening: Promise<string> | undefined;

  constructor(log: LogHandler, rootUrn: () => string) {
    const methods = engineMethods(log, rootUrn);
    const definition = EngineService as unknown as ServiceDefinition;
    const entries = Object.entries(definition);
    this.server.addService(
      Object.fromEntries(entries.map(([name, each]) => [name, { ...each, ...AS_BYTES }])),
      Object.fromEntries(entries.map(([name, { path }]) => [name, handler(methods, path)])),
    );
  }

  /** Listens on loopback, where it does not yet; resolves with the address, `HOST:PORT`. */
  address(): Promise<string> {
    this.listening ??= new Promise((resolve, reject) => {
      this.server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error) reject(error);
        else resolve(`127.0.0.1:${String(port)}`);
      });
    });
    return this.listening;
  }

  /** Ends all calls. */
  close(): void {
    this.server.forceShutdown();
  }
}

/** Messages are read and written where calls are answered, whichever way they come. */
const AS_BYTES = {
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
};

function handler(methods: Methods, path: string): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    void answerCall(methods, { call: 0, path, request: call.request }).then(({ response, failure }) => {
      if (failure) callback(failure);
      else callback(null, Buffer.from(response ?? []));
    });
  };
}
