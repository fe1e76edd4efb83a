import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { CheckFailure } from "@pulumi/pulumi/proto/provider_pb";
import * as resource from "@pulumi/pulumi/proto/resource_pb";
import { Status, type AnswerMessage, type CallMessage } from "../language/messages";
import { mapOf } from "../providers/protocol/properties";
import type { Severity } from "../providers/provider";
import { packageOf } from "../state/urn";
import { textOf, unwrapMap, type PropertyMap } from "../values/property";
import { messageOf } from "../errors";
import type { DeploymentEvents } from "./events";
import type { Deployment } from "./deployment";
import { StoppedError } from "./deployment";
import { answerCall, method, serviceMethods, type Methods } from "./calls";
import { engineMethods, type LogHandler } from "./engine-methods";
import { functionCallOf, goalOf, readGoalOf, refuseUnsupported, refuseUnsupportedPackage } from "./requests";

/** The features of Pulumi's protocol that the engine has, by the names by which the SDK asks for them. */
const FEATURES = ["secrets", "resourceReferences", "aliasSpecs", "deletedWith", "invokeDependsOn"];

/** The package of what Pulumi's engines bring along themselves. */
const BUILTIN_PACKAGE = "pulumi";

/** Answers the calls of the two services of Pulumi's protocol that a program talks to. */
export class Monitor {
  /** Whether the program reached its end: the SDK says so when nothing is left to do. */
  programFinished = false;
  /** Registrations that are being worked on. */
  private readonly active = new Set<Promise<unknown>>();
  private readonly methods: Methods;

  constructor(
    private readonly deployment: Deployment,
    private readonly events: DeploymentEvents,
    private readonly projectRoot: string,
  ) {
    const log: LogHandler = (severity, urn, text) => {
      this.programMessage(severity, urn, text);
    };
    this.methods = new Map([...this.monitorMethods(), ...engineMethods(log, () => this.deployment.rootUrn)]);
  }

  /** Answers a call of the program's. */
  answer(call: CallMessage): Promise<AnswerMessage> {
    return answerCall(this.methods, call);
  }

  private monitorMethods(): Methods {
    return serviceMethods("ResourceMonitor", {
      SupportsFeature: method(resource.SupportsFeatureRequest, (request) =>
        new resource.SupportsFeatureResponse().setHassupport(FEATURES.includes(request.getId())),
      ),
      // Any code but these two reaches the program as an error of the function's.
      Invoke: method(
        resource.ResourceInvokeRequest,
        (request) => this.invoke(request),
        (error) => (error instanceof StoppedError ? Status.unavailable : Status.unknown),
      ),
      ReadResource: method(resource.ReadResourceRequest, (request) => this.readResource(request)),
      RegisterResource: method(resource.RegisterResourceRequest, (request) => this.registerResource(request)),
      RegisterResourceOutputs: method(resource.RegisterResourceOutputsRequest, (request) =>
        this.registerOutputs(request),
      ),
      SignalAndWaitForShutdown: method(Empty, () => {
        this.programFinished = true;
        return new Empty();
      }),
    });
  }

  /** Resolves when no registration is being worked on any more: a program can end before they do. */
  async idle(): Promise<void> {
    while (this.active.size > 0) await Promise.allSettled(this.active);
  }

  private async registerResource(
    request: resource.RegisterResourceRequest,
  ): Promise<resource.RegisterResourceResponse> {
    const goal = this.orRefused(request.getName(), () => {
      refuseUnsupported(request);
      return goalOf(request, this.projectRoot);
    });
    const state = await this.tracked(this.deployment.register(goal));
    const outputs = state.outputs ?? {};
    const response = new resource.RegisterResourceResponse().setUrn(state.urn).setId(state.id ?? "");
    if (goal.custom) response.setObject(structOf(request.getAcceptsecrets() ? outputs : unwrapMap(outputs)));
    return response;
  }

  private async registerOutputs(request: resource.RegisterResourceOutputsRequest): Promise<Empty> {
    await this.deployment.registerOutputs(request.getUrn(), mapOf(request.getOutputs()));
    return new Empty();
  }

  private async readResource(request: resource.ReadResourceRequest): Promise<resource.ReadResourceResponse> {
    const type = request.getType();
    if (packageOf(type) === BUILTIN_PACKAGE)
      throw this.refusal(request.getName(), `resources of type ${type}`);
    this.orRefused(request.getName(), () => {
      refuseUnsupportedPackage(request);
    });
    const { urn, outputs = {} } = await this.tracked(
      this.deployment.read(readGoalOf(request, this.projectRoot)),
    );
    return new resource.ReadResourceResponse()
      .setUrn(urn)
      .setProperties(structOf(request.getAcceptsecrets() ? outputs : unwrapMap(outputs)));
  }

  private async invoke(request: resource.ResourceInvokeRequest): Promise<resource.ResourceInvokeResponse> {
    const token = request.getTok();
    if (packageOf(token) === BUILTIN_PACKAGE) return this.invokeBuiltin(request);
    this.orRefused(token, () => {
      refuseUnsupportedPackage(request);
    });
    const { outputs, failures, unknown } = await this.tracked(
      this.deployment.invoke(functionCallOf(request)),
    );
    const list = failures.map(({ property, reason }) =>
      new CheckFailure().setProperty(property).setReason(reason),
    );
    return new resource.ResourceInvokeResponse()
      .setReturn(structOf(outputs))
      .setFailuresList(list)
      .setUnknown(unknown ?? false);
  }

  private invokeBuiltin(request: resource.ResourceInvokeRequest): resource.ResourceInvokeResponse {
    const token = request.getTok();
    if (token !== "pulumi:pulumi:getResource") throw this.refusal(token, `the function ${token}`);
    const urn = textOf(mapOf(request.getArgs())["urn"]);
    const found = this.deployment.resource(urn);
    if (!found) throw this.refused(token, `unknown resource ${urn}`);
    return new resource.ResourceInvokeResponse().setReturn(
      structOf({ urn, id: found.id ?? "", state: found.outputs ?? {} }),
    );
  }

  /** Notes that something is being worked on, see `idle`. */
  private tracked<T>(work: Promise<T>): Promise<T> {
    this.active.add(work);
    return work.finally(() => this.active.delete(work));
  }

  /** Does what may fail; where it does, the reason is shown and the deployment ends. */
  private orRefused<T>(name: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.refused(name, messageOf(error));
    }
  }

  /** Passes on what the program has to say, whichever way it came. */
  programMessage(severity: Severity, urn: string, text: string): void {
    // Once a resource failed the SDK closes its channel: what the program still asks for fails by that alone.
    if (this.deployment.failed && CHANNEL_CLOSED.test(text)) return;
    this.events.message(severity, urn, text);
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
