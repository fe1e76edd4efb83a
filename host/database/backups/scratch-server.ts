import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { chmod, mkdir, readFile, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Failed } from "../../conductor/faults";
import { readIfThere } from "../../conductor/system/durable-file";
import { runCommand } from "../../conductor/system/command";
import { connect, type Address } from "../connection";
import { BARE_ENVIRONMENT, bound, type Programs } from "./programs";

/** Who runs a server: it refuses root. */
const USER = "postgres";

/** How long it may take to begin, and to end, in seconds. */
const START_SECONDS = 60;
const STOP_SECONDS = 20;

/** How often it is looked whether it has, in milliseconds. */
const LOOK_MS = 20;

/** It lives for one rehearsal: nothing of it has to outlive a crash, and nobody but this process connects. */
const SETTINGS = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  autovacuum: "off",
  max_wal_size: "2GB",
  maintenance_work_mem: "256MB",
  log_min_messages: "error",
};

/** A Postgres of the host's own for one rehearsal, that only a socket leads to. */
export class ScratchServer {
  private constructor(
    private readonly directory: string,
    private readonly child: ChildProcess,
    /** Its superuser, whose name is nobody's in a backup. */
    private readonly superuser: string,
  ) {}

  /**
   * Makes and starts one in a directory of its own below `scratch`; what a run that was killed left there is ended and removed.
   * @throws Failed with what it said
   */
  static async start(scratch: string, programs: Programs, encoding: string): Promise<ScratchServer> {
    const directory = serverDirectory(scratch);
    await ScratchServer.clear(scratch);
    // Whom it runs as has to pass.
    await chmod(scratch, 0o711);
    await mkdir(directory, { mode: 0o700 });
    const superuser = `rehearsal_${randomBytes(6).toString("hex")}`;
    try {
      if (process.getuid?.() === 0) await command(["chown", `${USER}:`, directory]);
      await initialise(directory, programs, { superuser, encoding });
      const server = new ScratchServer(directory, run(directory, programs), superuser);
      try {
        await server.waitUntilReady();
        return server;
      } catch (error) {
        await server.stop();
        throw error;
      }
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Ends and removes what a run that was killed left. */
  static async clear(scratch: string): Promise<void> {
    const directory = serverDirectory(scratch);
    const text = await readIfThere(join(directory, "data", "postmaster.pid")).catch(() => null);
    const pid = Number(text?.split("\n")[0]);
    if (Number.isInteger(pid) && pid > 1) await endLeftover(pid, join(directory, "data"));
    await rm(directory, { recursive: true, force: true });
  }

  /** How a database of it is reached, by its superuser or as somebody else. */
  address(database: string, user: string | null = null): Address {
    const parameters = { sslmode: "disable" };
    const { directory } = this;
    return { host: directory, port: 5432, user: user ?? this.superuser, password: "", database, parameters };
  }

  /** Ends it at once, and removes all of it. */
  async stop(): Promise<void> {
    await end(this.child);
    await rm(this.directory, { recursive: true, force: true });
  }

  private async waitUntilReady(): Promise<void> {
    const deadline = performance.now() + START_SECONDS * 1000;
    for (;;) {
      try {
        const client = await connect(this.address("postgres"), "ready?");
        await client.end();
        return;
      } catch (error) {
        const ended = this.child.exitCode !== null || this.child.signalCode !== null;
        if (ended || performance.now() > deadline) {
          const log = await readFile(join(this.directory, "log"), "utf8").catch(() => "");
          const lines = log.trim().split("\n").slice(-10).join("\n  ");
          throw new Failed(
            `the server for the rehearsal does not start: ${(error as Error).message}\n  ${lines}`,
          );
        }
        await pause(LOOK_MS);
      }
    }
  }
}

function serverDirectory(scratch: string): string {
  return join(scratch, "server");
}

/** Runs a short program. */
async function command(argv: readonly string[], user: string | null = null): Promise<void> {
  const env = { ...BARE_ENVIRONMENT };
  await runCommand({ argv: bound(argv, user), env, cwd: "/", timeoutSeconds: 300 });
}

async function initialise(
  directory: string,
  programs: Programs,
  { superuser, encoding }: { readonly superuser: string; readonly encoding: string },
): Promise<void> {
  // Names of locales are the system's, and another system's may be missing here; this one knows every letter's case.
  const locale = encoding === "UTF8" ? "C.UTF-8" : "C";
  await command(
    [
      ...[join(programs.directory, "initdb"), "--no-sync", "--auth=trust", `--username=${superuser}`],
      ...[`--encoding=${encoding}`, `--locale=${locale}`, `--pgdata=${join(directory, "data")}`],
    ],
    runAs(),
  );
}

/** Whom the server runs as; null for who runs this. */
function runAs(): string | null {
  return process.getuid?.() === 0 ? USER : null;
}

function run(directory: string, programs: Programs): ChildProcess {
  const settings = Object.entries({
    ...SETTINGS,
    unix_socket_directories: directory,
    logging_collector: "off",
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const postgres = [join(programs.directory, "postgres"), "-D", join(directory, "data"), ...settings];
  const [program = "", ...args] = bound(postgres, runAs());
  const log = openSync(join(directory, "log"), "w");
  try {
    const child = spawn(program, args, { env: BARE_ENVIRONMENT, cwd: "/", stdio: ["ignore", log, log] });
    child.on("error", () => undefined);
    return child;
  } finally {
    closeSync(log);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  // Its processes end at once, without writing anything down.
  child.kill("SIGQUIT");
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_SECONDS * 1000);
  await exited;
  clearTimeout(late);
}

/** Ends a server that is nobody's child any more, if that id is still this one's: it works in its directory. */
async function endLeftover(pid: number, data: string): Promise<void> {
  const directory = await realpath(data);
  const isIt = async (): Promise<boolean> =>
    (await readlink(`/proc/${String(pid)}/cwd`).catch(() => "")) === directory;
  const deadline = performance.now() + STOP_SECONDS * 1000;
  while (await isIt()) {
    try {
      process.kill(pid, performance.now() > deadline ? "SIGKILL" : "SIGQUIT");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await pause(LOOK_MS);
  }
}
