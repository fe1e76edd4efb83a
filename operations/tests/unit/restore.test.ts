import { done, manifest, plan } from "./support/answers";
import { ops, type Given } from "./support/surroundings";

const line = ["restore", "--backup", "latest"];
const host: NonNullable<Given["host"]> = {
  restore: ({ confirmed }) =>
    confirmed === true ? { result: done, says: ["the site is closed", "swapped"] } : { result: plan },
};
const FIRST = { act: "restore", backup: "latest", confirmed: false };
const THEN = { act: "restore", backup: manifest.name, confirmed: true };

const actsOf = ({ sent }: Awaited<ReturnType<typeof ops>>) => sent.map(({ act }) => act);

describe("before anything is changed", () => {
  it("shows what would be lost", async () => {
    const { stderr } = await ops(line, { host });
    expect(stderr).toContain(`vehicleservice on root@10.77.1.2:22: what would be lost?
backup 20260301/vehicleservice-20260301T090000Z: taken 2026-03-01T09:00:00Z, 12.3 MB, schema 20250807000000
All that was written since its snapshot is lost: the last 3 h.
TABLE                       ROWS NOW  ROWS THEN  AFTERWARDS
public.wallet_transactions  34,600    34,567     33 fewer
`);
  });

  it("says so where no number of rows differs", async () => {
    const same = { restore: { result: { ...plan, loss: { minutes: 1, tables: {} } } } };
    expect((await ops(line, { host: same })).stderr).toMatch(
      /the last 60 s\.\nNo table has another number of rows/,
    );
  });

  it.each<[string, string[], string | undefined]>([
    ["nobody is there", [], undefined],
    ["nobody is there, and only --yes is given", ["--yes"], undefined],
    ["nobody is there, and only --i-accept-data-loss is given", ["--i-accept-data-loss"], undefined],
    ["nothing is typed", [], ""],
    ["another word is typed", [], "yes"],
    ["the name is typed with another case", [], "Postgres"],
    ["only --yes is given, and another word typed", ["--yes"], "y"],
  ])("is refused where %s", async (_, flags, types) => {
    const end = await ops([...line, ...flags], { host, ...(types === undefined ? {} : { types }) });
    expect(end.code).toBe(3);
    expect(actsOf(end)).toEqual([FIRST]);
    expect(end.stdout).toBe("");
    expect(end.stderr).toMatch(/\nops: nothing was restored, and nothing was changed: /);
  });

  it("is not confirmed by an empty word for a database without a name", async () => {
    const nameless = { restore: { result: { ...plan, backup: { ...manifest, database: "" } } } };
    expect((await ops(line, { host: nameless, types: "" })).code).toBe(3);
  });

  it("is a document, where documents are asked for", async () => {
    const { code, stdout } = await ops([...line, "--json"], { host });
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toEqual({ confirmed: false, ...plan, next: [] });
  });

  it("asks nobody, and changes nothing, where the backup is not there", async () => {
    const missing = { restore: { exitCode: 3, says: ["restore: there is no backup of that name"] } };
    const end = await ops(["restore", "--backup", "20200101/x", "--yes", "--i-accept-data-loss"], {
      host: missing,
    });
    expect(end.code).toBe(3);
    expect(actsOf(end)).toEqual([{ ...FIRST, backup: "20200101/x" }]);
  });
});

describe("a restore", () => {
  it.each<[string, string[], string | undefined]>([
    ["the database's name is typed", [], "postgres"],
    ["the word restore is typed", [], " restore "],
    ["both flags are given", ["--yes", "--i-accept-data-loss"], undefined],
  ])("is done where %s: of the very backup that was shown", async (_, flags, types) => {
    const end = await ops([...line, ...flags], { host, ...(types === undefined ? {} : { types }) });
    expect(end.code).toBe(0);
    expect(actsOf(end)).toEqual([FIRST, THEN]);
    expect(end.sent[1]?.isPatient).toBe(true);
    expect(end.stderr).toContain("the site is closed\nswapped\n");
  });

  it("asks for the database's name", async () => {
    const { stderr } = await ops(line, { host, types: "postgres" });
    expect(stderr).toContain(
      "Type postgres (or restore) to put 20260301/vehicleservice-20260301T090000Z in its place:\n",
    );
  });

  it("says what was done, and what is to be done next", async () => {
    const { stdout } = await ops(line, { host, types: "postgres" });
    expect(stdout).toBe(`restored         20260301/vehicleservice-20260301T090000Z
how              another database took the name
site closed for  31 s
what was there   backup 20260301/vehicleservice-20260301T120000Z

Next:
  1. set database.epoch to another number: pulumi config set --path database.epoch <number>
  2. pulumi up: applies the migrations that came after the backup, and checks
`);
  });

  it("is a document, where documents are asked for", async () => {
    const { stdout } = await ops([...line, "--yes", "--i-accept-data-loss", "--json"], { host });
    expect(JSON.parse(stdout)).toEqual({
      confirmed: true,
      ...done,
      next: [expect.stringContaining("database.epoch"), expect.stringContaining("pulumi up")],
    });
  });

  it("that failed on the host is told once, with the host's own words", async () => {
    const failing: Given["host"] = {
      restore: ({ confirmed }) =>
        confirmed === true
          ? { exitCode: 1, says: ["restore: rows differ; the database that was there serves"] }
          : { result: plan },
    };
    const { code, stderr, stdout } = await ops(line, { host: failing, types: "restore" });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.split("rows differ")).toHaveLength(2);
    expect(stderr).toContain("ops: restore on root@10.77.1.2:22: exit code 1, see above\n");
  });

  it("that the host says was none is a failure", async () => {
    const { code } = await ops(line, { host: { restore: { result: plan } }, types: "restore" });
    expect(code).toBe(1);
  });
});
