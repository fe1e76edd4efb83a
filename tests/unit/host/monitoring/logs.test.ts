import * as fs from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { Complaints } from "../../../../host/monitoring/complaints";
import type { LogsApi } from "../../../../host/monitoring/logs/cloudwatch-logs";
import { batchesOf, fit, LIMITS, type LogEvent } from "../../../../host/monitoring/logs/events";
import { masker, secretsOfHost } from "../../../../host/monitoring/logs/host-logs";
import { parseEntry } from "../../../../host/monitoring/logs/journal";
import { timeOf, withoutQueries } from "../../../../host/monitoring/logs/lines";
import { CHUNK_BYTES, readOn, type FilePosition } from "../../../../host/monitoring/logs/log-file";
import { fileSource, type LogSource } from "../../../../host/monitoring/logs/log-source";
import { Positions } from "../../../../host/monitoring/logs/positions";
import { Shipper } from "../../../../host/monitoring/logs/shipper";
import type { MonitoringSettings } from "../../../../host/monitoring/protocol";
import {
  pathsUnder,
  removeDirectories,
  serving,
  SETTINGS,
  siteOf,
  temporaryDirectory,
} from "../support/fixtures";

afterAll(removeDirectories);

const NOW = Date.parse("2026-05-05T05:05:00Z");

describe("events", () => {
  const events = fc.array(
    fc.record({
      timestamp: fc.integer({ min: NOW - 20 * LIMITS.spanMs, max: NOW + LIMITS.spanMs }),
      message: fc.oneof(
        fc.string({ unit: "binary", maxLength: 40 }),
        fc.integer({ min: 1, max: 400_000 }).map((length) => "ß".repeat(length)),
      ),
      position: fc.nat(),
    }),
    { maxLength: 40 },
  );
  const bytes = (batch: readonly LogEvent<number>[]): number =>
    batch.reduce((sum, { message }) => sum + Buffer.byteLength(message) + LIMITS.eventBytes, 0);

  it("are within the limits of the API, in order, and none is left out", () => {
    fc.assert(
      fc.property(events, (all) => {
        const fitting = fit(all, NOW);
        const batches = batchesOf(fitting);
        expect(batches.flat()).toEqual(fitting);
        expect(fitting.map(({ position }) => position)).toEqual(
          all.filter(({ message }) => message.trim() !== "").map(({ position }) => position),
        );
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(bytes(batch)).toBeLessThanOrEqual(LIMITS.bytes);
          const times = batch.map(({ timestamp }) => timestamp);
          expect(times).toEqual([...times].sort((a, b) => a - b));
          expect(times.at(-1)! - times[0]!).toBeLessThan(LIMITS.spanMs);
          expect(times[0]).toBeGreaterThan(NOW - LIMITS.oldestMs);
          expect(times.at(-1)).toBeLessThanOrEqual(NOW);
        }
      }),
    );
  });

  it("are not too many at once", () => {
    const many = Array.from({ length: 25_000 }, (_, position) => ({
      timestamp: NOW,
      message: "x",
      position,
    }));
    expect(batchesOf(many).map((batch) => batch.length)).toEqual([10_000, 10_000, 5000]);
  });

  it("are cut between two characters", () => {
    const [event] = fit([{ timestamp: NOW, message: "ß".repeat(200_000), position: 0 }], NOW);
    expect(event!.message).toMatch(/^ß+$/);
  });
});

describe("a line's time", () => {
  it.each([
    ['{"time":"2026-01-02T03:04:05+01:00","colour":"blue"}', "2026-01-02T02:04:05Z"],
    ["2026-01-02 03:04:05 +00:00: listening", "2026-01-02T03:04:05Z"],
    ["2026/01/02 03:04:05 [error] 1#1: *1 no", new Date("2026-01-02T03:04:05").toISOString()],
  ])("is what it begins with: %s", (line, time) => {
    expect(timeOf(line)).toBe(Date.parse(time));
  });

  it.each(["    at Object.<anonymous>", "2026-99-99 03:04:05 +00:00: no", ""])("is none of %j", (line) => {
    expect(timeOf(line)).toBeNull();
  });
});

describe("a log", () => {
  /** A log file that is written, rotated and read, while everything that was written is kept in mind. */
  class Log {
    readonly path = join(temporaryDirectory(), "app.log");
    readonly written: string[] = [];
    readonly read: string[] = [];
    position: FilePosition | null = null;
    lost = false;

    write(lines: number): void {
      for (let n = 0; n < lines; n++) {
        const line = `${String(this.written.length)} ${"x".repeat(this.written.length % 50)}`;
        this.written.push(line);
        fs.appendFileSync(this.path, `${line}\n`);
      }
    }

    rotate(how: "copy" | "rename"): void {
      if (!fs.existsSync(this.path)) return;
      if (how === "rename") {
        fs.renameSync(this.path, `${this.path}.1`);
      } else {
        fs.copyFileSync(this.path, `${this.path}.1`);
        fs.truncateSync(this.path);
      }
      this.leave();
    }

    /** Nobody has written to the rotated one for long. */
    leave(): void {
      fs.utimesSync(`${this.path}.1`, 0, 0);
    }

    async ship(): Promise<void> {
      for (;;) {
        const chunk = await readOn(this.path, this.position);
        if (chunk === null) return;
        this.read.push(...chunk.lines.map(({ text }) => text));
        this.position = chunk.position;
        this.lost ||= chunk.lost;
        if (!chunk.more) return;
      }
    }
  }

  it("is read once, whenever it is rotated and however", async () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ write: fc.integer({ min: 1, max: 200 }) }),
        fc.record({ rotate: fc.constantFrom("copy" as const, "rename" as const) }),
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const log = new Log();
        log.write(1);
        await log.ship();
        for (const step of all) {
          if ("write" in step) log.write(step.write);
          else {
            log.rotate(step.rotate);
            // What comes behind one rotation and before the next one is looked at in between.
            log.write(1);
            await log.ship();
          }
        }
        await log.ship();
        expect(log.read).toEqual(log.written);
        expect(log.lost).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("that was rotated is left when those who have not heard of it write to it no more", async () => {
    const log = new Log();
    log.write(2);
    await log.ship();
    fs.renameSync(log.path, `${log.path}.1`);
    log.write(1);
    await log.ship();
    expect(log.read).toEqual(["0 ", "1 x"]);
    fs.appendFileSync(`${log.path}.1`, "late\nhal");
    await log.ship();
    fs.appendFileSync(`${log.path}.1`, "f a line\n");
    await log.ship();
    log.leave();
    await log.ship();
    expect(log.read).toEqual(["0 ", "1 x", "late", "half a line", "2 xx"]);
    expect(log.lost).toBe(false);
  });

  it("that was rotated twice in between has a part that is gone, which is told", async () => {
    const log = new Log();
    log.write(3);
    await log.ship();
    for (const how of ["rename", "rename"] as const) {
      log.write(1);
      log.rotate(how);
    }
    log.write(1);
    await log.ship();
    expect(log.lost).toBe(true);
    expect(log.read.at(-1)).toBe(log.written.at(-1));
  });

  it("goes on behind any of its lines", async () => {
    const log = new Log();
    log.write(20);
    const { lines } = (await readOn(log.path, null))!;
    log.write(5);
    const rest = await readOn(log.path, lines[9]!.position);
    expect(rest!.lines.map(({ text }) => text)).toEqual(log.written.slice(10));
  });

  it("has no line before its end is there, and a very long one in parts", async () => {
    const log = new Log();
    fs.writeFileSync(log.path, "half");
    await log.ship();
    expect(log.read).toEqual([]);
    fs.appendFileSync(log.path, `${"y".repeat(CHUNK_BYTES)}\nnext\n`);
    await log.ship();
    expect(log.read.map((text) => text.length)).toEqual([CHUNK_BYTES, 4, 4]);
  });

  it("that is not there has nothing", async () => {
    expect(await readOn(join(temporaryDirectory(), "none.log"), null)).toBeNull();
  });
});

describe("an entry of the journal", () => {
  it.each([
    ['"started"', "started"],
    ["[104,195,182]", "hö"],
    ["null", ""],
  ])("with the message %s", (message, text) => {
    const line = `{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1764000000123456","MESSAGE":${message}}`;
    expect(parseEntry(line)).toEqual({ cursor: "s=1", timestamp: 1_764_000_000_123, message: text });
  });
});

describe("a shipped line", () => {
  it("holds nothing behind the ? of a URL", () => {
    const line = '2026/01/02 [error] request: "GET /a?token=1&b=2 HTTP/1.1", referrer: "https://x/y?code=3"';
    expect(withoutQueries(line)).toBe(
      '2026/01/02 [error] request: "GET /a?[...] HTTP/1.1", referrer: "https://x/y?[...]"',
    );
  });

  it("holds no secret of any environment that runs, of the front door or of the database", async () => {
    const paths = pathsUnder(temporaryDirectory());
    const environments = { blue: "b".repeat(16), green: "a".repeat(16) };
    const running = (version: string, environment: string): ReturnType<typeof serving> => {
      const state = serving(version);
      return { ...state, release: { ...state.release!, intent: { ...state.release!.intent, environment } } };
    };
    const site = siteOf({ blue: running("v1", environments.blue), green: running("v2", environments.green) });
    fs.mkdirSync(paths.environments, { recursive: true });
    fs.mkdirSync(paths.database, { recursive: true });
    fs.writeFileSync(paths.site, JSON.stringify(site));
    const variables = { KEY: "of-blue", NEXT_PUBLIC_URL: "https://shop.example.com" };
    fs.writeFileSync(join(paths.environments, `${environments.blue}.json`), JSON.stringify(variables));
    fs.writeFileSync(join(paths.environments, `${environments.green}.json`), '{"KEY":"of-green"}');
    fs.writeFileSync(join(paths.database, "settings.json"), '{"url":"postgres://u:pass%2Fword@h/d"}');
    const secrets = await secretsOfHost(paths);
    const mask = masker(() => secrets);
    const source = fileSource("application", "blue_out", "/none");
    const text = [
      "of-blue",
      "of-green",
      "pass/word",
      site.probeKey,
      SETTINGS.testers.secret,
      variables.NEXT_PUBLIC_URL,
    ];
    expect(mask(source, text.join(" "))).toBe(
      "[KEY] [KEY] [DATABASE_PASSWORD] [PROBE_KEY] [TESTER_SECRET] https://shop.example.com",
    );
  });
});

describe("shipping", () => {
  const GROUP = "/garage/app";
  const settings: MonitoringSettings = {
    ...{ namespace: "Garage", stack: "test", intervalSeconds: 60, region: "eu-central-1", endpoint: null },
    ...{ authority: null, credentials: null, business: {}, logGroups: { application: GROUP } },
  };

  /** A host with one log, and an API that keeps what it takes. */
  async function shipping(
    api: Partial<LogsApi> = {},
    directory = temporaryDirectory(),
  ): Promise<{
    shipper: Shipper;
    log: string;
    taken: string[][];
    told: string[];
    directory: string;
  }> {
    const taken: string[][] = [];
    const told: string[] = [];
    const log = join(directory, "app.log");
    const source: LogSource = fileSource("application", "app", log);
    const shipper = new Shipper({
      settings,
      hostName: "web",
      sources: [source, fileSource("access", "access", join(directory, "unwanted.log"))],
      positions: await Positions.open(join(directory, "positions.json")),
      api: {
        makeStream: () => Promise.resolve(),
        put: (_group, _stream, events) => {
          taken.push(events.map(({ message }) => message));
          return Promise.resolve(0);
        },
        ...api,
      },
      mask: (_source, text) => text.replaceAll("first\nsecond", "[KEY]").replaceAll("hunter22", "[PASSWORD]"),
      refreshMask: () => Promise.resolve(),
      complaints: new Complaints((line) => told.push(line)),
      now: () => NOW,
    });
    return { shipper, log, taken, told, directory };
  }

  it("takes each line for itself, whatever is masked in it", async () => {
    const { shipper, log, taken } = await shipping();
    await shipper.prepare();
    fs.writeFileSync(log, "first\nsecond\n\nhunter22 \0!\nlast\n");
    await shipper.ship();
    expect(taken).toEqual([["first", "second", "[PASSWORD] !", "last"]]);
  });

  it("that dies between the API's answer and its own memory repeats one batch", async () => {
    const { shipper, log, directory } = await shipping();
    await shipper.prepare();
    const positions = fs.readFileSync(join(directory, "positions.json"), "utf8");
    fs.writeFileSync(log, "one\n");
    await shipper.ship();
    fs.writeFileSync(join(directory, "positions.json"), positions);
    fs.appendFileSync(log, "two\n");
    const next = await shipping({}, directory);
    await next.shipper.ship();
    expect(next.taken).toEqual([["one", "two"]]);
  });

  it("makes a stream anew that somebody removed", async () => {
    const made: string[] = [];
    let there = false;
    const { shipper, log, told } = await shipping({
      makeStream: (group, stream) => Promise.resolve(void made.push(`${group} ${stream}`)),
      put: () => {
        if (there) return Promise.resolve(0);
        there = true;
        return Promise.reject(Object.assign(new Error("gone"), { name: "ResourceNotFoundException" }));
      },
    });
    fs.writeFileSync(log, "one\n");
    await shipper.ship();
    expect([made, told]).toEqual([[`${GROUP} web/app`], []]);
  });

  it("goes on behind a batch that is refused for what it is, and says so", async () => {
    const refusal = Object.assign(new Error("no"), {
      name: "InvalidParameterException",
      $metadata: { httpStatusCode: 400 },
    });
    let puts = 0;
    const { shipper, log, told } = await shipping({
      put: () => (++puts === 1 ? Promise.reject(refusal) : Promise.resolve(0)),
    });
    fs.writeFileSync(log, "one\n");
    await shipper.ship();
    fs.appendFileSync(log, "two\n");
    await shipper.ship();
    expect(puts).toBe(2);
    expect(told[0]).toMatch(
      /the log app: shipping logs to the group \/garage\/app: InvalidParameterException: no/,
    );
  });

  it("without the secrets ships nothing", async () => {
    const { log, taken, told, directory } = await shipping();
    fs.writeFileSync(log, "one\n");
    const blind = new Shipper({
      settings,
      hostName: "web",
      sources: [fileSource("application", "app", log)],
      positions: await Positions.open(join(directory, "positions.json")),
      api: { makeStream: () => Promise.resolve(), put: () => Promise.resolve(taken.push([])) },
      mask: (_source, text) => text,
      refreshMask: () => Promise.reject(new Error("damaged")),
      complaints: new Complaints((line) => told.push(line)),
    });
    await blind.ship();
    expect([taken, told]).toEqual([[], ["secrets in logs: damaged"]]);
  });
});
