import * as fs from "node:fs";
import * as https from "node:https";
import * as path from "node:path";

import { certificatesIn, makeCertificates, type Certificates } from "../certificates";
import { waitFor } from "../processes";
import { installPython } from "../python";
import { freePorts } from "../reachable";
import { repositoryRoot } from "../repository";
import { findService, serviceLog, startService, stopService } from "../services";
import type { World } from "../world";

/** The emulator, from the Python package index. */
const PACKAGES = ["ministack==1.5.33"];

/** Longest wait for it to answer, in seconds. */
const ANSWER_SECONDS = 120;

/** Region that it says it is in. */
export const AWS_REGION = "us-east-1";

/** What this program uses of AWS; of the others there is nothing. */
const SERVICES = "s3,iam,sts,ec2,sns,monitoring,logs,route53,kms";

/** A key pair of somebody whom it knows. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Keys of who may do everything: the emulator takes these from anybody, and they are no secret. */
export const EMULATOR_OWNER: AwsKeys = { accessKeyId: "test", secretAccessKey: "test" };

/**
 * Installs the emulator into the machine's cache, unless it is there; see {@link installPython}.
 * @returns where it is
 */
export async function installAws(): Promise<string> {
  return installPython("s3", PACKAGES);
}

/** How an {@link AwsEmulator} is reached, and where it keeps what it has. */
export interface EmulatorOptions {
  /** World that it belongs to. */
  readonly world: World;
  /** Where {@link installAws} put the emulator. */
  readonly software: string;
  /** For its objects, its users and its TLS certificate; made, and removed by {@link AwsEmulator.remove}. */
  readonly directory: string;
  /** Address that it listens on; loopback by default. */
  readonly address?: string;
  /** What the name of its service begins with; `aws` by default. */
  readonly service?: string;
}

/**
 * AWS' APIs on this machine, over TLS: signatures are checked, and users may do what their policy says. Nobody trusts it but
 * those who are given {@link AwsEmulator.authorityFile}. What it has outlives {@link AwsEmulator.stop}. As S3 does, it answers
 * without TLS, too, and tells policies so (`aws:SecureTransport`).
 */
export class AwsEmulator {
  private constructor(
    private readonly options: EmulatorOptions,
    private readonly address: string,
    private readonly port: number,
    private readonly plainPort: number,
  ) {}

  /** Starts one on ports that are free. */
  static async start(options: EmulatorOptions): Promise<AwsEmulator> {
    const address = options.address ?? "127.0.0.1";
    await makeCertificates(path.join(options.directory, "tls"), [address, "localhost"]);
    const [port = 0, plainPort = 0] = await freePorts(address, 2);
    const server = new AwsEmulator(options, address, port, plainPort);
    await server.resume();
    return server;
  }

  /** Where clients of any of its services find it; buckets are addressed by path. */
  get url(): string {
    return `https://${this.address}:${this.port}`;
  }

  /** Where it answers without TLS. Nothing of the stack's leads there. */
  get plainUrl(): string {
    return `http://${this.address}:${this.plainPort}`;
  }

  /** File with the authority behind its certificate, in PEM. */
  get authorityFile(): string {
    return this.certificates.authority;
  }

  /** Its certificate, of its address and of localhost. */
  get certificates(): Certificates {
    return certificatesIn(path.join(this.options.directory, "tls"));
  }

  /** Starts it again after {@link AwsEmulator.stop}, under the same URL, with what it had. */
  async resume(): Promise<void> {
    const { world, software } = this.options;
    // Nothing in it is a secret.
    const environment = Object.entries(this.environment()).map(([name, value]) => `${name}=${value}`);
    const python = path.join(software, "bin", "python");
    const program = path.join(repositoryRoot(), "sandbox", "aws", "emulator.py");
    startService(world, this.service, ["/usr/bin/env", ...environment, python, program]);
    const log = serviceLog(world, this.service);
    await waitFor(`the AWS emulator (see ${log})`, ANSWER_SECONDS, async () => {
      if (findService(world, this.service) === null)
        throw new Error(`the AWS emulator ended at once; see ${log}`);
      return (await this.answers()) ? true : undefined;
    });
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
    return `${this.options.service ?? "aws"}-${this.address}-${String(this.port)}`;
  }

  private environment(): Record<string, string> {
    const { directory } = this.options;
    const { chain, key, authority } = this.certificates;
    return {
      BIND_HOST: this.address,
      GATEWAY_PORT: String(this.port),
      PLAIN_PORT: String(this.plainPort),
      MINISTACK_HOST: this.address,
      AUTH: "true",
      SERVICES,
      USE_SSL: "1",
      MINISTACK_SSL_CERT: chain,
      MINISTACK_SSL_KEY: key,
      // Python's own: whom it posts notifications to has a certificate of the same authority, as public ones have of a public one.
      SSL_CERT_FILE: authority,
      // Listeners of services that are not on.
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
