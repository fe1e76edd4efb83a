import { manifest } from "./support/answers";
import { ops } from "./support/surroundings";

const host = {
  backup: { result: { backup: manifest }, says: ["dumping postgres", "12.3 MB in the bucket"] },
};

it("asks for a backup, and waits as long as it takes", async () => {
  const { code, sent } = await ops(["backup"], { host });
  expect(code).toBe(0);
  expect(sent).toMatchObject([{ act: { act: "backup", reason: "asked", generation: 0 }, isPatient: true }]);
});

it("tells progress on standard error, and the backup on standard output", async () => {
  const { stdout, stderr } = await ops(["backup"], { host });
  expect(stderr).toBe(
    "vehicleservice on root@10.77.1.2:22: a backup is asked for\ndumping postgres\n12.3 MB in the bucket\n",
  );
  expect(stdout).toBe(`name      20260301/vehicleservice-20260301T090000Z
key       vehicleservice/20260301/vehicleservice-20260301T090000Z.dump
taken     2026-03-01T09:00:00Z, in 4.3 s
size      12.3 MB (12,345,678 bytes)
SHA-256   ${"5e".repeat(32)}
rows      35,767 in 2 tables
schema    20250807000000
database  postgres, Postgres 17.6
`);
});

it("prints one document with --json, and nothing of what it does not know", async () => {
  const result = { backup: { ...manifest, extra: 1 } };
  const { stdout } = await ops(["backup", "--json"], { host: { backup: { result } } });
  expect(JSON.parse(stdout)).toEqual({ backup: manifest });
});

it("fails where the host made none", async () => {
  const { code, stderr } = await ops(["backup"], { host: { backup: { result: { backup: null } } } });
  expect(code).toBe(1);
  expect(stderr).toContain("ops: the host made no backup");
});
