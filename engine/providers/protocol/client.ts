import { credentials, type ServiceError } from "@grpc/grpc-js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { failureOf } from "./errors";

/** Messages hold whole provider sources and files; the default of 4 MiB is too small for them. */
export const LARGEST_MESSAGE = 400 * 1024 * 1024;

/** What a call is answered to. */
export type Callback<Response> = (error: ServiceError | null, response: Response) => void;

/** Opens a client of the provider that listens at an address, `HOST:PORT`. */
export function openClient(address: string): ResourceProviderClient {
  return new ResourceProviderClient(address, credentials.createInsecure(), {
    "grpc.max_receive_message_length": LARGEST_MESSAGE,
    "grpc.max_send_message_length": LARGEST_MESSAGE,
  });
}

/** Makes a call. Fails with what the answer's error means, see `failureOf`. */
export function promised<Response>(call: (done: Callback<Response>) => unknown): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => {
      if (error) reject(failureOf(error));
      else resolve(response);
    });
  });
}
