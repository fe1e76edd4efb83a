import {
  Server,
  ServerCredentials,
  status,
  type handleUnaryCall,
  type UntypedServiceImplementation,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { messageOf } from "../errors";
import { LARGEST_MESSAGE } from "../providers/protocol/client";
import { lacking, type Method } from "./calls";
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
    const service = EngineService as unknown as ServiceDefinition;
    const handlers = Object.entries(service).map(([name, { path }]) => [
      name,
      handler(path, methods.get(path)),
    ]);
    this.server.addService(service, Object.fromEntries(handlers) as UntypedServiceImplementation);
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

/** A method in gRPC's form; a call of one that is not there is refused by name. */
function handler(path: string, method: Method | undefined): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    if (!method) {
      callback({ code: status.UNIMPLEMENTED, details: lacking(path) });
      return;
    }
    Promise.resolve()
      .then(() => method.handle(call.request))
      .then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          callback(Object.assign(new Error(messageOf(error)), { code: method.codeOf(error) }));
        },
      );
  };
}
