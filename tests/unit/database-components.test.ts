import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Certificate } from "../../components/certificate";
import { Database, type DatabaseSpec } from "../../components/database";
import { EnvironmentFile } from "../../components/environment-file";
import { FrontDoor } from "../../components/front-door";
import { Host } from "../../components/host";
import { canonicalJson } from "../../components/host-act";
import { Maintenance } from "../../components/maintenance";
import { Release } from "../../components/release";
import { SitePlan } from "../../components/site-plan";
import { Traffic } from "../../components/traffic";
import { validate } from "../../config";
import type { DatabaseSettings, MigrationFile } from "../../host/database/protocol";
import { machineWith, rawConfig, settings } from "./support/configuration";
import { existingHost } from "./support/existing-host";
import {
  AFTER_IDS,
  actIn,
  type Circumstances,
  isSecret,
  type Registration,
  registrationsOf,
} from "./support/registrations";

const directory = mkdtempSync(join(tmpdir(), "database-"));
const software = join(directory, "host.tar");
const otherSoftware = join(directory, "other.tar");
writeFileSync(software, "an archive");
writeFileSync(otherSoftware, "another archive");
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const PASSWORD = "the-password-of-the-database";
const loaded = validate(rawConfig(settings()), machineWith());
const { site, releases } = loaded;
const databaseSettings: DatabaseSettings = {
  url: `postgres://postgres:${PASSWORD}@db.example.com/postgres`,
  schemas: [],
  limits: { lockTimeoutMs: 2000, lockWaitSeconds: 60, statementTimeoutSeconds: 300 },
  bucket: { name: "b", region: "r", endpoint: null, prefix: "", credentials: null, authority: null },
  rehearsal: { url: null },
  rowTolerancePercent: 0,
};

const file = (version: string, sql = `select ${version};`, contract = false): MigrationFile => ({
  version,
  name: "a",
  sha256: createHash("sha256").update(sql).digest("hex"),
  sql,
  contract,
});
const FILES = [file("001"), file("002"), file("003")];
const DATABASE: DatabaseSpec = {
  settings: pulumi.secret(databaseSettings),
  identity: "0123456789ab",
  migrations: FILES,
  holdsSecrets: false,
  checks: [{ name: "01_rows", sql: "select 1 where false" }],
  accept: [],
  baseline: null,
  epoch: 0,
  backupGeneration: 0,
  ranges: { blue: { first: "001", last: null }, green: { first: "003", last: null } },
};

interface Changes {
  readonly database?: Partial<DatabaseSpec> | null;
  readonly variables?: Readonly<Record<string, string>>;
  readonly weight?: number;
  readonly closed?: boolean;
  readonly version?: string;
  readonly software?: string;
}

function makeSite({
  database: spec = {},
  variables = {},
  weight = 5,
  closed: on = false,
  version = "v1.0.0",
  software: archive = software,
}: Changes = {}) {
  const host = new Host("web", { ...existingHost(loaded), software: archive });
  const frontDoor = new FrontDoor("front-door", { host, site });
  const certificate = new Certificate("certificate", { host, frontDoor, site });
  const environment = new EnvironmentFile("environment", { host, variables });
  const maintenance = new Maintenance("maintenance", { host, frontDoor, on });
  const database = new Database("database", {
    ...{ host, environment, maintenance },
    database: spec === null ? null : { ...DATABASE, ...spec },
  });
  const wanted = { blue: releases.blue, green: { ...releases.green!, version } };
  const traffic = { stable: "blue", weight } as const;
  const args = { host, certificate, maintenance, database, environment };
  const plan = new SitePlan("plan", { ...args, releases: wanted, traffic });
  const blue = new Release("blue", { host, plan, environment, colour: "blue", release: wanted.blue });
  const green = new Release("green", { host, plan, environment, colour: "green", release: wanted.green });
  maintenance.endAfter(new Traffic("traffic", { host, blue, green, ...traffic }));
  return database;
}

const named = (registrations: readonly Registration[], name: string): Registration => {
  const found = registrations.find((registration) => registration.name === name);
  if (found === undefined) throw new Error(`${name} is not registered`);
  return found;
};
const run = async (changes: Changes = {}, circumstances: Circumstances = {}) =>
  (await registrationsOf(() => makeSite(changes), circumstances)).registrations;
const inputsOf = (all: readonly Registration[], name: string) => canonicalJson(named(all, name).inputs);

/** Names of the resources that are new, and of those whose inputs differ, between two runs. */
async function changedBy(changes: Changes, circumstances: Circumstances = {}, from: Changes = {}) {
  const before = await run(from);
  const after = await run(changes, circumstances);
  const isNew = ({ name }: Registration) => !before.some((one) => one.name === name);
  return after
    .filter((one) => isNew(one) || inputsOf(before, one.name) !== inputsOf(after, one.name))
    .map((one) => `${isNew(one) ? "+" : ""}${one.name}`)
    .sort();
}

const CHAIN = [
  ...["database-act", "database-plan-act", "database-backup-act", "database-rehearsal-act"],
  ...["migration-001", "migration-002", "migration-003", "database-checks-act", "plan-act"],
];

describe("a database", () => {
  it("is found, planned, backed up, rehearsed on, migrated file by file, and checked, before the site's plan", async () => {
    const registrations = await run();
    const names = registrations.map(({ name }) => name);
    expect(names.filter((name) => CHAIN.includes(name))).toEqual(CHAIN);
    for (const [index, name] of CHAIN.slice(1).entries()) {
      expect(named(registrations, name).waitsFor).toContain(CHAIN[index]);
    }
    const first = named(registrations, "database-plan-act").waitsFor;
    expect(first).toEqual(expect.arrayContaining(["environment-act", "maintenance-before"]));
  });

  it("is sent as acts, each with its own words and nothing else", async () => {
    const registrations = await run();
    const acts = CHAIN.map((name) => actIn(named(registrations, name).inputs));
    expect(acts.slice(0, 8)).toEqual([
      { act: "database", database: databaseSettings },
      {
        ...{ act: "migrations", epoch: 0, baseline: null, accept: [] },
        ...{ files: FILES, checks: DATABASE.checks },
      },
      { act: "backup", reason: "migrations", generation: 0 },
      { act: "rehearse" },
      { act: "migrate", epoch: 0, version: "001", name: "a", sha256: FILES[0]!.sha256, after: null },
      { act: "migrate", epoch: 0, version: "002", name: "a", sha256: FILES[1]!.sha256, after: "001" },
      { act: "migrate", epoch: 0, version: "003", name: "a", sha256: FILES[2]!.sha256, after: "002" },
      { act: "check", epoch: 0, content: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    expect(acts[8]).toMatchObject({ act: "plan", schema: DATABASE.ranges });
  });

  it("that is not there is forgotten by the host, and leaves nothing else of all this", async () => {
    const registrations = await run({ database: null });
    const about = registrations.filter(({ name }) => /database|migration-/.test(name));
    expect(about.map(({ name }) => name)).toEqual(["database", "database-act"]);
    expect(actIn(about[1]!.inputs)).toEqual({ act: "database", database: null });
    expect(actIn(named(registrations, "plan-act").inputs)).not.toHaveProperty("schema");
    expect(named(registrations, "plan-act").waitsFor).toContain("database-act");
  });

  it("has a backup of its own where one is asked for, before the one that the rehearsal restores", async () => {
    const registrations = await run({ database: { backupGeneration: 2 } });
    const asked = named(registrations, "database-backup-asked");
    expect(actIn(asked.inputs)).toEqual({ act: "backup", reason: "asked", generation: 2 });
    expect(named(registrations, "database-backup-act").waitsFor).toContain("database-backup-asked");
  });

  it("is left as it is by `destroy`", async () => {
    const commands = (await run()).filter(({ name }) => CHAIN.includes(name));
    expect(commands.map(({ retained }) => retained)).toEqual(CHAIN.map(() => true));
  });
});

/** What is done again for other files. */
const files = ["database-backup-act", "database-checks-act", "database-plan-act", "database-rehearsal-act"];

describe("what an `up` touches", () => {
  it.each<[string, Changes, readonly string[]]>([
    ["nothing", {}, []],
    ["another weight: no part of the database", { weight: 25 }, ["plan-act", "traffic-act"]],
    ["maintenance: no part of the database", { closed: true }, ["maintenance-after", "maintenance-before"]],
    [
      "another variable: no part of the database",
      { variables: { A: "1" } },
      ["blue-act", "environment-act", "green-act", "plan-act", "traffic-act"],
    ],
    [
      "another version: no part of the database",
      { version: "v1.1.0" },
      ["green-act", "plan-act", "traffic-act"],
    ],
    [
      "a new file: itself, and what stands before it",
      { database: { migrations: [...FILES, file("004")] } },
      ["+migration-004", ...files],
    ],
    [
      "an edited file: itself, and what stands before it",
      { database: { migrations: [FILES[0]!, file("002", "select 22"), FILES[2]!] } },
      [...files, "migration-002"],
    ],
    [
      "a file put in between: itself, its successor, and what stands before it",
      { database: { migrations: [FILES[0]!, file("0015"), FILES[1]!, FILES[2]!] } },
      ["+migration-0015", ...files, "migration-002"],
    ],
    [
      "another check: the plan, which sends it, and the checks",
      { database: { checks: [{ name: "01_rows", sql: "select 2" }] } },
      ["database-checks-act", "database-plan-act"],
    ],
    [
      "an acceptance: the plan",
      { database: { accept: [{ version: "002", sha256: null, reason: "it is meant" }] } },
      ["database-plan-act"],
    ],
    [
      "other limits: the settings",
      { database: { settings: pulumi.secret({ ...databaseSettings, rowTolerancePercent: 1 }) } },
      ["database-act"],
    ],
    ["a backup that is asked for: that", { database: { backupGeneration: 1 } }, ["+database-backup-asked"]],
    [
      "another epoch: all of the database",
      { database: { epoch: 1 } },
      [...files, "migration-001", "migration-002", "migration-003"],
    ],
    [
      "another database: all of the database",
      { database: { identity: "ba9876543210" } },
      [...files, "migration-001", "migration-002", "migration-003"],
    ],
    [
      "another range of a release: the site's plan",
      { database: { ranges: { ...DATABASE.ranges, blue: { first: "002", last: null } } } },
      ["plan-act"],
    ],
    [
      "another host software: what compares and checks, and no file",
      { software: otherSoftware },
      [
        ...["blue-act", "database-act", "database-checks-act", "database-plan-act", "environment-act"],
        ...["front-door-act", "green-act", "web-bootstrap", "web-software"],
      ],
    ],
  ])("%s", async (_, changes, names) => {
    expect(await changedBy(changes)).toEqual([...names].sort());
  });

  it("a second time with an asked backup is another one for another number", async () => {
    const from = { database: { backupGeneration: 1 } };
    expect(await changedBy({ database: { backupGeneration: 2 } }, {}, from)).toEqual([
      "database-backup-asked",
    ]);
  });

  it("changes no trigger of what stands after it, which would replace it", async () => {
    const triggers = async (changes: Changes) => {
      const registrations = await run(changes);
      return ["plan-act", "migration-003", "database-checks-act"].map(
        (name) => named(registrations, name).inputs.triggers,
      );
    };
    const before = await triggers({});
    expect(await triggers({ database: { epoch: 1, migrations: [file("0001"), ...FILES] } })).toEqual(before);
  });
});

describe("what is due later", () => {
  const waiting = { database: { migrations: [FILES[0]!, file("002", "drop table a", true), FILES[2]!] } };
  const due: Circumstances = { mends: { database: 1 } };

  it("has the file that waited, and those after it, sent again, and what they stand on", async () => {
    expect(await changedBy(waiting, due, waiting)).toEqual([
      ...["database-act", "database-backup-act", "database-checks-act", "database-plan-act"],
      ...["database-rehearsal-act", "migration-002", "migration-003"],
    ]);
  });

  it("has no file sent again where none can wait", async () => {
    expect((await changedBy({}, due)).filter((name) => name.startsWith("migration-"))).toEqual([]);
  });
});

describe("a preview", () => {
  it("of a first run shows everything, without a fault", async () => {
    const registrations = await run({ database: { backupGeneration: 1 } }, { preview: true });
    const names = registrations.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...CHAIN, "database-backup-asked", "traffic-act"]));
  });

  it("with a new file shows that, and no release as changed", async () => {
    const changes = { database: { migrations: [...FILES, file("004")] } };
    const preview = { isNew: (name: string) => name === "migration-004" };
    expect(await changedBy(changes, { preview })).toEqual(["+migration-004", ...files]);
    // What waits for the new file: a trigger that is not known would replace it, and then all behind it.
    const { triggers } = named(await run(), "database-checks-act").inputs;
    expect(named(await run(changes, { preview }), "database-checks-act").inputs.triggers).toEqual(triggers);
  });

  it("knows no answers, and changes by none of them; nor does anything of the database by an id", async () => {
    const answers = {
      database: { server: "17.6" },
      migrations: { schemaVersion: "002", pending: [], waiting: [] },
      backup: { backup: null },
      rehearse: { rehearsal: null },
      migrate: { version: "001", outcome: "was applied" },
      check: { schemaVersion: "003", passed: [] },
    };
    expect(await changedBy({}, { answers })).toEqual([]);
    expect(await changedBy({}, { answers, idEnd: "other" })).toEqual(AFTER_IDS);
  });
});

describe("what the database tells", () => {
  const outputsOf = async (changes: Changes, answers: Circumstances["answers"] = {}) => {
    const { result } = await registrationsOf(() => makeSite(changes), { answers });
    const { schemaVersion, measuredRestoreSeconds, lastBackup } = result;
    return new Promise((resolve) => {
      pulumi.all([schemaVersion, measuredRestoreSeconds, lastBackup]).apply(resolve);
    });
  };

  it("is the schema's version, the measured time of a restore, and the last backup's name", async () => {
    const backup = { name: "20260102/shop-20260102T000000Z", takenAt: "2026-01-02T00:00:00.000Z", rows: {} };
    const answers = {
      backup: { backup },
      rehearse: { rehearsal: { key: "k", restoreSeconds: 3.5, migrateSeconds: 1 } },
      check: { schemaVersion: "003", passed: [] },
    };
    expect(await outputsOf({}, answers)).toEqual(["003", 3.5, "20260102/shop-20260102T000000Z"]);
  });

  it("is nothing where nothing was pending", async () => {
    const answers = {
      backup: { backup: null },
      rehearse: { rehearsal: null },
      check: { schemaVersion: null, passed: [] },
    };
    expect(await outputsOf({}, answers)).toEqual([null, null, null]);
  });

  it("is nothing without a database", async () => {
    expect(await outputsOf({ database: null })).toEqual([null, null, null]);
  });
});

describe("secrets", () => {
  it("are the settings, wherever they stand", async () => {
    const registrations = await run();
    const open = registrations.map(({ inputs }) => Object.values(inputs).filter((input) => !isSecret(input)));
    expect(JSON.stringify(open)).not.toContain(PASSWORD);
    expect(isSecret(named(registrations, "database-act").inputs.stdin)).toBe(true);
  });

  it.each([
    ["are no migrations", false],
    ["are migrations that say so", true],
  ])("%s", async (_, holdsSecrets) => {
    const registrations = await run({ database: { holdsSecrets } });
    expect(isSecret(named(registrations, "database-plan-act").inputs.stdin)).toBe(holdsSecrets);
  });
});
