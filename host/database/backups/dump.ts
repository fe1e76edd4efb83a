import { spawn, type ChildProcess } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { Failed } from "../../conductor/faults";
import { LIBPQ_KEEPALIVE, libpqEnvironment, type Address } from "../connection";
import { BARE_ENVIRONMENT, bound, type Programs } from "./programs";

/** How many lines of a program's errors are told. */
const TOLD_LINES = 12;

/** What to dump, and how. */
export interface DumpOrder {
  readonly address: Address;
  readonly programs: Programs;
  /** Id of an exported snapshot. */
  readonly snapshot: string;
  /** Schemas and extensions to dump; no schemas for everything. */
  readonly schemas: readonly string[];
  readonly extensions: readonly string[];
  /** Longest wait for a table that somebody holds, in milliseconds. */
  readonly lockWaitMs: number;
}

/**
 * How pg_dump compresses. gzip at its lowest level takes a third of the time of pg_dump's default, which is as slow as zlib;
 * zstd, which pg_dump has since version 16, is as quick and packs tighter.
 */
function compression({ major }: Programs): string {
  return major >= 16 ? "--compress=zstd:3" : "--compress=1";
}

/** Names a schema or an extension so that pg_dump takes no letter of it as a pattern. */
function exactly(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The argument list of a dump. */
export function dumpArguments(order: Omit<DumpOrder, "address">): string[] {
  const { programs, snapshot, schemas, extensions, lockWaitMs } = order;
  return [
    join(programs.directory, "pg_dump"),
    ...["--format=custom", compression(programs), "--no-password", `--dbname=${LIBPQ_KEEPALIVE}`],
    ...[`--snapshot=${snapshot}`, `--lock-wait-timeout=${String(lockWaitMs)}`],
    ...schemas.map((name) => `--schema=${exactly(name)}`),
    ...(schemas.length === 0 ? [] : extensions.map((name) => `--extension=${exactly(name)}`)),
  ];
}

/** Length and sums of what went by. */
export class Meter {
  private readonly sha256 = createHash("sha256");
  private readonly partSums: Buffer[] = [];
  private part: Hash = createHash("md5");
  private partLength = 0;
  private total = 0;

  /** @param partBytes Length of an upload's parts; each has a sum of its own. */
  constructor(private readonly partBytes: number) {}

  add(chunk: Buffer): void {
    this.total += chunk.length;
    this.sha256.update(chunk);
    for (let rest = chunk; rest.length > 0;) {
      const piece = rest.subarray(0, this.partBytes - this.partLength);
      this.part.update(piece);
      this.partLength += piece.length;
      rest = rest.subarray(piece.length);
      if (this.partLength === this.partBytes) this.endPart();
    }
  }

  /** Ends it. `etag` is what S3 names an object by whose parts had these sums, or that came in one. */
  finish(): { readonly bytes: number; readonly sha256: string; readonly etag: string } {
    if (this.partLength > 0 || this.total === 0) this.endPart();
    const md5 = (data: Buffer): string => createHash("md5").update(data).digest("hex");
    const count = this.partSums.length;
    const [only] = this.partSums;
    const etag =
      count === 1 && only !== undefined
        ? only.toString("hex")
        : `${md5(Buffer.concat(this.partSums))}-${String(count)}`;
    return { bytes: this.total, sha256: this.sha256.digest("hex"), etag };
  }

  private endPart(): void {
    this.partSums.push(this.part.digest());
    this.part = createHash("md5");
    this.partLength = 0;
  }
}

/** A program whose output or input is a stream of ours. */
class Running {
  private readonly lines: string[] = [];
  /** How it ended, in words; null for well. Never rejects. */
  readonly ended: Promise<string | null>;

  constructor(
    readonly child: ChildProcess,
    private readonly name: string,
  ) {
    let rest = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()?.slice(0, 2000) ?? "";
      this.lines.push(...lines.filter((line) => line !== ""));
      this.lines.splice(0, this.lines.length - TOLD_LINES);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", ({ message }) => resolve(`could not be started (${message})`));
      child.once("close", (code, signal) => {
        if (rest !== "") this.lines.push(rest);
        if (code === 0) resolve(null);
        else resolve(signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`);
      });
    });
  }

  /** @throws Failed unless it ended well */
  async check(): Promise<void> {
    const how = await this.ended;
    if (how !== null) throw new Failed([`${this.name} ${how}`, ...this.lines].join("\n  "));
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    // Output that nobody reads would keep it from ending.
    this.child.stdout?.destroy();
    await this.ended;
  }
}

/**
 * A dump as it is made: its bytes, in order, each of them already read to the end by `pg_restore`, which ends badly where a
 * dump is cut. Ends only after both programs have ended well.
 */
export class Dump {
  private constructor(
    private readonly source: Running,
    private readonly reader: Running,
    private readonly meter: Meter,
  ) {}

  /** Starts it. */
  static start(order: DumpOrder, meter: Meter): Dump {
    const [program = "", ...args] = bound(dumpArguments(order));
    const source = spawn(program, args, {
      env: { ...BARE_ENVIRONMENT, ...libpqEnvironment(order.address) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [readerProgram = "", ...readerArgs] = bound([
      join(order.programs.directory, "pg_restore"),
      "--file=/dev/null",
    ]);
    const reader = spawn(readerProgram, readerArgs, {
      env: { ...BARE_ENVIRONMENT },
      stdio: ["pipe", "ignore", "pipe"],
    });
    // A reader that has ended is told by how it ended.
    reader.stdin.on("error", () => undefined);
    return new Dump(
      new Running(source, "pg_dump"),
      new Running(reader, "pg_restore, reading the dump"),
      meter,
    );
  }

  /**
   * The bytes.
   * @throws Failed before the last of them where pg_dump fails, or what it wrote cannot be read
   */
  async *bytes(): AsyncGenerator<Buffer> {
    const { stdout } = this.source.child;
    if (stdout === null) throw new Error("pg_dump has no output");
    // The last bytes stay here until both have ended well: what has not ended is no object yet.
    let held: Buffer | null = null;
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      this.meter.add(chunk);
      await this.show(chunk);
      if (held !== null) yield held;
      held = chunk;
    }
    await this.source.check();
    this.reader.child.stdin?.end();
    await this.reader.check();
    if (held === null) throw new Failed("pg_dump wrote nothing");
    yield held;
  }

  /** Ends both programs, if they run. */
  async stop(): Promise<void> {
    await Promise.all([this.source.kill(), this.reader.kill()]);
  }

  private async show(chunk: Buffer): Promise<void> {
    const { stdin } = this.reader.child;
    if (stdin === null || stdin.destroyed || stdin.write(chunk)) return;
    // Whichever comes first: it has read on, or it has ended and is judged at the end.
    const stop = new AbortController();
    await Promise.race([
      once(stdin, "drain", { signal: stop.signal }).catch(() => undefined),
      this.reader.ended,
    ]);
    stop.abort();
  }
}
