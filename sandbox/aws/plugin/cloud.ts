import * as fs from "node:fs";
import { Agent } from "node:https";

import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { EC2Client } from "@aws-sdk/client-ec2";
import { IAMClient } from "@aws-sdk/client-iam";
import { KMSClient } from "@aws-sdk/client-kms";
import { Route53Client } from "@aws-sdk/client-route-53";
import { S3Client } from "@aws-sdk/client-s3";
import { SNSClient } from "@aws-sdk/client-sns";

import type { World } from "../../world";
import { callerIdentity, type Caller } from "./caller-identity";
import { OPERATION } from "./errors";

/** Where an AWS is, and who asks it. */
export interface CloudSettings {
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** URL by the service's name in `aws:endpoints`: `s3`, `ec2`, `cloudwatch`... */
  readonly endpoints: Readonly<Record<string, string>>;
  /** File with the authority behind the endpoints' certificates; null for a public one. */
  readonly authorityFile: string | null;
  /** Tags of every resource that can have some. */
  readonly defaultTags: Readonly<Record<string, string>>;
}

interface Clients {
  readonly cloudwatch: CloudWatchClient;
  readonly logs: CloudWatchLogsClient;
  readonly ec2: EC2Client;
  readonly iam: IAMClient;
  readonly kms: KMSClient;
  readonly route53: Route53Client;
  readonly s3: S3Client;
  readonly sns: SNSClient;
}

/** A service's name in `aws:endpoints`, of those that have a client here. */
export type ServiceName = keyof Clients;

/** Every service's name in `aws:endpoints`. */
export const SERVICE_NAMES: readonly (ServiceName | "sts")[] = [
  "cloudwatch",
  "logs",
  "ec2",
  "iam",
  "kms",
  "route53",
  "s3",
  "sns",
  "sts",
];

/** The AWS of one run: its clients, made when they are first asked for, for a client costs some 50 ms to load. */
export class Cloud {
  private readonly clients: Partial<Record<ServiceName, Clients[ServiceName]>> = {};
  private caller: Promise<Caller> | null = null;
  private readonly agent: Agent;

  constructor(
    readonly settings: CloudSettings,
    /** World of the hosts that instances are. */
    readonly world: World,
  ) {
    const { authorityFile } = settings;
    this.agent = new Agent({
      keepAlive: true,
      ...(authorityFile === null ? {} : { ca: fs.readFileSync(authorityFile) }),
    });
  }

  /** Tells the user how far something slow is. Of the resource under way; nobody is told by default. */
  readonly progress: (line: string) => void = () => undefined;

  get region(): string {
    return this.settings.region;
  }

  /** Ends the connections. */
  close(): void {
    for (const client of Object.values(this.clients)) client.destroy();
    this.agent.destroy();
  }

  /** The client of a service. */
  client<S extends ServiceName>(service: S): Clients[S] {
    const endpoint = this.endpoint(service);
    const present = this.clients[service] as Clients[S] | undefined;
    if (present !== undefined) return present;
    const made = MAKERS[service]({
      region: this.settings.region,
      credentials: {
        accessKeyId: this.settings.accessKeyId,
        secretAccessKey: this.settings.secretAccessKey,
      },
      endpoint,
      requestHandler: { httpsAgent: this.agent },
    });
    // What was asked stands in every error.
    nameOperations(made.middlewareStack as unknown as MiddlewareStack);
    this.clients[service] = made;
    return made;
  }

  /** Who asks. */
  identity(): Promise<Caller> {
    this.caller ??= this.askIdentity();
    return this.caller;
  }

  private askIdentity(): Promise<Caller> {
    const { region, accessKeyId, secretAccessKey } = this.settings;
    const credentials = { accessKeyId, secretAccessKey };
    return callerIdentity({ region, credentials, endpoint: this.endpoint("sts"), agent: this.agent });
  }

  /** Throws where the config names none: this is no way to the real AWS. */
  private endpoint(service: string): string {
    const endpoint = this.settings.endpoints[service];
    if (endpoint === undefined) {
      throw new Error(
        `aws:endpoints names no "${service}": the sandbox's AWS speaks to emulators only, so each service that the stack uses needs one`,
      );
    }
    return endpoint;
  }
}

/** What all clients' stacks have in common; their types have not. */
interface MiddlewareStack {
  add(
    middleware: (
      next: (args: unknown) => Promise<unknown>,
      context: { commandName?: string },
    ) => (args: unknown) => Promise<unknown>,
    options: { step: "initialize" },
  ): void;
}

function nameOperations(stack: MiddlewareStack): void {
  stack.add(
    (next, { commandName }) =>
      async (args) => {
        try {
          return await next(args);
        } catch (error) {
          throw Object.assign(error as Error, { [OPERATION]: commandName?.replace(/Command$/, "") });
        }
      },
    { step: "initialize" },
  );
}

interface ClientOptions {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly endpoint: string;
  readonly requestHandler: { readonly httpsAgent: Agent };
}

const MAKERS: { readonly [S in ServiceName]: (options: ClientOptions) => Clients[S] } = {
  cloudwatch: (options) => new CloudWatchClient(options),
  logs: (options) => new CloudWatchLogsClient(options),
  ec2: (options) => new EC2Client(options),
  iam: (options) => new IAMClient(options),
  kms: (options) => new KMSClient(options),
  route53: (options) => new Route53Client(options),
  s3: (options) => new S3Client({ ...options, forcePathStyle: true }),
  sns: (options) => new SNSClient(options),
};

/** Tells whether an error of an AWS API is one of these: its code, or its HTTP status as text. */
export function isError(error: unknown, ...codes: readonly string[]): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  return codes.includes(name ?? "") || codes.includes(String($metadata?.httpStatusCode));
}

/** A part of an answer that the API promises. */
export function answered<T>(value: T | null | undefined, name: string): T {
  if (value === undefined || value === null) throw new Error(`the API answered without ${name}`);
  return value;
}

/** What a call answers, or null where it is answered with one of these errors. */
export async function unless<T>(codes: readonly string[], call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (isError(error, ...codes)) return null;
    throw error;
  }
}
