import { Server, ServerCredentials, status, type handleUnaryCall, type ServiceError } from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { EngineService, type IEngineServer } from "@pulumi/pulumi/proto/engine_grpc_pb";
import * as engine from "@pulumi/pulumi/proto/engine_pb";
import { messageOf } from "../errors";
import { LARGEST_MESSAGE } from "../providers/protocol/client";
import type { Severity } from "../providers/provider";

const SEVERITIES: readonly Severity[] = ["debug", "info", "warning", "error"];

/** Takes a message of a program's or a plugin's. `urn` is empty for one about no resource. */
export type LogHandler = (severity: Severity, urn: string, text: string) => void;

/** A server for Pulumi's services, whose requests can hold whole files (string assets). */
export function makeServer(): Server {
  return new Server({
    "grpc.max_receive_message_length": LARGEST_MESSAGE,
    "grpc.max_send_message_length": LARGEST_MESSAGE,
  });
}

/** Has a server listen on loopback; resolves with the address, `HOST:PORT`. */
export function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(`127.0.0.1:${String(port)}`);
    });
  });
}

/** The service by which a program or a plugin has something shown. `rootUrn` says the stack's URN. */
export function engineService(log: LogHandler, rootUrn: () => string): IEngineServer {
  return {
    log: answer((request: engine.LogRequest) => {
      log(SEVERITIES[request.getSeverity()] ?? "info", request.getUrn(), request.getMessage());
      return new Empty();
    }),
    getRootResource: answer(() => new engine.GetRootResourceResponse().setUrn(rootUrn())),
    setRootResource: answer(() => new engine.SetRootResourceResponse()),
    startDebugging: unimplemented("StartDebugging"),
    requirePulumiVersion: answer(() => new engine.RequirePulumiVersionResponse()),
  };
}

/** The engine as plugins see it: there for as long as they are, with or without a program. */
export class EngineServer {
  private readonly server = makeServer();
  private listening: Promise<string> | undefined;

  constructor(log: LogHandler, rootUrn: () => string) {
    this.server.addService(EngineService, engineService(log, rootUrn));
  }

  /** Listens, where it does not yet; resolves with the address. */
  address(): Promise<string> {
    this.listening ??= listen(this.server);
    return this.listening;
  }

  /** Ends all calls. */
  close(): void {
    this.server.forceShutdown();
  }
}

/** A handler that refuses a call by name. */
export function unimplemented(name: string): handleUnaryCall<unknown, never> {
  return (_call, callback) => {
    callback({ code: status.UNIMPLEMENTED, details: `the embedded engine does not have ${name}` });
  };
}

/**
 * Makes a handler of a function. Every failure is answered with UNAVAILABLE, unless `codeOf` says another code: the SDK
 * takes that for the end of the deployment and ends quietly, whereas any other code makes it wait or repeat what was
 * shown already.
 */
export function answer<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
  codeOf: (error: unknown) => status = () => status.UNAVAILABLE,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => handle(call.request))
      .then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          const refusal: Partial<ServiceError> = { code: codeOf(error), details: messageOf(error) };
          callback(refusal);
        },
      );
  };
}
