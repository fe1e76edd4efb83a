import * as fs from "node:fs";
import * as path from "node:path";

import { SandboxPostgres } from "./postgres";
import { allDone } from "./processes";
import type { SandboxProject } from "./project";
import { repositoryRoot } from "./repository";
import { stopServicesLeft } from "./services";
import { installS3, S3_REGION, S3Server, type S3Keys } from "./s3";
import type { World } from "./world";

/** Bucket of the backups, and what the keys of a site's objects begin with. */
const BUCKET = "backups";
const PREFIX = "vehicleservice/";

/** What the names of their services begin with. */
const SERVICES = ["postgres", "s3"];

/** A site's database, and the S3 that its backups go to: both at an address of this machine's that the host reaches. */
export class SandboxDatabase {
  private constructor(
    readonly postgres: SandboxPostgres,
    readonly s3: S3Server,
    private readonly keys: S3Keys,
  ) {}

  /**
   * Makes and starts both, below `directory`, which {@link SandboxDatabase.remove} empties. What an earlier run left there, and
   * at that address, is ended and removed.
   */
  static async start(
    world: World,
    { directory, address }: { directory: string; address: string },
  ): Promise<SandboxDatabase> {
    await stopServicesLeft(world, ...SERVICES.map((kind) => `${kind}-${address}-`));
    const software = await installS3();
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true });
    // Postgres runs as a user of its own, who has to find the way through.
    fs.chmodSync(directory, 0o711);
    const startS3 = async () => {
      const s3 = await S3Server.start({ world, software, directory: path.join(directory, "s3"), address });
      return { s3, keys: await s3.makeBucket(BUCKET, PREFIX) };
    };
    const [postgres, { s3, keys }] = await allDone([
      SandboxPostgres.start(world, { directory: path.join(directory, "postgres"), address }),
      startS3(),
    ]);
    return new SandboxDatabase(postgres, s3, keys);
  }

  /** Sets the keys of a stack's config that lead to them. */
  async configure(project: SandboxProject): Promise<void> {
    await leadToDatabase(project, this.postgres);
    const secrets = {
      backupAccessKeyId: this.keys.accessKeyId,
      backupSecretAccessKey: this.keys.secretAccessKey,
    };
    const values = {
      "backups.bucket": BUCKET,
      "backups.region": S3_REGION,
      "backups.prefix": PREFIX,
      "backups.endpoint": this.s3.url,
      "backups.authorityFile": this.s3.authorityFile,
    };
    await project.setAll(values, secrets);
  }

  /** Ends both, and removes what they had. */
  async remove(): Promise<void> {
    await this.postgres.remove();
    await this.s3.remove();
  }
}

/** Sets the keys of a stack's config that lead to a database, and to the repository's migrations. */
export async function leadToDatabase(project: SandboxProject, { url }: SandboxPostgres): Promise<void> {
  // The project's directory is not the repository's.
  const values = {
    "database.migrationsDirectory": path.join(repositoryRoot(), "migrations"),
    "source.records": path.join(repositoryRoot(), "releases"),
  };
  await project.setAll(values, { databaseUrl: url });
}
