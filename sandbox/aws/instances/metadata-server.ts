import { randomBytes, timingSafeEqual } from "node:crypto";
import * as http from "node:http";

import type { MetadataSettings } from "./metadata-settings";

/*
 * The instance metadata service, version 2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html (session
 * tokens), .../instance-metadata-security-credentials.html (the role's credentials), .../instance-identity-documents.html. What is asked for
 * and not known is answered 404, as there.
 */

/** Temporary credentials of a role. */
export interface RoleCredentials {
  readonly role: string;
  /** ARN of the instance's profile. */
  readonly profileArn: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** Where the service has credentials from; null for an instance without a role. Throws where the role lets EC2 not in. */
export type CredentialSource = () => Promise<RoleCredentials | null>;

const TOKEN_PATH = "/latest/api/token";
const TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER = "x-aws-ec2-metadata-token";
const LONGEST_TTL_SECONDS = 21_600;

/** The service; `now` (milliseconds) ages its tokens. */
export function metadataServer(
  settings: MetadataSettings,
  credentials: CredentialSource,
  now: () => number = Date.now,
): http.Server {
  const tokens = new Map<string, number>();
  return http.createServer((request, response) => {
    const answer = (status: number, body = "", headers: http.OutgoingHttpHeaders = {}): void => {
      response.writeHead(status, { "content-type": "text/plain", ...headers }).end(body);
    };
    if (request.url === TOKEN_PATH) {
      giveToken(request, tokens, now, answer);
      return;
    }
    if (!isAdmitted(request, settings, tokens, now)) {
      answer(401);
      return;
    }
    if (request.method !== "GET") {
      answer(405);
      return;
    }
    lookUp(request.url ?? "/", settings, credentials).then(
      (body) => (body === null ? answer(404) : answer(200, body)),
      (error: unknown) => answer(500, error instanceof Error ? error.message : String(error)),
    );
  });
}

type Answer = (status: number, body?: string, headers?: http.OutgoingHttpHeaders) => void;

function giveToken(
  request: http.IncomingMessage,
  tokens: Map<string, number>,
  now: () => number,
  answer: Answer,
): void {
  // A request that a proxy passed on is none of the machine's own.
  if (request.headers["x-forwarded-for"] !== undefined) {
    answer(403);
    return;
  }
  if (request.method !== "PUT") {
    answer(405);
    return;
  }
  const ttl = Number(request.headers[TTL_HEADER]);
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > LONGEST_TTL_SECONDS) {
    answer(400);
    return;
  }
  const token = randomBytes(32).toString("base64url");
  for (const [one, end] of tokens) if (end <= now()) tokens.delete(one);
  tokens.set(token, now() + ttl * 1000);
  answer(200, token, { [TTL_HEADER]: String(ttl) });
}

function isAdmitted(
  request: http.IncomingMessage,
  { tokens: rule }: MetadataSettings,
  tokens: ReadonlyMap<string, number>,
  now: () => number,
): boolean {
  const given = request.headers[TOKEN_HEADER];
  if (given === undefined) return rule === "optional";
  const bytes = Buffer.from(String(given));
  return [...tokens].some(([token, end]) => {
    const own = Buffer.from(token);
    return end > now() && own.length === bytes.length && timingSafeEqual(own, bytes);
  });
}

async function lookUp(
  url: string,
  settings: MetadataSettings,
  credentials: CredentialSource,
): Promise<string | null> {
  const path = url.replace(/\?.*$/, "").replace(/\/$/, "");
  if (path === "/latest/meta-data/iam/security-credentials") return (await credentials())?.role ?? null;
  if (path.startsWith("/latest/meta-data/iam/security-credentials/")) {
    const found = await credentials();
    return found?.role === path.slice(path.lastIndexOf("/") + 1) ? credentialDocument(found) : null;
  }
  if (path === "/latest/meta-data/iam/info") return profileDocument(await credentials());
  if (path === "/latest/dynamic/instance-identity/document") return identityDocument(settings);
  return plainFacts(settings)[path] ?? null;
}

function credentialDocument(found: RoleCredentials): string {
  return JSON.stringify({
    Code: "Success",
    LastUpdated: new Date().toISOString(),
    Type: "AWS-HMAC",
    AccessKeyId: found.accessKeyId,
    SecretAccessKey: found.secretAccessKey,
    Token: found.sessionToken,
    Expiration: found.expiration.toISOString(),
  });
}

function profileDocument(found: RoleCredentials | null): string | null {
  if (found === null) return null;
  return JSON.stringify({ Code: "Success", InstanceProfileArn: found.profileArn });
}

function identityDocument({
  instanceId,
  imageId,
  region,
  availabilityZone,
  address,
}: MetadataSettings): string {
  return JSON.stringify({
    version: "2017-09-30",
    instanceId,
    imageId,
    region,
    availabilityZone,
    privateIp: address,
    architecture: "x86_64",
  });
}

function plainFacts(settings: MetadataSettings): Readonly<Record<string, string>> {
  const name = `ip-${settings.address.replaceAll(".", "-")}.ec2.internal`;
  const facts = {
    "instance-id": settings.instanceId,
    "ami-id": settings.imageId,
    "local-ipv4": settings.address,
    "local-hostname": name,
    hostname: name,
    "placement/region": settings.region,
    "placement/availability-zone": settings.availabilityZone,
    "services/domain": "amazonaws.com",
    "services/partition": "aws",
  };
  return Object.fromEntries(Object.entries(facts).map(([key, value]) => [`/latest/meta-data/${key}`, value]));
}
