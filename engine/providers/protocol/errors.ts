import { status, type ServiceError } from "@grpc/grpc-js";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ConfigureErrorMissingKeys, ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { PartialFailure } from "../provider";

/** Where gRPC carries what an error has beyond its text. */
const DETAILS = "grpc-status-details-bin";
const INIT_FAILED = "pulumirpc.ErrorResourceInitFailed";
const MISSING_KEYS = "pulumirpc.ConfigureErrorMissingKeys";

/** There is nobody to answer: the process has ended, or is about to. */
export class LostConnection extends Error {}

/** The provider does not have the call. */
export class Unimplemented extends Error {}

/** What a failed call means: the provider's message, or a resource that exists and is not what it is to be. */
export function failureOf(error: ServiceError): Error {
  if (error.code === status.UNAVAILABLE) return new LostConnection(error.details);
  if (error.code === status.UNIMPLEMENTED) return new Unimplemented(error.details);
  return partialFailureOf(error) ?? missingKeysOf(error) ?? new Error(error.details || error.message);
}

function partialFailureOf(error: ServiceError): PartialFailure | undefined {
  const value = detailOf(error, INIT_FAILED);
  if (!value) return undefined;
  const failed = ErrorResourceInitFailed.deserializeBinary(value);
  const properties = failed.getProperties() ?? new Struct();
  const reasons = failed.getReasonsList();
  return new PartialFailure(
    failed.getId(),
    properties.toJavaScript(),
    reasons.length > 0 ? reasons : [error.details],
    failed.getInputs()?.toJavaScript(),
  );
}

/** The message about config keys that a provider wants, each with what it is for. */
function missingKeysOf(error: ServiceError): Error | undefined {
  const value = detailOf(error, MISSING_KEYS);
  if (!value) return undefined;
  const keys = ConfigureErrorMissingKeys.deserializeBinary(value).getMissingkeysList();
  const list = keys.map(
    (key) =>
      `missing required configuration key "${key.getName()}": ${key.getDescription()}; set it with \`pulumi config set ${key.getName()} VALUE\``,
  );
  return new Error(list.join("\n"));
}

function detailOf(error: ServiceError, type: string): Uint8Array | undefined {
  const [details] = error.metadata.get(DETAILS);
  if (!(details instanceof Buffer)) return undefined;
  return Status.deserializeBinary(details)
    .getDetailsList()
    .find((each) => each.getTypeName() === type)
    ?.getValue_asU8();
}
