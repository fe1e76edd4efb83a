import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import { PARTS, type Part } from "../../../components/drift-provider";
import type { Act } from "../../../host/conductor/protocol";
import type { DatabaseActs } from "../../../host/database/protocol";

/** A resource as a program registered it. */
export interface Registration {
  readonly type: string;
  readonly name: string;
  /** Inputs as they go over the wire; {@link isSecret} and {@link plain} read the mark of a secret. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Name of the parent; empty for none. */
  readonly parent: string;
  /** Names of the resources that an input of this one comes from. */
  readonly waitsFor: readonly string[];
  /** `destroy` forgets the resource and leaves what it made. */
  readonly retained: boolean;
  /** Neither replaced nor deleted. */
  readonly protected: boolean;
  /** Inputs whose changes count for nothing. */
  readonly ignores: readonly string[];
}

/** What this needs of the request that the SDK sends for a resource. */
interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getDependenciesList(): string[];
  getRetainondelete(): boolean;
  getProtect(): boolean;
  getIgnorechangesList(): string[];
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
}

/** What the conductor answers to each act. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  configure: { configuration: "c0ffee" },
  environment: { hash: "0123456789abcdef" },
  database: { server: null },
  migrations: { schemaVersion: null, pending: ["001", "002"], waiting: [] },
  backup: {
    backup: { name: "20260101/vehicleservice-20260101T000000Z", takenAt: "2026-01-01T00:00:00.000Z" },
  },
  rehearse: { rehearsal: { restoreSeconds: 12.5, migrateSeconds: 0.5 } },
  migrate: { version: "001", outcome: "applied" },
  check: { schemaVersion: "002", passed: ["row-level-security"] },
  certify: {
    source: "files",
    domains: ["vehicleservice.test"],
    issuer: "an authority",
    notAfter: "2026-01-01T00:00:00.000Z",
  },
  plan: { steps: ["nothing to do"] },
  release: {
    ...{ colour: "green", version: "v1.0.0", commit: "cd34", directory: "/var/www/x" },
    ...{ environment: "0123456789abcdef", pending: false },
  },
  monitoring: { publishing: true },
  status: { maintenance: false },
  maintenance: { maintenance: false },
  traffic: { stable: "blue", weight: 5, effectiveWeight: 5, serving: { blue: "v0.9.9", green: "v1.0.0" } },
};

const NO_MENDS = Object.fromEntries(PARTS.map((part) => [part, 0]));

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Is an input a secret, as a whole? */
export function isSecret(input: unknown): boolean {
  return (
    typeof input === "object" && input !== null && (input as Record<string, unknown>)[SIGNATURE] === SECRET
  );
}

/** An input without the mark of a secret. */
export function plain(input: unknown): unknown {
  return isSecret(input) ? (input as { value: unknown }).value : input;
}

/** The act that a command sends, or undefined for one that sends none. */
export function actIn(inputs: Readonly<Record<string, unknown>>): Act | DatabaseActs | undefined {
  const stdin = plain(inputs.stdin);
  return typeof stdin === "string" && stdin.startsWith("{")
    ? (JSON.parse(stdin) as Act | DatabaseActs)
    : undefined;
}

/** What a provider gives to a resource of its kind, always the same. */
const OUTPUTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "random:index/randomPassword:RandomPassword": { result: "A".repeat(43) },
  "pulumi-nodejs:dynamic/vehicleservice:StripeEndpoints": {
    endpoints: [{ generation: 1, id: "we_1" }],
    signingSecrets: "signing",
  },
  "aws:ec2/vpc:Vpc": { ipv6CidrBlock: "2001:db8:1234:1a00::/56" },
  "aws:ec2/eip:Eip": { publicIp: "203.0.113.10" },
  "aws:ec2/instance:Instance": { ipv6Addresses: ["2001:db8:1234:1a00::10"] },
};

function outputsOf(
  type: string,
  name: string,
  inputs: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (type === "aws:s3/bucket:Bucket") return { arn: `arn:aws:s3:::${String(inputs.bucket)}` };
  // Named by its provider, where the program gives no name.
  const given = type.startsWith("aws:iam/") ? { name: `${name}-0a1b2c3` } : {};
  const service = /^aws:(\w+)/.exec(type)?.[1];
  const arn = service && { arn: `arn:aws:${service}:eu-central-1:123456789012:${name}`, keyId: `${name}-id` };
  return { ...given, ...arn, ...OUTPUTS[type] };
}

function nameIn(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

/** What a provider gives to a resource. */
interface MadeResource {
  readonly id?: string | undefined;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** What is due again whenever an act before it was another one, although it is itself the same: by that one's id, which is another one then. */
export const AFTER_IDS = ["maintenance-after", "traffic-act"];

/** Where a program runs that has no engine. */
export interface Circumstances {
  /** No resource has an id, and no command an answer, before it is there: of all of them, or of some. */
  readonly preview?: boolean | { readonly isNew: (name: string) => boolean };
  /** What the conductor answers to an act, instead of the usual. */
  readonly answers?: Readonly<Record<string, unknown>>;
  /** End of every resource's id. */
  readonly idEnd?: string;
  /** What a provider gives to a resource instead of the usual; undefined for the usual. */
  readonly made?: (type: string, name: string, inputs: Readonly<Record<string, unknown>>) => MadeResource;
  /** How often each part of the host was found changed by hand; a part that is not named was not. */
  readonly mends?: Readonly<Partial<Record<Part, number>>>;
}

/** Runs `program` without an engine, and returns what it registered, in order. */
export async function registrationsOf<T>(
  program: () => T,
  { preview = false, answers = {}, idEnd = "id", mends = {}, made = () => ({}) }: Circumstances = {},
): Promise<{ registrations: readonly Registration[]; result: T }> {
  const registrations: Registration[] = [];
  const isNew = typeof preview === "object" ? preview.isNew : () => preview;
  const { prototype } = MockMonitor;
  // The mocks proper see neither parents nor dependencies.
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the monitor that it is spied on
  const send = prototype.registerResource;
  const spy = jest.spyOn(prototype, "registerResource").mockImplementation(function (
    this: MockMonitor,
    request: RegisterRequest,
    callback: Parameters<typeof send>[1],
  ) {
    registrations.push({
      type: request.getType(),
      name: request.getName(),
      inputs: request.getObject()?.toJavaScript() ?? {},
      parent: nameIn(request.getParent()),
      waitsFor: request.getDependenciesList().map(nameIn),
      retained: request.getRetainondelete(),
      protected: request.getProtect(),
      ignores: request.getIgnorechangesList(),
    });
    return send.call(this, request, callback);
  });
  try {
    await pulumi.runtime.setMocks(
      {
        call: () => ({}),
        newResource: ({ name, type, inputs }) => {
          // Inputs, as its provider's check leaves them, which a preview knows.
          if (type.endsWith(":HostDrift")) {
            return { id: name, state: { ...(inputs as object), mends: { ...NO_MENDS, ...mends } } };
          }
          const { act } = actIn(inputs as Record<string, unknown>) ?? {};
          const stdout = JSON.stringify({ ...ANSWERS, ...answers }[String(act)] ?? {});
          if (isNew(name)) return { id: undefined, state: inputs };
          const given = inputs as Record<string, unknown>;
          const { id = `${name}-${idEnd}`, outputs = {} } = made(type, name, given);
          return { id, state: { ...outputsOf(type, name, given), ...given, ...outputs, stdout } };
        },
      },
      "vehicleservice",
      "test",
      preview !== false,
    );
    const result = program();
    await pulumi.runtime.disconnect();
    return { registrations, result };
  } finally {
    spy.mockRestore();
  }
}

/** The acts that `program` sends, in order. */
export async function actsOf(program: () => unknown): Promise<readonly (Act | DatabaseActs)[]> {
  const { registrations } = await registrationsOf(program);
  return registrations.flatMap(({ inputs }) => actIn(inputs) ?? []);
}
