import { createHash, createHmac } from "node:crypto";
import * as https from "node:https";

import { SignatureV4 } from "@smithy/signature-v4";

/** Who asks. */
export interface Caller {
  readonly arn: string;
  readonly userId: string;
  readonly accountId: string;
}

/** What is asked, and by whom. */
export interface CallerRequest {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly endpoint: string;
  readonly agent: https.Agent;
}

const BODY = "Action=GetCallerIdentity&Version=2011-06-15";

/**
 * Asks STS who asks: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html. By hand, with the signature of the
 * SDK's own: the one call of STS that is needed is not worth a client of its own.
 */
export async function callerIdentity({
  region,
  credentials,
  endpoint,
  agent,
}: CallerRequest): Promise<Caller> {
  const url = new URL(endpoint);
  const signer = new SignatureV4({ region, credentials, service: "sts", sha256: NodeSha256 });
  const { headers } = await signer.sign({
    method: "POST",
    protocol: url.protocol,
    hostname: url.hostname,
    path: "/",
    query: {},
    headers: { host: url.host, "content-type": "application/x-www-form-urlencoded" },
    body: BODY,
  });
  const { status, text } = await post(url, headers, agent);
  const [arn, userId, accountId] = ["Arn", "UserId", "Account"].map((name) => elementOf(text, name));
  if (status !== 200 || arn === undefined || userId === undefined || accountId === undefined) {
    const [code, message] = ["Code", "Message"].map((name) => elementOf(text, name) ?? "");
    throw new Error(`GetCallerIdentity was answered ${code ?? ""} (${String(status)}): ${message ?? ""}`);
  }
  return { arn, userId, accountId };
}

function post(
  url: URL,
  headers: Record<string, string>,
  agent: https.Agent,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { method: "POST", headers, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(BODY);
  });
}

function elementOf(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
}

/** Node's own hash, as the signature wants one. */
class NodeSha256 {
  private readonly hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.hash = secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret));
  }

  update(chunk: string | ArrayBuffer | ArrayBufferView): void {
    this.hash.update(bytesOf(chunk));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest());
  }

  reset(): void {
    throw new Error("a hash is used once");
  }
}

function bytesOf(chunk: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof chunk === "string") return Buffer.from(chunk);
  return ArrayBuffer.isView(chunk)
    ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    : Buffer.from(chunk);
}
