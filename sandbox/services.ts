import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { writeInOneStep } from "./one-step";
import { identify, isAlive, signalProcess, waitFor, type ProcessIdentity } from "./processes";
import type { World } from "./world";

/** A background program of the sandbox that is to be found again, and ended, by a later run. */
export interface Service {
  readonly name: string;
  readonly argv: readonly string[];
  readonly process: ProcessIdentity;
  /** It leads a session, all of whose processes end with it. */
  readonly ownSession: boolean;
}

/** Longest wait for a service to end after a signal, in seconds; then it is killed. What it saves at its end it may save. */
const STOP_SECONDS = 60;

/** Starts a program in a session of its own that outlives the caller. Its output goes to `services/<name>.log`. */
export function startService(world: World, name: string, argv: readonly string[]): Service {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("startService: the argument list is empty");
  if (findService(world, name) !== null) throw new Error(`service ${name} runs already: stop it first`);
  fs.mkdirSync(servicesDirectory(world), { recursive: true });
  const log = fs.openSync(serviceLog(world, name), "a");
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log], cwd: "/" });
  child.on("error", () => undefined); // Told by the missing process id below.
  fs.closeSync(log);
  child.unref();
  if (child.pid === undefined) throw new Error(`service ${name}: cannot run ${program}`);
  const identity = identify(child.pid);
  if (identity === null) throw new Error(`service ${name} ended at once; see ${serviceLog(world, name)}`);
  const service: Service = { name, argv, process: identity, ownSession: true };
  writeInOneStep(recordFile(world, name), JSON.stringify(service));
  return service;
}

/** Puts this process on record, so that `down` ends it too; {@link forgetSelf} takes it off again. */
export function recordSelf(world: World, name: string): void {
  const self = identify(process.pid);
  if (self === null) throw new Error("this process is not in /proc: the sandbox needs a mounted /proc");
  fs.mkdirSync(servicesDirectory(world), { recursive: true });
  const service: Service = { name, argv: process.argv, process: self, ownSession: false };
  writeInOneStep(recordFile(world, name), JSON.stringify(service));
}

/** Takes this process off the record. */
export function forgetSelf(world: World, name: string): void {
  fs.rmSync(recordFile(world, name), { force: true });
}

/** Returns a service that runs, or null. */
export function findService(world: World, name: string): Service | null {
  const file = recordFile(world, name);
  if (!fs.existsSync(file)) return null;
  const service = JSON.parse(fs.readFileSync(file, "utf8")) as Service;
  return isAlive(service.process) ? service : null;
}

/**
 * Ends a service with all processes of its session, if exactly that one still runs, and forgets it.
 * @param seconds It has so long to end by itself.
 */
export async function stopService(world: World, name: string, seconds = STOP_SECONDS): Promise<void> {
  const service = findService(world, name);
  if (service !== null) {
    const ended = (): true | undefined => (isAlive(service.process) ? undefined : true);
    signalService(service, "SIGTERM");
    try {
      await waitFor(`service ${name} to end`, seconds, ended);
    } catch {
      signalService(service, "SIGKILL");
      await waitFor(`service ${name} to be killed`, STOP_SECONDS, ended);
    }
  }
  fs.rmSync(recordFile(world, name), { force: true });
  fs.rmSync(serviceLog(world, name), { force: true });
}

/**
 * Ends what an earlier run left: every service whose name begins with one of `prefixes`. Which those are is settled when this is
 * called, so that what the caller starts beside it goes on.
 */
export async function stopServicesLeft(world: World, ...prefixes: readonly string[]): Promise<void> {
  const left = serviceNames(world).filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));
  for (const name of left) await stopService(world, name);
}

/** Names of all services on record, running or not. */
export function serviceNames(world: World): string[] {
  if (!fs.existsSync(servicesDirectory(world))) return [];
  const files = fs.readdirSync(servicesDirectory(world)).filter((file) => file.endsWith(".json"));
  return files.map((file) => path.basename(file, ".json")).sort();
}

/** Tells whether a service of the world runs. */
export function hasLiveServices(world: World): boolean {
  return serviceNames(world).some((name) => findService(world, name) !== null);
}

/** Where a service's output goes. */
export function serviceLog(world: World, name: string): string {
  return path.join(servicesDirectory(world), `${name}.log`);
}

function signalService({ process: identity, ownSession }: Service, signal: NodeJS.Signals): void {
  if (!ownSession) signalProcess(identity, signal);
  if (!ownSession || !isAlive(identity)) return;
  try {
    process.kill(-identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function servicesDirectory(world: World): string {
  return path.join(world.stateDirectory, "services");
}

function recordFile(world: World, name: string): string {
  return path.join(servicesDirectory(world), `${name}.json`);
}
