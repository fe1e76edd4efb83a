import { Server, ServerCredentials, status, type handleUnaryCall, type ServiceError } from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import * as engine from "@pulumi/pulumi/proto/engine_pb";
import { ResourceMonitorService } from "@pulumi/pulumi/proto/resource_grpc_pb";
import * as resource from "@pulumi/pulumi/proto/resource_pb";
import type { Severity } from "../providers/provider";
import { textOf, unwrapMap, type PropertyMap } from "../values/property";
import { messageOf } from "../errors";
import type { DeploymentEvents } from "./events";
import type { Deployment } from "./deployment";
import { StoppedError } from "./deployment";
import { goalOf, refuseUnsupported } from "./requests";

/** The features of Pulumi's protocol that the engine has, by the names by which the SDK asks for them. */
const FEATURES = ["secrets", "resourceReferences", "aliasSpecs", "deletedWith", "invokeDependsOn"];

const SEVERITIES: readonly Severity[] = ["debug", "info", "warning", "error"];

/** Requests can hold whole files (string assets); the default of 4 MiB is too small for them. */
const LARGEST_MESSAGE = 400 * 1024 * 1024;

/** Serves the two services of Pulumi's protocol that a program talks to. */
export class Monitor {
  /** Whether the program reached its end: the SDK says so when nothing is left to do. */
  programFinished = false;
  /** Registrations that are being worked on. */
  private readonly active = new Set<Promise<unknown>>();
  private readonly server = new Server({
    "grpc.max_receive_message_length": LARGEST_MESSAGE,
    "grpc.max_send_message_length": LARGEST_MESSAGE,
  });

  constructor(
    private readonly deployment: Deployment,
    private readonly events: DeploymentEvents,
    private readonly projectRoot: string,
  ) {
    this.server.addService(ResourceMonitorService, {
      getDeploymentInfo: unimplemented("GetDeploymentInfo"),
      supportsFeature: answer((request: resource.SupportsFeatureRequest) =>
        new resource.SupportsFeatureResponse().setHassupport(FEATURES.includes(request.getId())),
      ),
      invoke: answer((request: resource.ResourceInvokeRequest) => this.invoke(request)),
      call: unimplemented("Call"),
      readResource: answer((request: resource.ReadResourceRequest) => {
        throw this.refusal(request.getName(), "reading existing resources (`get`, StackReference)");
      }),
      existsResource: unimplemented("ExistsResource"),
      registerResource: answer((request: resource.RegisterResourceRequest) => this.registerResource(request)),
      registerResourceOutputs: answer((request: resource.RegisterResourceOutputsRequest) =>
        this.registerOutputs(request),
      ),
      registerStackTransform: unimplemented("RegisterStackTransform"),
      registerStackInvokeTransform: unimplemented("RegisterStackInvokeTransform"),
      registerResourceHook: unimplemented("RegisterResourceHook"),
      registerErrorHook: unimplemented("RegisterErrorHook"),
      registerPackage: unimplemented("RegisterPackage"),
      signalAndWaitForShutdown: answer(() => {
        this.programFinished = true;
        return new Empty();
      }),
    });
    this.server.addService(EngineService, {
      log: answer((request: engine.LogRequest) => this.log(request)),
      getRootResource: answer(() => new engine.GetRootResourceResponse().setUrn(this.deployment.rootUrn)),
      setRootResource: answer(() => new engine.SetRootResourceResponse()),
      startDebugging: unimplemented("StartDebugging"),
      requirePulumiVersion: answer(() => new engine.RequirePulumiVersionResponse()),
    });
  }

  /** Listens on loopback; resolves with the address. */
  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error) reject(error);
        else resolve(`127.0.0.1:${String(port)}`);
      });
    });
  }

  /** Resolves when no registration is being worked on any more: a program can end before they do. */
  async idle(): Promise<void> {
    while (this.active.size > 0) await Promise.allSettled(this.active);
  }

  /** Ends all calls. */
  close(): void {
    this.server.forceShutdown();
  }

  private async registerResource(
    request: resource.RegisterResourceRequest,
  ): Promise<resource.RegisterResourceResponse> {
    let goal;
    try {
      refuseUnsupported(request);
      goal = goalOf(request, this.projectRoot);
    } catch (error) {
      throw this.refused(request.getName(), messageOf(error));
    }
    const registration = this.deployment.register(goal);
    this.active.add(registration);
    const state = await registration.finally(() => this.active.delete(registration));
    const outputs = state.outputs ?? {};
    const response = new resource.RegisterResourceResponse().setUrn(state.urn).setId(state.id ?? "");
    if (goal.custom) response.setObject(structOf(request.getAcceptsecrets() ? outputs : unwrapMap(outputs)));
    return response;
  }

  private async registerOutputs(request: resource.RegisterResourceOutputsRequest): Promise<Empty> {
    await this.deployment.registerOutputs(request.getUrn(), mapOf(request.getOutputs()));
    return new Empty();
  }

  private invoke(request: resource.ResourceInvokeRequest): resource.ResourceInvokeResponse {
    const token = request.getTok();
    if (token !== "pulumi:pulumi:getResource") throw this.refusal(token, `the function ${token}`);
    const urn = textOf(mapOf(request.getArgs())["urn"]);
    const found = this.deployment.resource(urn);
    if (!found) throw this.refused(token, `unknown resource ${urn}`);
    return new resource.ResourceInvokeResponse().setReturn(
      structOf({ urn, id: found.id ?? "", state: found.outputs ?? {} }),
    );
  }

  /** Passes on what the program has to say, whichever way it came. */
  programMessage(severity: Severity, urn: string, text: string): void {
    // Once a resource failed the SDK closes its channel: what the program still asks for fails by that alone.
    if (this.deployment.failed && CHANNEL_CLOSED.test(text)) return;
    this.events.message(severity, urn, text);
  }

  private log(request: engine.LogRequest): Empty {
    this.programMessage(SEVERITIES[request.getSeverity()] ?? "info", request.getUrn(), request.getMessage());
    return new Empty();
  }

  private refusal(name: string, what: string): Error {
    return this.refused(name, `the embedded engine does not support ${what}. Use the Pulumi CLI`);
  }

  /** Shows why a request is refused and ends the deployment. */
  private refused(name: string, text: string): StoppedError {
    this.events.message("error", "", name === "" ? text : `${name}: ${text}`);
    this.deployment.stop(text);
    return new StoppedError(text);
  }
}

/** How gRPC refuses a call on a channel that its own side closed. */
const CHANNEL_CLOSED = /\bChannel has been shut down\b/;

function structOf(properties: PropertyMap): Struct {
  return Struct.fromJavaScript(properties);
}

function mapOf(struct: Struct | undefined): PropertyMap {
  return struct?.toJavaScript() ?? {};
}

function unimplemented(name: string): handleUnaryCall<unknown, never> {
  return (_call, callback) => {
    callback({ code: status.UNIMPLEMENTED, details: `the embedded engine does not have ${name}` });
  };
}

/**
 * Makes a handler of a function. Every failure is answered with UNAVAILABLE: the SDK takes that for the end of the
 * deployment and ends quietly, whereas any other code makes it wait or repeat what was shown already.
 */
function answer<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => handle(call.request))
      .then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          const refusal: Partial<ServiceError> = { code: status.UNAVAILABLE, details: messageOf(error) };
          callback(refusal);
        },
      );
  };
}
