import { status, type ServiceError } from "@grpc/grpc-js";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { PartialFailure } from "../provider";

/** Where gRPC carries what an error has beyond its text. */
const DETAILS = "grpc-status-details-bin";
const INIT_FAILED = "pulumirpc.ErrorResourceInitFailed";

/** There is nobody to answer: the process has ended, or is about to. */
export class LostConnection extends Error {}

/** What a failed call means: the provider's message, or a resource that exists and is not what it is to be. */
export function failureOf(error: ServiceError): Error {
  if (error.code === status.UNAVAILABLE) return new LostConnection(error.details);
  return partialFailureOf(error) ?? new Error(error.details || error.message);
}

function partialFailureOf(error: ServiceError): PartialFailure | undefined {
  const [details] = error.metadata.get(DETAILS);
  if (!(details instanceof Buffer)) return undefined;
  const any = Status.deserializeBinary(details)
    .getDetailsList()
    .find((each) => each.getTypeName() === INIT_FAILED);
  if (!any) return undefined;
  const failed = ErrorResourceInitFailed.deserializeBinary(any.getValue_asU8());
  const properties = failed.getProperties() ?? new Struct();
  const reasons = failed.getReasonsList();
  return new PartialFailure(
    failed.getId(),
    properties.toJavaScript(),
    reasons.length > 0 ? reasons : [error.details],
  );
}
