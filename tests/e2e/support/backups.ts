import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { Agent } from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { DatabaseSettings, MigrationFile } from "../../../host/database/protocol";
import { digestOf, DatabaseStore, type DatabaseState } from "../../../host/database/state";
import type { Surroundings } from "../../../host/database/surroundings";
import { worldNamed } from "../../../sandbox/world";
import { installS3, S3_REGION, S3Server, type S3Keys } from "../../../sandbox/s3";
import { TestPostgres } from "./postgres";

/** The bucket of every test, and what its keys begin with. */
export const BUCKET = "backups";
export const PREFIX = "garage/";

/** A database that the tests' own are copies of. */
const TEMPLATE = "template_shop";

/** A Postgres and an S3 for the tests of one file. */
export class BackupWorld {
  /** Who may do everything in the bucket. */
  private readonly owner: S3Client;
  private count = 0;

  private constructor(
    readonly postgres: TestPostgres,
    readonly s3: S3Server,
    readonly keys: S3Keys,
    readonly directory: string,
  ) {
    this.owner = new S3Client({
      region: S3_REGION,
      endpoint: s3.url,
      forcePathStyle: true,
      credentials: s3.owner,
      requestHandler: { httpsAgent: new Agent({ ca: fs.readFileSync(s3.authorityFile) }) },
    });
  }

  static async start(): Promise<BackupWorld> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "backups-"));
    fs.chmodSync(directory, 0o755);
    const software = await installS3();
    const s3 = await S3Server.start({ world: worldNamed(), software, directory: path.join(directory, "s3") });
    const keys = await s3.makeBucket(BUCKET, PREFIX);
    const postgres = TestPostgres.start();
    postgres.runEach(`create database ${TEMPLATE} template postgres`, "template1");
    postgres.runEach(fs.readFileSync(path.join(__dirname, "every-kind.sql"), "utf8"), TEMPLATE);
    return new BackupWorld(postgres, s3, keys, directory);
  }

  async remove(): Promise<void> {
    this.owner.destroy();
    this.postgres.remove();
    await this.s3.remove();
    fs.rmSync(this.directory, { recursive: true });
  }

  /** Makes a database with something of every kind. */
  database(name: string): string {
    this.postgres.runEach(`create database ${name} template ${TEMPLATE}`, "postgres");
    return this.postgres.url(name);
  }

  /** How many uploads in parts were begun and neither ended nor given up. */
  async unfinishedUploads(): Promise<number> {
    const { Uploads } = await this.owner.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    return Uploads?.length ?? 0;
  }

  /** Takes an object away. */
  async removeObject(key: string): Promise<void> {
    await this.owner.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  }

  /** Puts other bytes in the place of an object. */
  async editObject(key: string, edit: (bytes: Buffer) => Buffer): Promise<void> {
    const { Body } = await this.owner.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    const bytes = edit(Buffer.from(await Body!.transformToByteArray()));
    await this.owner.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes }));
  }

  /** Lets a role in by its password only. */
  requirePassword(role: string): void {
    const file = this.postgres.run("show hba_file");
    fs.writeFileSync(file, `local all ${role} scram-sha-256\n${fs.readFileSync(file, "utf8")}`);
    this.postgres.run("select pg_reload_conf()");
  }

  /** A host that knows of a database. */
  async host(url: string, change: Partial<DatabaseSettings> = {}): Promise<TestHost> {
    this.count += 1;
    const directory = path.join(this.directory, `host-${String(this.count)}`);
    fs.mkdirSync(path.join(directory, "scratch"), { recursive: true, mode: 0o755 });
    const host = new TestHost(directory);
    const settings = this.settings(url);
    // A host of its own has an application of its own.
    const bucket = { ...settings.bucket, prefix: `${PREFIX}${String(this.count)}/` };
    await host.store.writeSettings({ ...settings, bucket, ...change });
    return host;
  }

  /** Settings with everything of the bucket that the keys may see. */
  settings(url: string): DatabaseSettings {
    return {
      url,
      schemas: [],
      limits: { lockTimeoutMs: 500, lockWaitSeconds: 2, statementTimeoutSeconds: 30 },
      bucket: {
        name: BUCKET,
        region: S3_REGION,
        endpoint: this.s3.url,
        prefix: PREFIX,
        credentials: this.keys,
        authority: fs.readFileSync(this.s3.authorityFile, "utf8"),
      },
      rehearsal: { url: null },
      rowTolerancePercent: 0,
    };
  }
}

/** What the worker finds around it, as a test sees it. */
export class TestHost {
  readonly store: DatabaseStore;
  readonly lines: string[] = [];
  /** What was asked of the site, in order. */
  readonly site: string[] = [];
  closed = false;
  private clock = Date.parse("2026-01-02T03:04:05Z");

  constructor(readonly directory: string) {
    this.store = new DatabaseStore(path.join(directory, "database"));
  }

  get scratch(): string {
    return path.join(this.directory, "scratch");
  }

  /** What is left in the scratch directory. */
  leftovers(): string[] {
    return fs.readdirSync(this.scratch);
  }

  surroundings(change: Partial<Surroundings> = {}): Surroundings {
    return {
      app: "garage",
      store: this.store,
      scratch: this.scratch,
      progress: (line) => void this.lines.push(line),
      holdContract: null,
      run: "test",
      closeSite: () => {
        this.site.push("close");
        const before = this.closed;
        this.closed = true;
        return Promise.resolve(before);
      },
      openSite: () => {
        this.site.push("open");
        this.closed = false;
        return Promise.resolve();
      },
      // A minute passes between any two looks.
      now: () => new Date((this.clock += 60_000)),
      ...change,
    };
  }

  /** Stages files of which some are pending. */
  async stage(
    files: readonly MigrationFile[],
    checks: { name: string; sql: string }[] = [],
  ): Promise<string> {
    await this.store.stage({ epoch: 0, baseline: null, files, checks, accept: [] });
    await this.store.update({ pending: files.map(({ version }) => version) });
    return digestOf(files);
  }

  state(): Promise<DatabaseState> {
    return this.store.state();
  }
}

/** A migration of a test. */
export function migration(version: string, sql: string): MigrationFile {
  const sha256 = createHash("sha256").update(sql).digest("hex");
  return { version, name: "test", sha256, sql, contract: false };
}

/**
 * Postgres' programs, of which some are scripts of the test's own: a directory for {@link Surroundings.programs}.
 * @param scripts Text of a shell script by the program's name; `REAL` in it is the path of the real one.
 */
export function programsWith(
  directory: string,
  scripts: Readonly<Record<string, string>>,
  major?: number,
): string {
  const root = "/usr/lib/postgresql";
  const real = fs
    .readdirSync(root)
    .map(Number)
    .filter((version) => fs.existsSync(`${root}/${String(version)}/bin/initdb`))
    .sort((a, b) => b - a)[0];
  if (real === undefined) throw new Error(`no Postgres server in ${root}`);
  const own = path.join(directory, "programs", String(major ?? real), "bin");
  fs.rmSync(own, { recursive: true, force: true });
  fs.mkdirSync(own, { recursive: true });
  for (const name of ["pg_dump", "pg_restore", "psql", "initdb", "postgres"]) {
    const program = `${root}/${String(real)}/bin/${name}`;
    const script = scripts[name];
    if (script === undefined) fs.symlinkSync(program, path.join(own, name));
    else fs.writeFileSync(path.join(own, name), script.replaceAll("REAL", program), { mode: 0o755 });
  }
  return path.join(directory, "programs");
}
