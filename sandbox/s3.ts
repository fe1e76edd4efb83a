import * as path from "node:path";

import {
  AWS_REGION,
  AwsEmulator,
  EMULATOR_OWNER,
  installAws,
  type AwsKeys,
  type EmulatorOptions,
} from "./aws/emulator";
import { run } from "./command";
import { repositoryRoot } from "./repository";

/** Region that it says it is in. */
export const S3_REGION = AWS_REGION;

/** Keys of somebody who may use a bucket. */
export type S3Keys = AwsKeys;

/** Installs what {@link S3Server} runs, unless it is there; see {@link installAws}. */
export const installS3 = installAws;

/** A site's bucket on this machine, where the site has nothing else of AWS: an emulator, of which only S3 is used. */
export class S3Server {
  private constructor(
    private readonly options: EmulatorOptions,
    private readonly emulator: AwsEmulator,
  ) {}

  /** Starts one on a port that is free. */
  static async start(options: Omit<EmulatorOptions, "service">): Promise<S3Server> {
    const named = { ...options, service: "s3" };
    return new S3Server(named, await AwsEmulator.start(named));
  }

  /** Where clients find it; buckets are addressed by path. */
  get url(): string {
    return this.emulator.url;
  }

  /** File with the authority behind its certificate, in PEM. */
  get authorityFile(): string {
    return this.emulator.authorityFile;
  }

  /** Starts it again after {@link S3Server.stop}, under the same URL, with what it had. */
  async resume(): Promise<void> {
    await this.emulator.resume();
  }

  /**
   * Makes a bucket, and a user who may put and read objects below `prefix` and delete none.
   * @param prefix Empty, or ending in `/`.
   */
  async makeBucket(bucket: string, prefix: string): Promise<S3Keys> {
    const script = path.join(repositoryRoot(), "sandbox", "s3", "prepare.py");
    const { stdout } = await run([path.join(this.options.software, "bin", "python"), script], {
      env: {
        PATH: process.env["PATH"],
        S3_URL: this.url,
        S3_AUTHORITY: this.authorityFile,
        S3_BUCKET: bucket,
        S3_PREFIX: prefix,
        S3_USER: `${bucket}-writer`,
        AWS_REGION,
        AWS_ACCESS_KEY_ID: this.owner.accessKeyId,
        AWS_SECRET_ACCESS_KEY: this.owner.secretAccessKey,
      },
    });
    return JSON.parse(stdout) as S3Keys;
  }

  /** Keys of who may do everything: the emulator takes these from anybody. */
  get owner(): S3Keys {
    return EMULATOR_OWNER;
  }

  /** Ends it; the URL then refuses connections. */
  async stop(): Promise<void> {
    await this.emulator.stop();
  }

  /** Ends it, and removes what it had. */
  async remove(): Promise<void> {
    await this.emulator.remove();
  }
}
