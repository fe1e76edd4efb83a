import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { partBytesFor } from "../../../host/database/backups/bucket";
import { LIBPQ_KEEPALIVE } from "../../../host/database/connection";
import { dumpArguments, Meter } from "../../../host/database/backups/dump";
import { withoutCommit, withoutUnknownSettings } from "../../../host/database/backups/in-place";
import { isHarmless, loadArguments } from "../../../host/database/backups/load";
import { clientPrograms, majorOf, serverPrograms } from "../../../host/database/backups/programs";
import { roleStatements } from "../../../host/database/backups/scratch-database";
import { derivedName } from "../../../host/database/backups/swap";

const programs = (major: number): { major: number; directory: string } => ({ major, directory: "/p" });
const order = { snapshot: "1-2-3", schemas: [], extensions: ["a"], lockWaitMs: 2000 };

describe("pg_dump", () => {
  test("is given the snapshot, and of the connection what is no secret", () => {
    expect(dumpArguments({ ...order, programs: programs(15) })).toEqual([
      "/p/pg_dump",
      ...["--format=custom", "--compress=1", "--no-password", `--dbname=${LIBPQ_KEEPALIVE}`],
      ...["--snapshot=1-2-3", "--lock-wait-timeout=2000"],
    ]);
    expect(dumpArguments({ ...order, programs: programs(16) })).toContain("--compress=zstd:3");
  });

  test("takes a schema's name as it is, and extensions with the schemas", () => {
    const some = dumpArguments({ ...order, programs: programs(17), schemas: ["*", 'a"b'] });
    expect(some.slice(-3)).toEqual(['--schema="*"', '--schema="a""b"', '--extension="a"']);
  });
});

describe("programs", () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "programs-"));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  const install = (major: string, ...names: string[]): void => {
    mkdirSync(join(root, major, "bin"), { recursive: true });
    for (const name of names) writeFileSync(join(root, major, "bin", name), "");
  };
  const client = ["pg_dump", "pg_restore", "psql"];

  test("are the server's version's, or else the newest", async () => {
    install("9", ...client);
    install("15", ...client);
    install("17", ...client);
    install("18", "pg_dump");
    install("old", ...client);
    expect((await clientPrograms(root, 15)).major).toBe(15);
    expect((await clientPrograms(root, 16)).major).toBe(17);
  });

  test("that are older than the server, or missing, are refused with the way out", async () => {
    await expect(clientPrograms(root, 15)).rejects.toThrow(/is not installed: install postgresql-client-15/);
    install("15", ...client);
    await expect(clientPrograms(root, 17)).rejects.toThrow(
      /version 15, older than the server: install postgresql-client-17/,
    );
    await expect(serverPrograms(root, 15)).rejects.toThrow(
      /is not installed: install postgresql-15, or set rehearsalUrl/,
    );
  });

  test.each([
    ["17.6 (Debian 17.6-1)", 17],
    ["9.6", 9],
    ["18beta1", 18],
  ])("of version %s have the major version %i", (text, major) => expect(majorOf(text)).toBe(major));
});

test("an upload's parts are as many as S3 takes, and small where they can be", () => {
  expect(partBytesFor(0)).toBe(8 * 1024 * 1024);
  for (const bytes of [1e9, 1e11, 5e12]) expect(bytes / partBytesFor(bytes)).toBeLessThanOrEqual(10_000);
});

test("the meter's sums are those of the whole, and of the parts as S3 makes them", () => {
  const md5 = (data: Buffer): Buffer => createHash("md5").update(data).digest();
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))),
      fc.integer({ min: 1, max: 64 }),
      (chunks, part) => {
        const meter = new Meter(part);
        for (const chunk of chunks) meter.add(chunk);
        const whole = Buffer.concat(chunks);
        const parts = Array.from({ length: Math.ceil(whole.length / part) }, (_, i) =>
          md5(whole.subarray(i * part, (i + 1) * part)),
        );
        expect(meter.finish()).toEqual({
          bytes: whole.length,
          sha256: createHash("sha256").update(whole).digest("hex"),
          etag:
            parts.length <= 1
              ? md5(whole).toString("hex")
              : `${md5(Buffer.concat(parts)).toString("hex")}-${String(parts.length)}`,
        });
      },
    ),
  );
});

describe("pg_restore", () => {
  test("is given the database's name as a name, whatever is in it", () => {
    const args = loadArguments("/f", "a'b\\c=d", { programs: programs(15), withoutOwners: true });
    expect(args).toContain(`--dbname=dbname='a\\'b\\\\c=d' ${LIBPQ_KEEPALIVE}`);
    expect(args).toEqual(expect.arrayContaining(["--no-owner", "--no-privileges"]));
  });

  const harmless =
    'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"';
  test.each([
    ["ended with exit code 1", [harmless], true],
    ["ended with exit code 1", [harmless, "pg_restore: error: could not execute query"], false],
    ["ended with exit code 1", [], false],
    ["was ended by SIGKILL", [harmless], false],
  ])("that %s with %j lost nothing: %p", (how, errors, expected) => {
    expect(isHarmless(how, errors)).toBe(expected);
  });

  test("'s script loses what an older server does not know, and nothing else", () => {
    const script = "--\nSET lock_timeout = 0;\nSET transaction_timeout = 0;\nSET x = 1;\n";
    expect(withoutUnknownSettings(Buffer.from(script)).toString()).toBe(
      "--\nSET lock_timeout = 0;\nSET x = 1;\n",
    );
    const late = Buffer.from(`${"x\n".repeat(4096)}SET transaction_timeout = 0;\n\xff`, "latin1");
    expect(withoutUnknownSettings(late)).toEqual(late);
  });

  test("'s script loses its last word, and only where it is the last", () => {
    const end = "\n\nCOMMIT;\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";
    expect(withoutCommit(Buffer.from(`row\n\nCOMMIT;\nrow\xff${end}`, "latin1")).toString("latin1")).toBe(
      `row\n\nCOMMIT;\nrow\xff${end.replace("COMMIT;", "")}`,
    );
    for (const text of ["", "COMMIT", "\nCOMMIT;\nselect 1;\n", "\n-- COMMIT;\n"]) {
      expect(() => withoutCommit(Buffer.from(text))).toThrow(/whose end is unknown/);
    }
  });
});

test("a name that is derived fits into 63 bytes, and tells what it was made of", () => {
  expect(derivedName("shop", "before_x")).toBe("shop_before_x");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 80 }), (name) => {
      const derived = derivedName(name, "restore_20260101t000000z");
      expect(Buffer.byteLength(derived)).toBeLessThanOrEqual(63);
      expect(derived.endsWith("_restore_20260101t000000z")).toBe(true);
      expect(name.startsWith(derived.slice(0, -"_restore_20260101t000000z".length))).toBe(true);
    }),
  );
});

test("roles of a rehearsal may log in only where the migrations run as one", () => {
  const role = {
    superuser: false,
    inherit: true,
    createRole: false,
    createDatabase: true,
    bypassRowSecurity: true,
  };
  const roles = [
    { ...role, name: "deployer", memberOf: ['odd "one"'] },
    { ...role, name: 'odd "one"', memberOf: [] },
  ];
  expect(roleStatements(roles, "deployer")).toEqual([
    'create role "deployer" login nosuperuser inherit nocreaterole createdb bypassrls',
    'create role "odd ""one""" nologin nosuperuser inherit nocreaterole createdb bypassrls',
    'grant "odd ""one""" to "deployer"',
  ]);
});
