import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/** The engine's log, for what takes long. A line that does not get there is no fault. */
export class EngineLog {
  private readonly client: EngineClient;

  /** @param address `127.0.0.1:PORT` */
  constructor(address: string) {
    this.client = new EngineClient(address, grpc.credentials.createInsecure());
  }

  /** Says a line beside a resource. */
  info(urn: string, line: string): void {
    const request = new LogRequest();
    request.setSeverity(LogSeverity.INFO);
    request.setMessage(line);
    request.setUrn(urn);
    request.setEphemeral(true);
    this.client.log(request, () => undefined);
  }

  /** Ends the connection. */
  close(): void {
    this.client.close();
  }
}
