import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import ts from "typescript";
import { parse } from "yaml";
import { z } from "zod";
import { GROUPS, SECRETS, stackSchema } from "../../config/schema/stack";
import { faultsOf, hostKey, machineWith, privateKey } from "./support/configuration";
import type * as registrationsModule from "./support/registrations";

const root = join(__dirname, "..", "..");
const directory = mkdtempSync(join(tmpdir(), "program-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface ProjectFile {
  readonly name: string;
  readonly config: Readonly<
    Record<string, { type?: string; description?: string; default?: unknown; secret?: boolean }>
  >;
}

interface StackFile {
  readonly config: Readonly<Record<string, unknown>>;
}

function yamlFile(name: string): unknown {
  return parse(readFileSync(join(root, name), "utf8"));
}

/** Values of a stack file, without the namespace. */
function stackValues(name: string): Record<string, unknown> {
  const { config } = yamlFile(name) as StackFile;
  const entries = Object.entries(config).map(([key, value]) => {
    expect(key).toMatch(/^(vehicleservice:|aws:region$)/);
    return [key.replace(/^vehicleservice:/, ""), typeof value === "number" ? String(value) : value];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

/** What a schema fills in where nothing is set; a key without a default is not there. */
function defaultsOf(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    const inner = schema.unwrap() as z.ZodType;
    return schema instanceof z.ZodPrefault ? defaultsOf(inner) : schema.parse(undefined);
  }
  if (!(schema instanceof z.ZodObject)) return undefined;
  const entries = Object.entries(schema.shape as Record<string, z.ZodType>).map(([key, inner]) => [
    key,
    defaultsOf(inner),
  ]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

describe("Pulumi.yaml", () => {
  const project = yamlFile("Pulumi.yaml") as ProjectFile;

  it("declares every key, and no other", () => {
    expect(Object.keys(project.config).sort()).toEqual(Object.keys(stackSchema.shape).sort());
  });

  it.each(Object.entries(stackSchema.shape))("gives %s the same default as config.ts", (key, schema) => {
    expect(project.config[key]?.default).toEqual(defaultsOf(schema));
  });

  it.each(Object.entries(project.config))(
    "describes %s, and types it unless it is a secret",
    (key, declared) => {
      const { default: value } = declared;
      const scalar = typeof value === "number" ? "integer" : typeof value;
      const type = GROUPS.has(key) ? "object" : scalar === "undefined" ? "string" : scalar;
      // Of a group's values some may be encrypted and others not.
      const secret = SECRETS.has(key) && !GROUPS.has(key);
      expect(declared.type).toBe(secret ? undefined : type);
      expect(declared.secret ?? false).toBe(secret);
      expect(declared.description).toMatch(/.{20,}/);
    },
  );

  it("names every key of a group in the group's description", () => {
    for (const group of GROUPS) {
      const schema: z.ZodType = stackSchema.shape[group as "host"];
      const inner = schema instanceof z.ZodPrefault ? (schema.unwrap() as z.ZodType) : schema;
      // A record's keys are the user's to choose.
      const keys = inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
      expect(keys.length > 0).toBe(group !== "variables");
      for (const key of keys) expect(project.config[group]?.description).toContain(key);
    }
  });
});

describe("stack files", () => {
  it("of production is complete but for the operator's own values, which are refused by name", () => {
    const faults = faultsOf(stackValues("Pulumi.production.yaml"), machineWith());
    const placeholder = expect.stringContaining("guide's placeholder");
    const mine = (rule: unknown) => (name: string) =>
      expect.objectContaining({ key: `vehicleservice:variables.${name}`, rule }) as unknown;
    expect(faults).toEqual([
      expect.objectContaining({ key: "vehicleservice:permissionsBoundary", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:host.ec2.sshFrom[0]", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:host.ec2.imageId", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:site.domains[0]", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:source.repository", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:backups.bucket", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:supabase.projectRef", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:supabase.auth.smtp.sender", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:monitoring.page.emails[0]", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:monitoring.warn.emails[0]", rule: placeholder }),
      expect.objectContaining({ key: "vehicleservice:host.privateKeyFile", value: "(not set)" }),
      expect.objectContaining({ key: "vehicleservice:databaseUrl", value: "(not set)" }),
      expect.objectContaining({ key: "vehicleservice:supabaseSmtpPassword", value: "(not set)" }),
      expect.objectContaining({ key: "vehicleservice:supabaseAccessToken", value: "(not set)" }),
      ...["NEXT_PUBLIC_SITE_URL"].map(mine(expect.stringContaining("in place of a placeholder"))),
      ...[
        ...["NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"],
        ...["DATABASE_URL", "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY", "STRIPE_SECRET_KEY"],
        ...["STRIPE_CONNECT_CLIENT_ID", "RESEND_API_KEY"],
      ].map(mine(expect.stringMatching(/^set: /))),
      ...["NEXT_PUBLIC_FROM_EMAIL"].map(mine(expect.stringContaining("in place of a placeholder"))),
      ...["SENTRY_DSN"].map(mine(expect.stringMatching(/^set: /))),
    ]);
    expect(stackValues("Pulumi.production.yaml").environment).toBe("production");
  });

  it("of the sandbox is complete but for what only the machine knows", () => {
    const values = stackValues("Pulumi.sandbox.yaml");
    expect(faultsOf(values).map(({ key }) => key)).toEqual([
      "vehicleservice:host.address",
      "vehicleservice:host.hostKey",
      "vehicleservice:host.privateKeyFile",
    ]);
    expect(
      faultsOf({ ...values, host: { address: "10.77.1.2", hostKey, privateKeyFile: "keys/id" } }),
    ).toEqual([]);
  });
});

describe("index.ts", () => {
  const isolated = (config: Record<string, string>) => {
    jest.resetModules();
    const software = join(directory, "host.tar");
    writeFileSync(software, "an archive");
    jest.doMock("../../components/host", () => {
      const { Host } = jest.requireActual<typeof import("../../components/host")>("../../components/host");
      return {
        Host: class extends Host {
          constructor(...[name, args, opts]: ConstructorParameters<typeof Host>) {
            super(name, { ...args, software }, opts);
          }
        },
      };
    });
    const { runtime } = jest.requireActual<typeof pulumi>("@pulumi/pulumi");
    const { registrationsOf } = jest.requireActual<typeof registrationsModule>("./support/registrations");
    const full = Object.entries(config).map(([key, value]) => [`vehicleservice:${key}`, value]);
    runtime.setAllConfig(Object.fromEntries(full) as Record<string, string>, ["vehicleservice:testerSecret"]);
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the program runs when it is loaded
    return registrationsOf(() => require("../../index") as Record<string, pulumi.Output<unknown>>);
  };
  const config = () => {
    const privateKeyFile = join(directory, "id");
    writeFileSync(privateKeyFile, privateKey);
    return {
      blueVersion: "v0.9.9",
      greenVersion: "v1.0.0",
      canaryWeight: "5",
      testerSecret: "0123456789abcdef",
      host: JSON.stringify({ address: "10.77.1.2", hostKey, privateKeyFile }),
      site: JSON.stringify({ domains: ["vehicleservice.test"] }),
      variableRules: "none",
      source: JSON.stringify({ repository: "git://10.77.1.1/sample.git" }),
    };
  };

  it("makes the whole site, in order", async () => {
    const { registrations } = await isolated(config());
    const commands = registrations.filter(({ type }) => type.startsWith("command:"));
    const order = commands.map(({ name }) => name);
    const first = ["web-software", "web-bootstrap"];
    // These wait for the host's software, and some of them for one another.
    const middle = [
      ...["front-door-act", "environment-act", "certificate-act", "maintenance-before", "database-act"],
    ];
    const last = ["plan-act", "blue-act", "green-act", "traffic-act", "maintenance-after"];
    expect(order.slice(0, 2)).toEqual(first);
    expect(order.slice(2, 7).sort()).toEqual(middle.sort());
    expect(order.indexOf("front-door-act")).toBeLessThan(order.indexOf("certificate-act"));
    expect(order.indexOf("front-door-act")).toBeLessThan(order.indexOf("maintenance-before"));
    expect(order.slice(7).map((name) => name.replace("green", "blue"))).toEqual(
      last.map((name) => name.replace("green", "blue")),
    );
  });

  it("exports what the host confirmed", async () => {
    const { result } = await isolated(config());
    expect(Object.keys(result).sort()).toEqual([
      ...["address", "effectiveWeight", "hostKey", "lastBackup", "measuredRestoreSeconds", "pending"],
      ...["schemaVersion", "securityGroupId", "serving", "stable"],
      ...["stripeEndpoints", "stripeRedirectUri", "supabaseAccess", "url"],
    ]);
    const outputs = Object.entries(result).filter(([name]) => name !== "pending");
    const values = outputs.map(async ([, output]) => new Promise((resolve) => output.apply(resolve)));
    expect(await Promise.all(values)).toEqual(
      expect.arrayContaining(["https://vehicleservice.test", 5, "blue", { blue: "v0.9.9", green: "v1.0.0" }]),
    );
  });

  it("registers nothing where the configuration is at fault", async () => {
    await expect(
      isolated({ ...config(), greenVersion: "v1.0.0; rm -rf /", canaryWieght: "5" }),
    ).rejects.toThrow(/^2 faults in the configuration of stack test; nothing was changed\./);
  });
});

describe("one program", () => {
  /** Conditions in a source, as text. */
  function conditionsIn(file: string): readonly string[] {
    const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
    const found: string[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isIfStatement(node) || ts.isSwitchStatement(node)) found.push(node.expression.getText());
      if (ts.isConditionalExpression(node)) found.push(node.condition.getText());
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  }
  const components = readdirSync(join(root, "components")).filter((file) => file.endsWith(".ts"));
  const sources = ["index.ts", ...components.map((file) => join("components", file))];

  it("has no condition in index.ts", () => {
    expect(conditionsIn(join(root, "index.ts"))).toEqual([]);
  });

  it.each(sources)("knows neither sandbox nor production in %s", (file) => {
    const code = ts.transpileModule(readFileSync(join(root, file), "utf8"), {
      compilerOptions: { removeComments: true, target: ts.ScriptTarget.ES2022 },
    }).outputText;
    expect(code).not.toMatch(/sandbox|production|getStack|isDryRun|process\.env/i);
  });
});
