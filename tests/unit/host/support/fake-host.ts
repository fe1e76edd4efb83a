import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { CertificateKeeper } from "../../../../host/conductor/certificates/keeper";
import { Conductor } from "../../../../host/conductor/conductor";
import { DatabaseJobs } from "../../../../host/conductor/database/database-jobs";
import { MonitoringKeeper } from "../../../../host/conductor/monitoring/monitoring-keeper";
import type { StartPublisher } from "../../../../host/conductor/monitoring/publisher-process";
import { MonitoringStore } from "../../../../host/monitoring/state";
import type { DatabaseWorker } from "../../../../host/conductor/database/worker-process";
import { DatabaseStore } from "../../../../host/database/state";
import { Failed, NotRecorded, Refused } from "../../../../host/conductor/faults";
import type { Inspector, SitePart } from "../../../../host/conductor/drift/drift";
import type { Environments } from "../../../../host/conductor/releases/environments";
import type { FrontDoor } from "../../../../host/conductor/front-door/front-door";
import type { Releases } from "../../../../host/conductor/releases/prepare";
import type { Prober } from "../../../../host/conductor/processes/prober";
import type { Processes } from "../../../../host/conductor/processes/processes";
import { COLOURS, type Act, type Colour, type SmokeResult } from "../../../../host/conductor/protocol";
import type { ReleaseHost } from "../../../../host/conductor/releases/release";
import { encodeRoute, routeOf, shareOf, type Site } from "../../../../host/conductor/site";
import type { SmokeTests } from "../../../../host/conductor/releases/smoke";
import { openStore, type Store } from "../../../../host/conductor/store";
import { writeDurably } from "../../../../host/conductor/system/durable-file";
import type { WriteDurably } from "../../../../host/conductor/system/reserve";
import { fakeCertificateHost } from "./fake-certificates";
import { pathsUnder, runningOf, temporaryDirectory } from "./fixtures";

/** Called at each step with its name; it may throw, or keep the step from ever ending. */
export type Hook = (step: string) => void | Promise<void>;

/**
 * A host without Nginx, PM2 and git: what they would hold is held here, and outlives a conductor, while the truth is a
 * real one on disk. It keeps a list of what was done, and of what should never be done.
 */
export class FakeHost {
  readonly directory = temporaryDirectory();
  /** Version that runs on each colour. */
  readonly running: Record<Colour, string | null> = { blue: null, green: null };
  /** What happened, in order. */
  readonly events: string[] = [];
  /** What was done to users: a colour that they were on was touched. */
  readonly violations: string[] = [];
  /** Versions that run and are not well. */
  readonly sick = new Set<string>();
  /** Versions that are well and fail their smoke tests. */
  readonly smoking = new Set<string>();
  /** Directories of releases that somebody removed. */
  readonly gone = new Set<string>();
  /** What instances wrote to their error logs, by colour. */
  readonly errors: Record<Colour, string[]> = { blue: [], green: [] };
  /** What somebody changed by hand, by part. */
  readonly drift = new Map<SitePart, string>();
  /** Requests under way, by colour. */
  readonly inFlight: Record<Colour, number> = { blue: 0, green: 0 };
  /** Why the file that the front door starts with cannot be written; null while it can. */
  fileFault: string | null = null;
  /** How the truth is written. */
  write: WriteDurably = writeDurably;
  /** Route that the front door has; null while it is down. */
  route: string | null = "blue 0 0 0 0 0";
  hook: Hook = () => undefined;
  private live: Site | null = null;
  private unrecorded: string | null = null;

  /** Opens the truth anew, as a conductor that starts does. */
  async start(): Promise<{ conductor: Conductor; store: Store; host: ReleaseHost }> {
    const [site, journal] = [join(this.directory, "site.json"), join(this.directory, "journal.json")];
    const store = this.hooked(await openStore(site, journal, (...file) => this.write(...file)));
    const host: ReleaseHost = {
      store,
      frontDoor: this.frontDoor,
      processes: this.processes,
      prober: this.prober,
      releases: this.releases,
      environments: this.environments,
      smokeTests: this.smokeTests,
      inspector: this.inspector,
    };
    const paths = pathsUnder(this.directory);
    const certificates = new CertificateKeeper(fakeCertificateHost(paths.certificates), paths);
    mkdirSync(dirname(paths.databaseMark), { recursive: true });
    const worker: DatabaseWorker = { take: (act, around) => this.worker.take(act, around) };
    const database = new DatabaseJobs(worker, this.databaseStore, paths.databaseMark);
    const monitoring = new MonitoringKeeper(
      (settings, events) => this.publisher(settings, events),
      this.monitoringStore,
      () => undefined,
    );
    return { conductor: new Conductor(host, paths, certificates, database, monitoring), store, host };
  }

  /** What the database's worker does with each act; refuses everything unless a test says otherwise. */
  worker: DatabaseWorker = { take: () => Promise.reject(new Refused("the host knows no database")) };

  /** What a publisher does that is started; by default its first try goes well. */
  publisher: StartPublisher = (_settings, { onFirstTry }) => {
    onFirstTry(null);
    return { stop: () => Promise.resolve() };
  };

  /** What the host knows of where it publishes to. */
  readonly monitoringStore = new MonitoringStore(join(this.directory, "monitoring"));

  /** What the host knows of the database. */
  readonly databaseStore = new DatabaseStore(join(this.directory, "database"));

  /** Puts a truth in force, with the processes and the route that belong to it. */
  async become(site: Site): Promise<{ conductor: Conductor; store: Store; host: ReleaseHost }> {
    const started = await this.start();
    await this.frontDoor.set(await started.store.update(() => site));
    for (const colour of COLOURS) {
      this.running[colour] = site.colours[colour].release?.intent.version ?? null;
    }
    this.events.length = 0;
    return started;
  }

  private async step(name: string): Promise<void> {
    this.events.push(name);
    await this.hook(name);
  }

  /** A colour with users on it, or with requests that have not ended, may not be touched. */
  private touch(colour: Colour): void {
    if (this.route === null || this.live?.traffic == null) {
      return;
    }
    if (shareOf(routeOf(this.live), colour) > 0) {
      this.violations.push(`${colour} was touched while it had users`);
    }
    if (this.inFlight[colour] > 0) {
      this.violations.push(`${colour} was touched before its requests had ended`);
    }
  }

  readonly frontDoor: FrontDoor = unrecordedIs(() => this.unrecorded, {
    set: async (site) => {
      await this.step(`route ${COLOURS.map((c) => `${c} ${shareOf(routeOf(site), c)}`).join(" ")}`);
      this.live = site;
      if (this.route === null) {
        return false;
      }
      this.route = encodeRoute(routeOf(site));
      this.unrecorded = this.fileFault;
      if (this.unrecorded !== null) {
        throw new NotRecorded(this.unrecorded);
      }
      return true;
    },
    read: () => Promise.resolve(this.route),
    inFlight: async (colour) => {
      await this.step(`drain ${colour}`);
      // Nothing is under way where no front door is.
      return this.route === null ? 0 : this.inFlight[colour];
    },
    metrics: () => Promise.resolve("front_door_requests_total 0\n"),
    prove: async (site) => {
      await this.step("prove traffic");
      for (const colour of COLOURS.filter((c) => shareOf(routeOf(site), c) > 0)) {
        const version = this.running[colour];
        if (version === null || this.sick.has(version)) {
          throw new Failed(`${colour} does not answer`);
        }
      }
    },
  });

  private readonly processes: Processes = {
    swap: async (colour, release) => {
      this.touch(colour);
      this.running[colour] = null;
      await this.step(`swap ${colour} ${release.intent.version}`);
      this.running[colour] = release.intent.version;
    },
    ensure: async (colour, release) => {
      await this.step(`ensure ${colour} ${release.intent.version}`);
      this.running[colour] = release.intent.version;
    },
    mend: async (colour, release) => {
      await this.step(`mend ${colour} ${release.intent.version}`);
      this.drift.delete(colour);
      this.running[colour] = release.intent.version;
    },
    stop: async (colour) => {
      this.touch(colour);
      await this.step(`stop ${colour}`);
      this.drift.delete(colour);
      this.running[colour] = null;
    },
    errors: (colour) => Promise.resolve(this.errors[colour]),
  };

  private readonly prober: Prober = {
    probe: async (colour, release) => {
      await this.step(`probe ${colour} ${release.intent.version}`);
      const version = this.running[colour];
      const well = version === release.intent.version && !this.sick.has(version);
      return well ? null : `instance 0 runs ${String(version)}`;
    },
  };

  private readonly releases: Releases = {
    prepare: async (intent, _keeping, { signal }) => {
      await Promise.race([this.step(`prepare ${intent.version}`), reasonOf(signal)]);
      const { commit, directory } = runningOf(intent.version);
      return { intent, commit, directory };
    },
    restore: async ({ intent, directory }) => {
      if (this.gone.has(directory)) {
        await this.step(`rebuild ${intent.version}`);
      }
    },
    prune: async ({ inUse, settings }) => {
      await this.step(`prune all but ${[...inUse].sort().join(" ")} and ${settings.releasesKept}`);
    },
  };

  private readonly environments: Environments = {
    write: async (hash) => {
      await this.step(`environment ${hash}`);
      return "digest";
    },
    read: () => Promise.resolve({}),
    prune: async (inUse) => {
      await this.step(`prune environments but ${[...new Set(inUse)].sort().join(" ")}`);
    },
  };

  private readonly smokeTests: SmokeTests = {
    ofColour: async (colour, { intent: { version } }) => {
      await this.step(`smoke ${colour} ${version}`);
      return this.smokeOf(!this.smoking.has(version));
    },
    ofSite: async () => {
      await this.step("smoke site");
      return this.smokeOf(true);
    },
  };

  private smokeOf(passed: boolean): SmokeResult {
    return { passed, checks: [{ name: "home", passed, detail: "GET / answered", milliseconds: 1 }] };
  }

  private readonly inspector: Inspector = {
    find: async (_site, part) => {
      await this.hook(`inspect ${part}`);
      return this.drift.get(part) ?? null;
    },
  };

  private hooked(store: Store): Store {
    const step = (name: string): Promise<void> => this.step(name);
    let told = store.site.generation;
    const tell = async (changing: Promise<Site>): Promise<Site> => {
      const site = await changing;
      if (site.generation !== told) {
        told = site.generation;
        await step("saved");
      }
      return site;
    };
    return {
      get site() {
        return store.site;
      },
      get unfinished() {
        return store.unfinished;
      },
      get unrecorded() {
        return store.unrecorded;
      },
      update: (change) => tell(store.update(change)),
      enforce: (change) => tell(store.enforce(change)),
      async begin(act: Act) {
        await store.begin(act);
        await step("begin");
      },
      async end() {
        await store.end();
        await step("end");
      },
    };
  }
}

/** Rejects with a signal's reason, as soon as it has one. */
function reasonOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

/** A front door with a fault that is asked for whenever it is read. */
function unrecordedIs(fault: () => string | null, door: Omit<FrontDoor, "unrecorded">): FrontDoor {
  return Object.defineProperty({ ...door, unrecorded: null }, "unrecorded", { get: fault });
}

/** What happened, without bookkeeping and repetition: the order that matters. */
export function outline(events: readonly string[]): string[] {
  const told = events.filter((event) => !["saved", "begin", "end"].includes(event));
  return told.filter((event, index) => event !== told[index - 1]);
}

/** A hook that lets a conductor die at its `n`th step (from 0): that step never ends. */
export function dieAt(n: number): { hook: Hook; dead: Promise<string> } {
  let count = 0;
  let tell: (step: string) => void;
  const dead = new Promise<string>((resolve) => (tell = resolve));
  const hook: Hook = (step) => {
    if (count++ < n) {
      return;
    }
    tell(step);
    return new Promise<void>(() => undefined);
  };
  return { hook, dead };
}

/** A hook that fails at the first step with this name. */
export function failAt(name: string): Hook {
  let failed = false;
  return (step) => {
    if (step === name && !failed) {
      failed = true;
      throw new Failed(`${name} went wrong`);
    }
  };
}
