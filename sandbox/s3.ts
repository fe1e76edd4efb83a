import * as fs from "node:fs";
import * as https from "node:https";
import * as path from "node:path";

import { certificatesIn, makeCertificates } from "./certificates";
import { run } from "./command";
import { withLock } from "./lock";
import { waitFor } from "./processes";
import { freePorts } from "./reachable";
import { repositoryRoot } from "./repository";
import { findService, serviceLog, startService, stopService } from "./services";
import { cacheDirectory, type World } from "./world";

/** The emulator, from the Python package index. */
const PACKAGES = ["ministack==1.5.33"];

/** Longest wait for it to answer, in seconds. */
const ANSWER_SECONDS = 30;

/** Region that it says it is in. */
export const S3_REGION = "us-east-1";

/** Keys of somebody who may use a bucket. */
export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Installs the emulator into the machine's cache, unless it is there: a virtual environment of Python's own, filled from the
 * package index as pip is configured. Needs the Debian package `python3-venv`.
 * @returns where it is
 */
export async function installS3(): Promise<string> {
  const directory = path.join(cacheDirectory(), "s3");
  fs.mkdirSync(directory, { recursive: true });
  // Who comes second finds what the first one installed.
  await withLock(path.dirname(directory), () => install(directory));
  return directory;
}

async function install(directory: string): Promise<void> {
  const stamp = path.join(directory, ".installed");
  const wanted = PACKAGES.join("\n");
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted) return;
  fs.rmSync(directory, { recursive: true, force: true });
  await run(["python3", "-m", "venv", directory]);
  const pip = [path.join(directory, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check"];
  await run([...pip, ...PACKAGES]);
  fs.writeFileSync(stamp, wanted);
}

/** How an {@link S3Server} is reached, and where it keeps what it has. */
export interface S3Options {
  /** World that it belongs to. */
  readonly world: World;
  /** Where {@link installS3} put the emulator. */
  readonly software: string;
  /** For its objects, its users and its TLS certificate; made, and removed by {@link S3Server.remove}. */
  readonly directory: string;
  /** Further services of the emulator, by its names for them; none by default. */
  readonly services?: readonly string[];
  /** Address that it listens on; loopback by default. */
  readonly address?: string;
}

/**
 * S3 on this machine, over TLS: signatures are checked, and users may do what their policy says. Nobody trusts it but
 * those who are given {@link S3Server.authorityFile}. What it has outlives {@link S3Server.stop}.
 */
export class S3Server {
  private constructor(
    private readonly options: S3Options,
    private readonly address: string,
    private readonly port: number,
  ) {}

  /** Starts one on a port that is free. */
  static async start(options: S3Options): Promise<S3Server> {
    const address = options.address ?? "127.0.0.1";
    await makeCertificates(path.join(options.directory, "tls"), [address, "localhost"]);
    const [port = 0] = await freePorts(address, 1);
    const server = new S3Server(options, address, port);
    await server.resume();
    return server;
  }

  /** Where clients find it; buckets are addressed by path. */
  get url(): string {
    return `https://${this.address}:${this.port}`;
  }

  /** File with the authority behind its certificate, in PEM. */
  get authorityFile(): string {
    return certificatesIn(path.join(this.options.directory, "tls")).authority;
  }

  /** Starts it again after {@link S3Server.stop}, under the same URL, with what it had. */
  async resume(): Promise<void> {
    const { world, software } = this.options;
    // Nothing in it is a secret.
    const environment = Object.entries(this.environment()).map(([name, value]) => `${name}=${value}`);
    const program = path.join(software, "bin", "ministack");
    startService(world, this.service, ["/usr/bin/env", ...environment, program]);
    const log = serviceLog(world, this.service);
    await waitFor(`the S3 server (see ${log})`, ANSWER_SECONDS, async () => {
      if (findService(world, this.service) === null)
        throw new Error(`the S3 server ended at once; see ${log}`);
      return (await this.answers()) ? true : undefined;
    });
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
        AWS_REGION: S3_REGION,
        AWS_ACCESS_KEY_ID: this.owner.accessKeyId,
        AWS_SECRET_ACCESS_KEY: this.owner.secretAccessKey,
      },
    });
    return JSON.parse(stdout) as S3Keys;
  }

  /** Keys of who may do everything: the emulator takes these from anybody. */
  get owner(): S3Keys {
    return { accessKeyId: "test", secretAccessKey: "test" };
  }

  /** Ends it; the URL then refuses connections. */
  async stop(): Promise<void> {
    await stopService(this.options.world, this.service);
  }

  /** Ends it, and removes what it had. */
  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.options.directory, { recursive: true, force: true });
  }

  private get service(): string {
    return `s3-${this.address}-${String(this.port)}`;
  }

  private environment(): Record<string, string> {
    const { directory, services = [] } = this.options;
    const { chain, key } = certificatesIn(path.join(directory, "tls"));
    return {
      BIND_HOST: this.address,
      GATEWAY_PORT: String(this.port),
      MINISTACK_HOST: this.address,
      AUTH: "true",
      SERVICES: ["s3", "iam", "sts", ...services].join(","),
      USE_SSL: "1",
      MINISTACK_SSL_CERT: chain,
      MINISTACK_SSL_KEY: key,
      // Listeners of services that nobody asks for.
      IOT_MTLS_ENABLED: "0",
      SFTP_ENABLED: "0",
      S3_PERSIST: "1",
      S3_DATA_DIR: path.join(directory, "objects"),
      PERSIST_STATE: "1",
      STATE_DIR: path.join(directory, "state"),
      TMPDIR: directory,
      LOG_LEVEL: "WARNING",
    };
  }

  private answers(): Promise<boolean> {
    const ca = fs.readFileSync(this.authorityFile);
    return new Promise((resolve) => {
      const request = https.get(`${this.url}/_ministack/health`, { ca, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      request.on("error", () => resolve(false));
    });
  }
}
