import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import * as engine from "@pulumi/pulumi/proto/engine_pb";
import type { Severity } from "../providers/provider";
import { method, serviceMethods, type Methods } from "./calls";

const SEVERITIES: readonly Severity[] = ["debug", "info", "warning", "error"];

/** Takes a message of a program's or a plugin's. `urn` is empty for one about no resource. */
export type LogHandler = (severity: Severity, urn: string, text: string) => void;

/** The service by which a program or a plugin has something shown. `rootUrn` says the stack's URN. */
export function engineMethods(log: LogHandler, rootUrn: () => string): Methods {
  return serviceMethods("Engine", {
    Log: method(engine.LogRequest, (request) => {
      log(SEVERITIES[request.getSeverity()] ?? "info", request.getUrn(), request.getMessage());
      return new Empty();
    }),
    GetRootResource: method(engine.GetRootResourceRequest, () =>
      new engine.GetRootResourceResponse().setUrn(rootUrn()),
    ),
    SetRootResource: method(engine.SetRootResourceRequest, () => new engine.SetRootResourceResponse()),
    RequirePulumiVersion: method(
      engine.RequirePulumiVersionRequest,
      () => new engine.RequirePulumiVersionResponse(),
    ),
  });
}
