import type { SiteStatus } from "../../../host/conductor/protocol";
import { database, noDatabase, site } from "./support/answers";
import { ops, type End, type Given } from "./support/surroundings";

const statusOf = (given: Partial<SiteStatus> = {}, more: Given = {}): Promise<End> =>
  ops(["status"], {
    ...more,
    host: {
      status: { result: { ...site, ...given } },
      "database-status": { result: database },
      ...more.host,
    },
  });

it("fits on one screen", async () => {
  const { code, stdout, stderr } = await statusOf();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe(`vehicleservice on root@10.77.1.2:22

site           open
stable         blue
canary weight  5 % asked, 5 % in effect
aborted        no
under way      nothing

       VERSION  COMMIT        SHARE  HEALTH   USERS     ENVIRONMENT
blue   v0.9.9   ab12ab12ab12  95 %   healthy  admitted  current
green  v1.0.0   cd34cd34cd34  5 %    healthy  admitted  current

certificate     acme, 61 days left, vehicleservice.test
database        Postgres 17.6
schema          20250807000000, 1 pending (20250808000000), 1 waiting for an older release to go (20250809000000)
last backup     20260301/vehicleservice-20260301T090000Z, 3 h ago, 12.3 MB
last rehearsal  2 h ago: restored in 43 s (RTO), migrated in 1.3 s
`);
});

it("asks both questions at once, and neither for long", async () => {
  const { sent } = await statusOf();
  expect(sent.map(({ act }) => act)).toEqual([{ act: "status" }, { act: "database-status", details: false }]);
  expect(sent.map(({ isPatient }) => isPatient)).toEqual([false, false]);
});

it("prints one document with --json", async () => {
  const given: Given = {
    host: { status: { result: { ...site, extra: 1 } }, "database-status": { result: database } },
    colours: true,
  };
  const { stdout } = await ops(["status", "--json"], given);
  expect(JSON.parse(stdout)).toEqual({
    app: "vehicleservice",
    host: "root@10.77.1.2:22",
    site,
    database,
    fault: null,
  });
});

const abort = { colour: "green", reason: "errors \u001b[1m", at: "2026-03-01T11:00:00Z" } as const;
const { certificate } = site;

it.each<[string, Partial<SiteStatus>, string]>([
  [
    "an abort",
    { aborted: abort, effectiveWeight: 0 },
    "<red>green, since 2026-03-01T11:00:00Z: errors \\u{001b}[1m</>",
  ],
  ["a share that is not what was asked", { effectiveWeight: 0 }, "5 % asked, <yellow>0 % in effect</>"],
  ["maintenance", { closed: true, maintenance: true }, "<red>CLOSED: maintenance</>"],
  ["a change in place", { closed: true }, "<red>CLOSED: a change in place</>"],
  [
    "an abort that the disk did not take",
    { unrecorded: "ENOSPC: no space left" },
    "<red>a restart would undo what is in force: ENOSPC: no space left</>",
  ],
  ["an act under way", { underWay: "restore" }, "<yellow>restore</>"],
  [
    "a sick colour",
    { colours: { ...site.colours, green: { ...site.colours.green, healthy: false } } },
    "<red>NOT healthy</>",
  ],
  [
    "a candidate without users",
    { effectiveWeight: 0, colours: { ...site.colours, green: { ...site.colours.green, admitted: false } } },
    "testers only",
  ],
  [
    "an environment that waits",
    { colours: { ...site.colours, blue: { ...site.colours.blue, pendingEnvironment: "77" } } },
    "<yellow>old until its next release</>",
  ],
  [
    "a retired colour",
    { colours: { ...site.colours, green: { ...site.colours.green, version: null } } },
    "green  retired",
  ],
  [
    "a certificate near its end",
    { certificate: { ...certificate!, notAfter: "2026-03-11T11:00:00Z" } },
    "<red>9 days left</>",
  ],
  [
    "a certificate that ended",
    { certificate: { ...certificate!, notAfter: "2026-02-28T11:00:00Z" } },
    "<red>ENDED on 2026-02-28T11:00:00Z</>",
  ],
  [
    "a certificate that cannot be had",
    {
      certificate: {
        ...certificate!,
        lastFailure: { at: "2026-03-01T11:00:00Z", reason: "no route", tries: 3 },
      },
    },
    "<red>tries: 3 failed, last 60 min ago: no route</>",
  ],
  ["a site without settings", { certificate: null }, "the site has no settings yet"],
])("points out %s", async (_, given, words) => {
  const { code, stdout } = await statusOf(given, { colours: true });
  expect(code).toBe(0);
  expect(stdout).toContain(words);
});

it.each([
  ["no database", noDatabase, "database     none: databaseUrl is not set"],
  ["a database that does not answer", { ...database, unreachable: "timeout" }, "does not answer: timeout"],
  ["no backup", { ...database, backup: null }, "none was made by this host"],
  ["no rehearsal", { ...database, rehearsal: null }, "last rehearsal  none"],
  ["an up-to-date schema", { ...database, pending: [], waiting: [] }, "20250807000000, nothing pending"],
  ["an empty schema", { ...database, schemaVersion: null }, "empty, 1 pending"],
])("shows %s", async (_, result, words) => {
  const { code, stdout } = await statusOf({}, { host: { "database-status": { result } } });
  expect(code).toBe(0);
  expect(stdout).toContain(words);
});

describe("a host whose software knows nothing of databases", () => {
  const host = { "database-status": { exitCode: 4, says: ["the act breaks 1 rule(s)"] } };

  it("shows the site, tells the way out, and exits with 3", async () => {
    const { code, stdout, stderr } = await statusOf({}, { host });
    expect(code).toBe(3);
    expect(stdout).toContain("5 % in effect");
    expect(stdout).toContain("unknown, see below");
    expect(stderr).toMatch(/^ops: the act breaks 1 rule\(s\)\n.*`pulumi up`/);
  });

  it("is one document with --json", async () => {
    const given = { host: { status: { result: site }, ...host } };
    const { code, stdout } = await ops(["status", "--json"], given);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ site, database: null, fault: expect.stringContaining("up") });
  });
});
