import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Certificate } from "../../components/certificate";
import type { Part } from "../../components/drift-provider";
import { Database } from "../../components/database";
import { EnvironmentFile } from "../../components/environment-file";
import { FrontDoor, type SiteArgs } from "../../components/front-door";
import { Host, type HostArgs, type ReachableMachine } from "../../components/host";
import { canonicalJson } from "../../components/host-act";
import { Maintenance } from "../../components/maintenance";
import { Release } from "../../components/release";
import { SitePlan } from "../../components/site-plan";
import { Traffic } from "../../components/traffic";
import { validate } from "../../config";
import { machineWith, rawConfig, settings } from "./support/configuration";
import { existingHost } from "./support/existing-host";
import {
  actIn,
  actsOf,
  AFTER_IDS,
  type Circumstances,
  isSecret,
  plain,
  type Registration,
  registrationsOf,
} from "./support/registrations";

const TESTER_SECRET = "tester".repeat(4);
const directory = mkdtempSync(join(tmpdir(), "components-"));
const software = join(directory, "host.tar");
writeFileSync(software, "an archive");
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const loaded = validate(rawConfig(settings()), machineWith());
const { site, releases: specs, traffic } = loaded;
const hostSettings = existingHost(loaded);
const VARIABLES = { LOG_LEVEL: "warn" };
/** Keyed with what the tests' provider makes. */
const ENVIRONMENT = createHmac("sha256", "A".repeat(43))
  .update(canonicalJson(VARIABLES))
  .digest("hex")
  .slice(0, 16);
const releases = {
  blue: { ...specs.blue!, environment: ENVIRONMENT },
  green: { ...specs.green!, environment: ENVIRONMENT },
};
const hostArgs: HostArgs = { ...hostSettings, privateKey: pulumi.secret(hostSettings.privateKey), software };

interface Changes {
  readonly host?: Partial<HostArgs>;
  readonly machine?: Partial<ReachableMachine>;
  readonly site?: Partial<SiteArgs>;
  readonly shares?: { readonly stable: "blue" | "green"; readonly weight: number };
  readonly variables?: Readonly<Record<string, string>>;
  readonly closed?: boolean;
  readonly versions?: { readonly blue?: string; readonly green?: string };
}

/** The whole site, with some of its arguments changed. */
function makeSite({
  host: hostChanges,
  machine: machineChanges,
  site: siteChanges,
  shares = traffic,
  variables = VARIABLES,
  versions = {},
  closed = false,
}: Changes = {}) {
  const machine = { ...hostArgs.machine, ...machineChanges };
  const host = new Host("web", { ...hostArgs, machine, ...hostChanges });
  const frontDoor = new FrontDoor("front-door", { host, site: { ...site, ...siteChanges } });
  const certificate = new Certificate("certificate", { host, frontDoor, site: { ...site, ...siteChanges } });
  const wanted = {
    blue: versions.blue === "" ? null : { ...specs.blue!, version: versions.blue ?? "v0.9.9" },
    green: versions.green === "" ? null : { ...specs.green!, version: versions.green ?? "v1.0.0" },
  };
  const environment = new EnvironmentFile("environment", { host, variables });
  const maintenance = new Maintenance("maintenance", { host, frontDoor, on: closed });
  const database = new Database("database", { host, environment, maintenance, database: null });
  const plan = new SitePlan("plan", {
    host,
    certificate,
    maintenance,
    database,
    environment,
    releases: wanted,
    traffic: shares,
  });
  const blue = new Release("blue", { host, plan, environment, colour: "blue", release: wanted.blue });
  const green = new Release("green", { host, plan, environment, colour: "green", release: wanted.green });
  const split = new Traffic("traffic", { host, blue, green, ...shares });
  maintenance.endAfter(split);
  return {
    host,
    frontDoor,
    certificate,
    environment,
    maintenance,
    database,
    plan,
    blue,
    green,
    traffic: split,
  };
}

const named = (registrations: readonly Registration[], name: string): Registration => {
  const found = registrations.find((registration) => registration.name === name);
  if (found === undefined) throw new Error(`${name} is not registered`);
  return found;
};

/** Names of the resources whose inputs differ between two runs. */
async function changedBy(changes: Changes): Promise<readonly string[]> {
  const { registrations: before } = await registrationsOf(() => makeSite());
  const { registrations: after } = await registrationsOf(() => makeSite(changes));
  return before
    .filter(({ name, inputs }) => canonicalJson(inputs) !== canonicalJson(named(after, name).inputs))
    .map(({ name }) => name)
    .sort();
}

async function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => {
    output.apply(resolve);
  });
}

describe("acts", () => {
  it("are sent for the settings, the certificate, the environment, the plan, each colour and the traffic", async () => {
    const acts = await actsOf(makeSite);
    expect(acts.map(({ act }) => act).sort()).toEqual([
      "certify",
      "configure",
      "database",
      "environment",
      "maintenance",
      "plan",
      "release",
      "release",
      "status",
      "traffic",
    ]);
  });

  it.each([
    [
      "a release for each colour, with its own intent and nothing else",
      { act: "release", colour: "green", release: releases.green },
    ],
    ["the environment", { act: "environment", hash: ENVIRONMENT, variables: VARIABLES }],
    ["the settings of the site", { act: "configure", site }],
    [
      "the domains and where their certificate comes from",
      { act: "certify", domains: site.domains, tls: site.tls },
    ],
    ["the whole desired state as the plan", { act: "plan", releases, traffic }],
    ["the shares", { act: "traffic", stable: "blue", weight: 5 }],
  ])("hold %s", async (_, act) => {
    expect(await actsOf(makeSite)).toContainEqual(act);
  });

  it("close the door before the plan and leave it closed, or open it after the traffic", async () => {
    const maintenanceOf = async (closed: boolean) => {
      const { registrations } = await registrationsOf(() => makeSite({ closed }));
      return ["maintenance-before", "maintenance-after"].map((name) =>
        actIn(named(registrations, name).inputs),
      );
    };
    const [on, off] = [true, false].map((on) => ({ act: "maintenance", on }));
    expect(await maintenanceOf(true)).toEqual([on, on]);
    // Before the plan an open door is only looked at: a closed one has to stay closed until the traffic is as asked.
    expect(await maintenanceOf(false)).toEqual([{ act: "status" }, off]);
  });

  it("retire a colour without a version", async () => {
    const acts = await actsOf(() =>
      makeSite({ versions: { green: "" }, shares: { stable: "blue", weight: 0 } }),
    );
    expect(acts).toContainEqual({ act: "release", colour: "green", release: null });
    expect(acts).toContainEqual(
      expect.objectContaining({ act: "plan", releases: { ...releases, green: null } }),
    );
  });

  it("stand on standard input, while the command is always the same", async () => {
    const { registrations } = await registrationsOf(makeSite);
    const commands = registrations.filter(({ inputs }) => actIn(inputs) !== undefined);
    const withoutComment = commands.map(({ inputs }) => String(inputs.create).replace(/ # .*$/, ""));
    expect(new Set(withoutComment)).toEqual(new Set(["/usr/local/bin/vehicleservice-conductor act"]));
    for (const { inputs } of commands) {
      expect(inputs).toMatchObject({ logging: "stderr", addPreviousOutputInEnv: false });
      expect(Object.keys(inputs)).not.toEqual(expect.arrayContaining(["delete"]));
      expect(Object.keys(inputs)).not.toEqual(expect.arrayContaining(["environment"]));
    }
  });

  it("go through sudo for a user who is not root", async () => {
    const { registrations } = await registrationsOf(() => makeSite({ machine: { user: "deploy" } }));
    expect(named(registrations, "plan-act").inputs.create).toBe(
      "sudo -n /usr/local/bin/vehicleservice-conductor act",
    );
  });
});

describe("what an `up` touches", () => {
  it.each<[string, Changes, readonly string[]]>([
    ["nothing", {}, []],
    [
      "another weight: the plan and the traffic, no release",
      { shares: { stable: "blue", weight: 25 } },
      ["plan-act", "traffic-act"],
    ],
    [
      "a promotion: the plan and the traffic, no release",
      { shares: { stable: "green", weight: 0 } },
      ["plan-act", "traffic-act"],
    ],
    [
      "another version: the plan, that colour, and the traffic after it",
      { versions: { green: "v1.1.0" } },
      ["green-act", "plan-act", "traffic-act"],
    ],
    [
      "another variable: the environment, and all that is released with it",
      { variables: { LOG_LEVEL: "info" } },
      ["blue-act", "environment-act", "green-act", "plan-act", "traffic-act"],
    ],
    [
      "maintenance: the door, and nothing else",
      { closed: true },
      ["maintenance-after", "maintenance-before"],
    ],
    ["other settings of the site: the front door", { site: { drainSeconds: 5 } }, ["front-door-act"]],
    [
      "another domain: the front door and the certificate",
      { site: { domains: ["vehicleservice.test", "www.vehicleservice.test"] } },
      ["certificate-act", "front-door-act"],
    ],
  ])("%s", async (_, changes, names) => {
    expect(await changedBy(changes)).toEqual(names);
  });

  it.each<[string, Partial<ReachableMachine>]>([
    ["with another key", { hostKeyFingerprint: "SHA256:another" }],
    ["that is another instance behind the same address and key", { instanceId: "i-0123456789abcdef0" }],
  ])("is everything on another host, %s", async (_, machine) => {
    const names = [
      "blue-act",
      "certificate-act",
      "database-act",
      "environment-act",
      "front-door-act",
      "green-act",
      "maintenance-after",
      "maintenance-before",
      "plan-act",
      "traffic-act",
      "web-bootstrap",
      "web-drift",
      "web-software",
    ];
    expect(await changedBy({ machine })).toEqual(names);
  });

  it("is the bootstrap and what follows from the host software with another one, and no trigger", async () => {
    const other = join(directory, "other.tar");
    writeFileSync(other, "another archive");
    expect(await changedBy({ host: { software: other } })).toEqual([
      "blue-act",
      "database-act",
      "environment-act",
      "front-door-act",
      "green-act",
      "web-bootstrap",
      "web-software",
    ]);
    const { registrations } = await registrationsOf(() => makeSite({ host: { software: other } }));
    const { registrations: before } = await registrationsOf(() => makeSite());
    const triggers = (all: readonly Registration[]) => named(all, "web-bootstrap").inputs.triggers;
    expect(triggers(registrations)).toEqual(triggers(before));
  });

  it("is forgotten and left on the host by `destroy`", async () => {
    const { registrations } = await registrationsOf(makeSite);
    const custom = registrations.filter(({ type }) => type.startsWith("command:"));
    expect(custom).toHaveLength(12);
    expect(custom.map(({ retained }) => retained)).toEqual(custom.map(() => true));
  });
});

describe("what somebody changed on the host", () => {
  const changedWith = async (mends: Partial<Record<Part, number>>): Promise<readonly string[]> => {
    const { registrations: before } = await registrationsOf(() => makeSite());
    const { registrations: after } = await registrationsOf(() => makeSite(), { mends });
    const inputs = (all: readonly Registration[], name: string) => canonicalJson(named(all, name).inputs);
    return before.map(({ name }) => name).filter((name) => inputs(before, name) !== inputs(after, name));
  };

  it.each<[Part, string]>([
    ["frontDoor", "front-door-act"],
    ["environment", "environment-act"],
    ["database", "database-act"],
    ["blue", "blue-act"],
    ["green", "green-act"],
    ["software", "web-bootstrap"],
  ])("has what makes %s done again, and nothing else", async (part, name) => {
    expect(await changedWith({ [part]: 1 })).toEqual([name]);
  });

  it("changes no trigger, which would replace", async () => {
    const triggers = async (mends: Partial<Record<Part, number>>) =>
      (await registrationsOf(() => makeSite(), { mends })).registrations.map(({ inputs }) => inputs.triggers);
    expect(await triggers({ software: 1, frontDoor: 2, blue: 3, green: 4 })).toEqual(await triggers({}));
  });

  it("is what its conductor tells, with root's rights", async () => {
    const { registrations } = await registrationsOf(() => makeSite({ machine: { user: "deploy" } }));
    expect(named(registrations, "web-drift").inputs.command).toBe(
      "test -x /usr/local/bin/vehicleservice-conductor || exit 127; " +
        "sudo -n /usr/local/bin/vehicleservice-conductor act",
    );
  });
});

describe("order", () => {
  it.each<[string, readonly string[]]>([
    ["web-bootstrap", ["web-software"]],
    ["front-door-act", ["web-bootstrap"]],
    ["environment-act", ["web-bootstrap"]],
    ["maintenance-before", ["front-door-act"]],
    ["certificate-act", ["front-door-act"]],
    ["plan-act", ["certificate-act", "database-act", "environment-act", "maintenance-before"]],
    ["blue-act", ["plan-act"]],
    ["green-act", ["plan-act"]],
    ["traffic-act", ["blue-act", "green-act"]],
    ["maintenance-after", ["traffic-act"]],
  ])("%s waits for %j", async (name, others) => {
    const { registrations } = await registrationsOf(makeSite);
    expect(named(registrations, name).waitsFor).toEqual(expect.arrayContaining([...others]));
  });

  it.each([
    ["blue-act", "green-act"],
    ["green-act", "blue-act"],
  ])("%s does not wait for %s", async (name, other) => {
    const { registrations } = await registrationsOf(makeSite);
    expect(named(registrations, name).waitsFor).not.toContain(other);
  });

  it("is carried by values that a preview knows: answers change no input, and ids only of what follows a change of them", async () => {
    const answers = {
      configure: { configuration: "d00d" },
      environment: { hash: "fedcba9876543210" },
      certify: { source: "acme", domains: [], issuer: "another", notAfter: "2027-01-01T00:00:00.000Z" },
      plan: { steps: ["another step"] },
      release: {
        ...{ colour: "blue", version: "v9.9.9", commit: "ef56", directory: "/var/www/y" },
        ...{ environment: "fedcba9876543210", pending: true },
      },
    };
    const { registrations: before } = await registrationsOf(() => makeSite());
    const inputs = (all: readonly Registration[], name: string) => canonicalJson(named(all, name).inputs);
    const changedBy = async (circumstances: Circumstances): Promise<string[]> => {
      const { registrations: after } = await registrationsOf(() => makeSite(), circumstances);
      return before.map(({ name }) => name).filter((name) => inputs(after, name) !== inputs(before, name));
    };
    expect(await changedBy({ answers })).toEqual([]);
    expect((await changedBy({ answers, idEnd: "other" })).sort()).toEqual(AFTER_IDS);
  });
});

describe("structure", () => {
  it("names children after their components, and parents them", async () => {
    const { registrations } = await registrationsOf(makeSite);
    expect(registrations.map(({ type, name, parent }) => [type, name, parent]).sort()).toEqual([
      ["command:remote:Command", "blue-act", "blue"],
      ["command:remote:Command", "certificate-act", "certificate"],
      ["command:remote:Command", "database-act", "database"],
      ["command:remote:Command", "environment-act", "environment"],
      ["command:remote:Command", "front-door-act", "front-door"],
      ["command:remote:Command", "green-act", "green"],
      ["command:remote:Command", "maintenance-after", "maintenance"],
      ["command:remote:Command", "maintenance-before", "maintenance"],
      ["command:remote:Command", "plan-act", "plan"],
      ["command:remote:Command", "traffic-act", "traffic"],
      ["command:remote:Command", "web-bootstrap", "web"],
      ["command:remote:CopyToRemote", "web-software", "web"],
      ["pulumi-nodejs:dynamic/vehicleservice:HostDrift", "web-drift", "web"],
      ["random:index/randomPassword:RandomPassword", "environment-key", "environment"],
      ["vehicleservice:database:Database", "database", ""],
      ["vehicleservice:host:EnvironmentFile", "environment", ""],
      ["vehicleservice:host:Host", "web", ""],
      ["vehicleservice:site:Certificate", "certificate", ""],
      ["vehicleservice:site:FrontDoor", "front-door", ""],
      ["vehicleservice:site:Maintenance", "maintenance", ""],
      ["vehicleservice:site:Release", "blue", ""],
      ["vehicleservice:site:Release", "green", ""],
      ["vehicleservice:site:SitePlan", "plan", ""],
      ["vehicleservice:site:Traffic", "traffic", ""],
    ]);
  });

  it("previews without an answer, an id or a fault", async () => {
    const { registrations } = await registrationsOf(makeSite, { preview: true });
    expect(registrations).toHaveLength(24);
  });

  it("tells what the host confirmed", async () => {
    const { result } = await registrationsOf(makeSite);
    const { effectiveWeight, serving, stable } = result.traffic;
    expect(await valueOf(pulumi.all([effectiveWeight, serving, stable, result.frontDoor.url]))).toEqual([
      5,
      { blue: "v0.9.9", green: "v1.0.0" },
      "blue",
      "https://vehicleservice.test",
    ]);
  });
});

describe("secrets", () => {
  const withSecret = () =>
    makeSite({ site: { testers: { name: "x-vs-tester", secret: pulumi.secret(TESTER_SECRET) } } });

  it("make the acts that hold some secrets, and no other", async () => {
    const { registrations } = await registrationsOf(withSecret);
    const secret = registrations.filter(
      ({ inputs }) => actIn(inputs) !== undefined && isSecret(inputs.stdin),
    );
    expect(secret.map(({ name }) => name)).toEqual(["front-door-act", "environment-act"]);
    expect(plain(secret[0]!.inputs.stdin)).toContain(TESTER_SECRET);
  });

  it("are nowhere else", async () => {
    const { registrations, result } = await registrationsOf(withSecret);
    const open = registrations.map(({ inputs }) => Object.values(inputs).filter((input) => !isSecret(input)));
    expect(JSON.stringify(open)).not.toContain(TESTER_SECRET);
    expect(JSON.stringify(open)).not.toContain(JSON.stringify(hostSettings.privateKey).slice(1, -1));
    expect(await pulumi.isSecret(result.frontDoor.url)).toBe(false);
  });

  it("include the connection, whatever its key was given as", async () => {
    const { result } = await registrationsOf(() =>
      makeSite({ host: { privateKey: hostSettings.privateKey } }),
    );
    expect(await pulumi.isSecret(result.host.connection)).toBe(true);
  });

  it("pin the host's key in every connection", async () => {
    const { registrations } = await registrationsOf(makeSite);
    const connections = registrations.flatMap(({ inputs }) => plain(inputs.connection) ?? []);
    expect(connections).toHaveLength(13);
    for (const connection of connections)
      expect(connection).toMatchObject({ hostKey: hostSettings.machine.hostKey });
  });
});

it("says how to build the host software where it is missing", async () => {
  const missing = join(directory, "none.tar");
  await expect(registrationsOf(() => new Host("web", { ...hostArgs, software: missing }))).rejects.toThrow(
    /none\.tar \(ENOENT\).*npm run build/,
  );
});
