/**
 * Is a backup to S3 as quick as `pg_dump -Fc` to a local file, is its memory flat, and does a rehearsal take no longer than
 * getting the dump and `pg_restore` by hand? Databases of bytes that do not compress and of text, all in one run.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { WORKER_ENVIRONMENT } from "../host/conductor/database/worker-process";
import { backup } from "../host/database/backups/backup";
import { Bucket } from "../host/database/backups/bucket";
import {
  BARE_ENVIRONMENT,
  PROGRAMS_ROOT,
  serverPrograms,
  type Programs,
} from "../host/database/backups/programs";
import { rehearse } from "../host/database/backups/rehearse";
import { ScratchServer } from "../host/database/backups/scratch-server";
import { connect, libpqEnvironment, urlOf, type Address } from "../host/database/connection";
import { openMigrator } from "../host/database/migrations/migrator";
import type { BucketSettings } from "../host/database/protocol";
import { DatabaseStore } from "../host/database/state";
import type { Surroundings } from "../host/database/surroundings";
import { worldNamed } from "../sandbox/world";
import { installS3, S3_REGION, S3Server, type S3Keys } from "../sandbox/s3";
import { guarded } from "./guarded";
import { type BenchResult, progress, runBench } from "./result";
import { timed } from "./timed";

const MEGABYTES = Number(process.argv[2] ?? 500);
/**
 * What the memory of a large backup is compared with: enough for all parts that are under way at once, and for what V8 lets
 * lie before it looks for buffers that nobody uses any more.
 */
const SMALL_MEGABYTES = 300;
/** The largest that is restored, too: this machine's S3 takes an object into memory several times to give it out. */
const RESTORED_MEGABYTES = 1000;
const ROW_BYTES = 10_000;

/** Word by which this program makes one backup, in a process of its own. */
const BACKUP = "--backup";

/** A kind of data, as the SQL that makes one value of {@link ROW_BYTES} from the number `i`. */
const KINDS = {
  // A hash of every number: nothing in it repeats.
  incompressible: `(select string_agg(sha256((i * 1000 + j)::text::bytea), '') from generate_series(1, ${String(ROW_BYTES / 32)}) j)`,
  text: `(select string_agg('order ' || i * 1000 + j || ' of ' || (array['Anna', 'Ben', 'Eve', 'Zoe'])[1 + (i * 7 + j) % 4]
      || ', two tyres and an oil change, paid by card ' || substr(md5((i * 1000 + j)::text), 1, 12), e'\\n')
    from generate_series(1, ${String(Math.round(ROW_BYTES / 75))}) j)`,
} as const;

/** What one database gave. */
interface Measured {
  readonly kind: string;
  readonly dumpMs: number;
  readonly backupMs: number;
  readonly backupBytes: number;
  readonly peakBytes: number;
  /** Null where it was too large to be restored. */
  readonly restore: { readonly byHandMs: number; readonly rehearsalMs: number } | null;
}

/** A Postgres and an S3, in a directory that goes with them. */
class Bench {
  private constructor(
    private readonly directory: string,
    private readonly programs: Programs,
    private readonly server: ScratchServer,
    private readonly s3: S3Server,
    private readonly keys: S3Keys,
  ) {}

  static async start(): Promise<Bench> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-backup-"));
    // The server is another user's.
    for (const name of ["source", "hand", "scratch"]) fs.mkdirSync(path.join(directory, name));
    fs.chmodSync(directory, 0o711);
    const programs = await serverPrograms(PROGRAMS_ROOT, 1);
    const software = await installS3();
    const server = await ScratchServer.start(path.join(directory, "source"), programs, "UTF8");
    const s3 = await S3Server.start({ world: worldNamed(), software, directory: path.join(directory, "s3") });
    return new Bench(directory, programs, server, s3, await s3.makeBucket("backups", ""));
  }

  async remove(): Promise<void> {
    await this.server.stop();
    await this.s3.remove();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  /** Makes a database, and measures its backup and, unless it is very large, the rehearsal. */
  async measure(kind: keyof typeof KINDS, megabytes: number): Promise<Measured> {
    progress(`${kind}: making ${String(megabytes)} MB`);
    const name = `${kind}_${String(megabytes)}`;
    const address = await this.fill(name, KINDS[kind], megabytes);
    const file = path.join(this.directory, "by-hand.dump");
    progress(`${kind}: pg_dump -Fc to a file`);
    const dumpMs = await timed(() => {
      this.program("pg_dump", address, "--format=custom", `--file=${file}`);
      return Promise.resolve();
    });
    progress(`${kind}: backup`);
    const surroundings = surroundingsOf(this.directory, address.database);
    await this.prepare(surroundings.store, address);
    // In a process of its own: what this one had before is no backup's.
    let peakBytes = 0;
    const backupMs = await timed(() => {
      const argv = [process.argv[1] ?? "", BACKUP, this.directory, address.database];
      const env = { ...process.env, ...WORKER_ENVIRONMENT };
      peakBytes = Number(execFileSync(process.execPath, argv, { env, stdio: ["ignore", "pipe", "inherit"] }));
      return Promise.resolve();
    });
    const made = (await surroundings.store.state()).backup;
    if (made === null) throw new Error("nothing was pending");
    const { bytes: backupBytes } = made;
    const measured = { kind: `${kind}, ${String(megabytes)} MB`, dumpMs, backupMs, backupBytes, peakBytes };
    if (megabytes > RESTORED_MEGABYTES) {
      fs.rmSync(file);
      return { ...measured, restore: null };
    }
    const restoreMs = await this.restoreByHand(made.key, file);
    progress(`${kind}: rehearsal`);
    const { rehearsal } = await rehearse(surroundings, openMigrator);
    if (rehearsal === null) throw new Error("nothing was pending");
    fs.rmSync(file);
    return { ...measured, restore: { byHandMs: restoreMs, rehearsalMs: rehearsal.restoreSeconds * 1000 } };
  }

  private async fill(name: string, value: string, megabytes: number): Promise<Address> {
    const admin = await connect(this.server.address("postgres"), "bench");
    await admin.query(`create database ${name}`);
    await admin.end();
    const address = this.server.address(name);
    const session = await connect(address, "bench");
    const rows = Math.round((megabytes * 1_000_000) / ROW_BYTES);
    await session.query(
      `create schema bench; create table bench.filling as select i as id, ${value} as value from generate_series(1, ${String(rows)}) i`,
    );
    await session.query("alter table bench.filling add primary key (id)");
    await session.query("checkpoint");
    await session.end();
    return address;
  }

  private async prepare(store: DatabaseStore, address: Address): Promise<void> {
    await store.writeSettings({
      url: urlOf(address),
      schemas: [],
      limits: { lockTimeoutMs: 2000, lockWaitSeconds: 60, statementTimeoutSeconds: 300 },
      bucket: this.bucket(),
      rehearsal: { url: null },
      rowTolerancePercent: 0,
    });
    const sql = "select 1";
    const sha256 = createHash("sha256").update(sql).digest("hex");
    const file = { version: "1", name: "bench", sha256, sql, contract: false };
    await store.stage({ epoch: 0, baseline: null, files: [file], checks: [], accept: [] });
    await store.update({ pending: ["1"] });
  }

  /** What somebody does by hand: gets the object, and has pg_restore put it into a server with the rehearsal's settings. */
  private async restoreByHand(key: string, file: string): Promise<number> {
    progress("getting it and pg_restore by hand");
    const server = await ScratchServer.start(path.join(this.directory, "hand"), this.programs, "UTF8");
    const bucket = new Bucket(this.bucket());
    try {
      const jobs = `--jobs=${String(os.availableParallelism())}`;
      return await timed(async () => {
        await pipeline(bucket.read(key), fs.createWriteStream(file));
        this.program("pg_restore", server.address("postgres"), jobs, "--no-owner", "--dbname=postgres", file);
      });
    } finally {
      bucket.close();
      await server.stop();
    }
  }

  private bucket(): BucketSettings {
    return {
      ...{ name: "backups", region: S3_REGION, endpoint: this.s3.url, prefix: "", credentials: this.keys },
      authority: fs.readFileSync(this.s3.authorityFile, "utf8"),
    };
  }

  private program(name: string, address: Address, ...args: string[]): void {
    const env = { ...BARE_ENVIRONMENT, ...libpqEnvironment(address) };
    execFileSync(path.join(this.programs.directory, name), args, { env, stdio: "inherit" });
  }
}

function surroundingsOf(directory: string, database: string): Surroundings {
  return {
    ...{ app: database.replaceAll("_", "-"), run: "bench", holdContract: null },
    store: new DatabaseStore(path.join(directory, "store", database)),
    scratch: path.join(directory, "scratch"),
    progress,
    closeSite: () => Promise.reject(new Error("a backup closes no site")),
    openSite: () => Promise.reject(new Error("a backup opens no site")),
    now: () => new Date(),
  };
}

/** Makes a backup, and writes the most memory that this process had, in bytes. */
async function backupOnly(directory: string, database: string): Promise<void> {
  await backup(surroundingsOf(directory, database), { act: "backup", reason: "migrations", generation: 0 });
  process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
}

async function main(): Promise<BenchResult> {
  return guarded(await Bench.start(), async (bench) => {
    const small = await bench.measure("incompressible", SMALL_MEGABYTES);
    const large = [await bench.measure("incompressible", MEGABYTES), await bench.measure("text", MEGABYTES)];
    const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1);
    const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);
    return {
      name: "backup",
      headings: [
        "data",
        "pg_dump -Fc s",
        "backup s",
        "dump MiB",
        "peak memory MiB",
        "get and pg_restore s",
        "rehearsal s",
      ],
      rows: [small, ...large].map((one) => [
        ...[one.kind, seconds(one.dumpMs), seconds(one.backupMs), mebibytes(one.backupBytes)],
        mebibytes(one.peakBytes),
        ...(one.restore === null
          ? ["", ""]
          : [seconds(one.restore.byHandMs), seconds(one.restore.rehearsalMs)]),
      ]),
      targets: large.flatMap((one) => [
        {
          what: `${one.kind}: backup to S3 / pg_dump -Fc to a file`,
          ratio: one.backupMs / one.dumpMs,
          atMost: 1,
        },
        ...(one.restore === null
          ? []
          : [
              {
                what: `${one.kind}: rehearsal / getting it and pg_restore by hand`,
                ratio: one.restore.rehearsalMs / one.restore.byHandMs,
                atMost: 1.2,
              },
            ]),
        {
          what: `${one.kind}: peak memory / that of a small backup`,
          ratio: one.peakBytes / small.peakBytes,
          atMost: 1.3,
        },
      ]),
      measured: [small, ...large],
    };
  });
}

const [command, directory = "", database = ""] = process.argv.slice(2);
void (command === BACKUP ? backupOnly(directory, database) : runBench(main));
