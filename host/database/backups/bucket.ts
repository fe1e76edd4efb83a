import { Agent } from "node:https";
import { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { Failed } from "../../conductor/faults";
import type { BucketSettings } from "../protocol";

/** How often one request is tried. */
const TRIES = 4;

/** How long S3 may take to connect, and to say something, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
const SILENCE_MS = 60_000;

/** How many parts of an upload are under way at once: with their size, what an upload keeps in memory. */
const PARTS_AT_ONCE = 3;

/** Smallest part, in bytes, and how many parts S3 takes. */
const SMALLEST_PART = 8 * 1024 * 1024;
const MOST_PARTS = 10_000;

/** Longest text that is read as one, in bytes: a manifest of some ten thousand tables. */
const LONGEST_TEXT = 64 * 1024 * 1024;

/** What S3 says of an object. */
export interface ObjectHead {
  readonly bytes: number;
  /** Without its quotation marks. */
  readonly etag: string;
  /** The entity tag is made of MD5 sums: it is not where another key than S3's own encrypts. */
  readonly etagIsMd5: boolean;
}

/** Backups' place. Its errors name the bucket, what was asked, and the way out; never a key. */
export class Bucket {
  private readonly client: S3Client;

  constructor(private readonly settings: BucketSettings) {
    const { region, endpoint, credentials, authority } = settings;
    this.client = new S3Client({
      region,
      maxAttempts: TRIES,
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
      ...(credentials === null ? {} : { credentials }),
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: SILENCE_MS,
        throwOnRequestTimeout: true,
        // Not the agent's options alone: requests with a large body would get an agent without them.
        httpsAgent: new Agent({
          keepAlive: true,
          maxSockets: 50,
          ...(authority === null ? {} : { ca: [...rootCertificates, authority] }),
        }),
      },
    });
  }

  /**
   * Uploads a stream, in parts. A stream that fails, or an S3 that does, leaves no object and no parts.
   * @param partBytes Length of a part: see {@link partBytesFor}.
   */
  async upload(key: string, body: AsyncIterable<Buffer>, partBytes: number): Promise<void> {
    const upload = new Upload({
      client: this.client,
      partSize: partBytes,
      queueSize: PARTS_AT_ONCE,
      params: {
        Bucket: this.settings.name,
        Key: key,
        Body: Readable.from(body, { objectMode: false }),
        ContentType: "application/octet-stream",
        ServerSideEncryption: "AES256",
      },
    });
    await this.ask(`putting ${key}`, () => upload.done());
  }

  /** Puts a text. */
  async putText(key: string, text: string): Promise<void> {
    await this.ask(`putting ${key}`, () =>
      this.client.send(
        new PutObjectCommand({
          Bucket: this.settings.name,
          Key: key,
          Body: text,
          ContentType: "application/json",
          ServerSideEncryption: "AES256",
        }),
      ),
    );
  }

  /** Returns what S3 says of an object; null where there is none. */
  async head(key: string): Promise<ObjectHead | null> {
    return this.ask(`looking for ${key}`, async () => {
      try {
        const answer = await this.client.send(
          new HeadObjectCommand({ Bucket: this.settings.name, Key: key }),
        );
        const encryption = answer.ServerSideEncryption ?? "AES256";
        return {
          bytes: answer.ContentLength ?? -1,
          etag: (answer.ETag ?? "").replaceAll('"', ""),
          etagIsMd5: encryption === "AES256" && answer.SSECustomerAlgorithm === undefined,
        };
      } catch (error) {
        // Who may list below a prefix only gets 403 of what is not there: S3 sees no prefix in this question.
        const isMissing = statusOf(error) === 404 || (statusOf(error) === 403 && !(await this.lists(key)));
        if (isMissing) return null;
        throw error;
      }
    });
  }

  /** Tells whether a key is there, by a list of what begins with it. */
  private async lists(key: string): Promise<boolean> {
    const { Contents = [] } = await this.client.send(
      new ListObjectsV2Command({ Bucket: this.settings.name, Prefix: key, MaxKeys: 1 }),
    );
    return Contents.some(({ Key }) => Key === key);
  }

  /** Reads an object. Where a connection breaks it goes on from there, as long as it is the same object. */
  async *read(key: string): AsyncGenerator<Buffer> {
    let offset = 0;
    let etag: string | undefined;
    for (let tried = 1; ; tried += 1) {
      const begun = offset;
      try {
        const { Body, ETag } = await this.client.send(
          new GetObjectCommand({
            Bucket: this.settings.name,
            Key: key,
            ...(offset === 0 ? {} : { Range: `bytes=${String(offset)}-`, IfMatch: etag }),
          }),
        );
        etag = ETag;
        for await (const chunk of Body as Readable) {
          yield chunk as Buffer;
          offset += (chunk as Buffer).length;
        }
        return;
      } catch (error) {
        if (offset > begun) tried = 1;
        if (tried >= TRIES || statusOf(error) !== null) throw this.failure(`getting ${key}`, error);
      }
    }
  }

  /**
   * Returns a text; null where there is none.
   * @throws Failed where it is too long to be one
   */
  async text(key: string): Promise<string | null> {
    const head = await this.head(key);
    if (head === null) return null;
    if (head.bytes > LONGEST_TEXT)
      throw new Failed(`${key} has ${String(head.bytes)} bytes: no manifest has`);
    const chunks: Buffer[] = [];
    for await (const chunk of this.read(key)) chunks.push(chunk);
    return Buffer.concat(chunks).toString("utf8");
  }

  /** Keys below the prefix of the settings, all of them. */
  async keys(): Promise<string[]> {
    const { name, prefix } = this.settings;
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.ask(`listing ${prefix === "" ? "it" : prefix}`, () =>
        this.client.send(
          new ListObjectsV2Command({
            Bucket: name,
            ...(prefix === "" ? {} : { Prefix: prefix }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      );
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return keys;
  }

  /** Ends its connections. */
  close(): void {
    this.client.destroy();
  }

  private async ask<T>(what: string, request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw error instanceof Failed ? error : this.failure(what, error);
    }
  }

  private failure(what: string, error: unknown): Failed {
    const { name, endpoint, region } = this.settings;
    const where = endpoint ?? `Amazon S3 in ${region}`;
    return new Failed(`the bucket ${name} at ${where}: ${what}: ${describe(error)}`);
  }
}

/** Size of an upload's parts, in bytes: as small as the number of parts allows for so many bytes. */
export function partBytesFor(expectedBytes: number): number {
  const mebibyte = 1024 * 1024;
  const needed = Math.ceil(expectedBytes / MOST_PARTS / mebibyte) * mebibyte;
  return Math.max(SMALLEST_PART, needed);
}

function statusOf(error: unknown): number | null {
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode ?? null;
}

/** What S3, or the network, said, with the way out. */
function describe(error: unknown): string {
  const { name, message } = error as Error;
  const status = statusOf(error);
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  // A HEAD has no body, and so no message.
  const said = [
    ...(name === "Error" ? [] : [name]),
    ...(message === "" || message === "UnknownError" ? [] : [message]),
  ];
  const text = status === null ? said : [...said, `status ${String(status)}`];
  return `${text.join(": ")}. ${wayOut(name, status, message)}`;
}

function wayOut(name: string, status: number | null, message: string): string {
  if (name === "CredentialsProviderError")
    return "Set backupAccessKeyId and its secret, or give the host a role that may use the bucket";
  if (status === 404) return "Check backups.bucket and backups.endpoint";
  if (status === 403 || status === 401) {
    return "Check the keys, and that they may put and get objects below backups.prefix, list the bucket and abort uploads";
  }
  if (status === 301 || name === "PermanentRedirect")
    return "Check backups.region: the bucket is in another one";
  if (status === null && /certificate|self-signed|altnames/i.test(message)) {
    return "Its certificate is not trusted: set backups.authorityFile";
  }
  return "Check that the host reaches it, and try again";
}
