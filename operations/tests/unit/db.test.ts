import { closeUp, database, noDatabase } from "./support/answers";
import { ops } from "./support/surroundings";

const db = (result: unknown, ...flags: string[]) =>
  ops(["db", ...flags], { host: { "database-status": { result } }, colours: true });

it("shows what is slow, what is stuck, and what can be restored", async () => {
  const { code, stdout, sent } = await db(closeUp);
  expect(code).toBe(0);
  expect(sent).toMatchObject([{ act: { act: "database-status", details: true } }]);
  expect(stdout).toBe(`<bold>database of vehicleservice on root@10.77.1.2:22</>
server            Postgres 17.6
size              512 MB
connections       <red>55 of 60, MANY</>
long queries      <yellow>1</>
blocked sessions  <yellow>1</>
backups           2

PID   RUNS FOR  QUERY
4711  6 min     select * from wallet_transactions

PID   WAITS FOR  HELD UP BY PID
4712  12 s       4711, 4710

BACKUP                                    TAKEN    SIZE     ROWS         SCHEMA          REASON
20260301/vehicleservice-20260301T090000Z  3 h ago  12.3 MB  35,767 rows  20250807000000  daily
20260228/vehicleservice-20260228T090000Z  3 h ago  12.3 MB  35,767 rows  20250807000000  asked
`);
});

it("shows little on a quiet day", async () => {
  const quiet = {
    sizeBytes: 999,
    connections: { used: 5, limit: 60 },
    longQueries: [],
    blocked: [],
    backups: [],
    damagedBackups: [],
    bucketUnreachable: null,
  };
  const { stdout } = await db({ ...database, details: quiet });
  expect(stdout).toContain("connections       5 of 60\nlong queries      none\n");
  expect(stdout).not.toMatch(/PID|BACKUP/);
});

it("tells why there are no backups to be seen", async () => {
  const { stdout } = await db({
    ...closeUp,
    details: { ...closeUp.details!, backups: [], bucketUnreachable: "access denied" },
  });
  expect(stdout).toMatch(/backups +<red>the bucket does not answer: access denied/);
});

it("tells which backups cannot be restored", async () => {
  const damagedBackups = ["20260227/vehicleservice-20260227T090000Z"];
  const { stdout } = await db({ ...closeUp, details: { ...closeUp.details!, damagedBackups } });
  expect(stdout).toMatch(/backups +2, <red>DAMAGED: 20260227\/vehicleservice-20260227T090000Z<\/>/);
});

it("cuts a long query, and shows no character that a terminal would act on", async () => {
  const longQueries = [{ pid: 1, seconds: 400, query: `select '\u001b]0;x'${" or true".repeat(50)}` }];
  const { stdout } = await db({ ...closeUp, details: { ...closeUp.details, longQueries } });
  expect(stdout).toMatch(/select '\\u\{001b\}\]0;x' or true.{50,80}\.\.\.\n/);
});

it("prints one document with --json", async () => {
  const { stdout } = await db(closeUp, "--json");
  expect(JSON.parse(stdout)).toEqual({
    app: "vehicleservice",
    host: "root@10.77.1.2:22",
    database: closeUp,
  });
});

it("says so where there is no database", async () => {
  const { code, stdout } = await db(noDatabase);
  expect(code).toBe(0);
  expect(stdout).toContain("this stack has no database: databaseUrl is not set");
});

it("fails where the database does not answer", async () => {
  const { code, stderr, stdout } = await db({ ...database, unreachable: "connection refused" }, "--json");
  expect(code).toBe(1);
  expect(stderr).toBe("ops: the database does not answer: connection refused\n");
  expect(JSON.parse(stdout)).toMatchObject({ database: { unreachable: "connection refused" } });
});
