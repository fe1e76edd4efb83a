import { isDeepStrictEqual } from "node:util";
import { Failed, NotRecorded, Refused } from "./faults";
import { ActQueue, type Progress } from "./act-queue";
import type { CertificateKeeper } from "./certificates/keeper";
import type { DatabaseActs } from "../database/protocol";
import type { DatabaseJobs, Maintenance } from "./database/database-jobs";
import { findDrift } from "./drift/drift";
import { applySiteConfiguration } from "./front-door/site-files";
import { drain } from "./front-door/drain";
import { enforceRoute } from "./front-door/front-door";
import { setMaintenance } from "./front-door/maintenance";
import type { MonitoringKeeper } from "./monitoring/monitoring-keeper";
import type { Paths } from "./paths";
import { planSteps, refusalOf } from "./plan";
import {
  COLOURS,
  type AbortAct,
  type AckAct,
  type Act,
  type CertifyAct,
  type CertifyResult,
  type ConfigureAct,
  type ConfigureResult,
  type DriftAct,
  type DriftResult,
  type EnvironmentAct,
  type EnvironmentResult,
  type MaintenanceResult,
  type PlanAct,
  type PlanResult,
} from "./protocol";
import type { ReleaseResult, SiteSettings, SiteStatus, TrafficResult } from "./protocol";
import { release, type ReleaseHost } from "./releases/release";
import { smoke } from "./releases/smoke";
import { isSameIntent, statusOf, withAbort, withAck, type Site } from "./site";
import { setTraffic } from "./front-door/traffic";

/** What an act about the site answers with. */
type ActResult =
  ConfigureResult | EnvironmentResult | PlanResult | ReleaseResult | TrafficResult | MaintenanceResult;

/** The acts about the site that wait for one another. */
type QueuedAct = Exclude<
  Act,
  DatabaseActs | { act: "status" | "drift" | "abort" | "ack" | "smoke" | "certify" | "monitoring" }
>;

/**
 * Takes the site's acts one after the other, and beside them those about the database. `status`, `drift` and `smoke` wait
 * for nobody.
 */
export class Conductor {
  private readonly acts = new ActQueue<QueuedAct>();

  constructor(
    private readonly host: ReleaseHost,
    private readonly paths: Paths,
    private readonly certificates: CertificateKeeper,
    private readonly database: DatabaseJobs,
    private readonly monitoring: MonitoringKeeper,
  ) {}

  /**
   * Finishes the act that was under way when the conductor last ended. Its fault is told, not thrown. Call it before
   * any act is taken: what was under way was asked for earlier, so it is queued first.
   */
  async recover(log: Progress): Promise<void> {
    const { store, frontDoor } = this.host;
    const routed = this.acts.run(async () => {
      // Acts are taken all the same: one of them may be an abort. The health watch tries again.
      const unrecorded = await enforceRoute(frontDoor, store.site);
      if (unrecorded !== null) log(unrecorded);
    });
    await Promise.all([
      routed,
      this.monitoring.recover(),
      // A release that is finished first may be built for an hour: users are not kept out as long.
      this.database.recover(this.maintenance(log), log, routed),
      this.finish(store.unfinished, log),
    ]);
  }

  private async finish(unfinished: Act | null, log: Progress): Promise<void> {
    if (unfinished === null) return;
    log(`finishing the act that was under way: ${name(unfinished)}`);
    await this.take(unfinished, log).catch((error: unknown) => {
      log(`${name(unfinished)}: ${(error as Error).message}`);
    });
  }

  /**
   * Carries an act out.
   * @throws Refused, Failed
   */
  take(act: Act, progress: Progress): Promise<unknown> {
    switch (act.act) {
      case "status":
        return this.status();
      case "drift":
        return this.drift(act);
      case "certify":
        return this.certify(act, progress);
      case "abort":
      case "ack":
        return this.intervene(act, progress);
      case "smoke":
        return smoke(this.host.smokeTests, this.host.store.site, act, progress);
      case "monitoring":
        return this.monitoring.take(act, progress);
      case "database":
      case "migrations":
      case "backup":
      case "rehearse":
      case "migrate":
      case "check":
      case "restore":
      case "database-status":
        return this.database.take(act, () => this.host.store.site, this.maintenance(progress), progress);
      default:
        if (act.act === "plan") this.acts.giveUp((other) => whyUnwanted(other, act));
        return this.acts.take(name(act), act, progress, (tell, signal) => this.carryOut(act, tell, signal));
    }
  }

  /** What the front door counted, as Prometheus text. */
  metrics(): Promise<string> {
    return this.host.frontDoor.metrics();
  }

  private async status(): Promise<SiteStatus> {
    const { site } = this.host.store;
    const certificate = site.settings === null ? null : await this.certificates.status(site.settings);
    const beside = this.certificates.isTrying ? "certify" : null;
    const underWay = this.acts.underWay ?? this.database.underWay ?? beside;
    const monitoring = this.monitoring.status;
    const { unrecorded } = this;
    return {
      ...statusOf(site, underWay, certificate),
      ...(monitoring === null ? {} : { monitoring }),
      ...(unrecorded === null ? {} : { unrecorded }),
    };
  }

  /** Why what is in force is not on the disk; null where it is. */
  private get unrecorded(): string | null {
    const { store, frontDoor } = this.host;
    return store.unrecorded ?? frontDoor.unrecorded;
  }

  private async drift({ desired }: DriftAct): Promise<DriftResult> {
    const { store, inspector } = this.host;
    const isUnderWay = (act: string): boolean => this.acts.has(act);
    const found = await findDrift(store, inspector, isUnderWay);
    const database = await this.database.drift(store.site);
    if (desired === undefined) return { ...found, database };
    // What an act is changing just now is judged by the plan, which waits for it.
    const isSettled = this.acts.underWay === null;
    return { ...found, database, refusal: isSettled ? refusalOf(store.site, desired) : null };
  }

  /**
   * How acts about the database keep users out, for a while. It waits for none of the site's acts, of which a build may take an hour, and
   * is in no journal: the mark that such an act leaves says what is to be undone.
   */
  private maintenance(progress: Progress): Maintenance {
    const { store, frontDoor } = this.host;
    const { maintenanceFile } = this.paths;
    return {
      get isClosed() {
        return store.site.maintenance;
      },
      set: async (on) => {
        const { settings } = store.site;
        // A site without settings has no users to keep out.
        if (settings === null) return;
        await setMaintenance(store, frontDoor, maintenanceFile, { act: "maintenance", on }, progress);
        if (!on) return;
        // What a user is told from here on would be missing in the backup that comes next.
        const drained = COLOURS.map((colour) => drain(frontDoor, colour, settings.drainSeconds, progress));
        for (const line of await Promise.all(drained)) progress(line);
      },
    };
  }

  /**
   * Needs no journal: what is asked for stands in the settings already, and whoever watches over the certificate goes by
   * them.
   */
  private async certify({ domains, tls }: CertifyAct, progress: Progress): Promise<CertifyResult> {
    const { settings } = this.host.store.site;
    if (!isDeepStrictEqual({ domains: settings?.domains, tls: settings?.tls }, { domains, tls })) {
      throw new Refused(
        "the site is configured for other domains or another certificate; run `pulumi up` again",
      );
    }
    return this.certificates.certify({ domains, tls }, progress);
  }

  /**
   * What cannot wait for a build to end: one step in the truth, one in the front door. An abort does not wait for a disk either:
   * the way back is always open.
   * @throws NotRecorded where it is in force, and a restart would undo it.
   */
  private async intervene(act: AbortAct | AckAct, progress: Progress): Promise<SiteStatus> {
    const { store, frontDoor } = this.host;
    const at = new Date().toISOString();
    const saved = await (act.act === "abort"
      ? store.enforce((site) => withAbort(site, act.reason, at))
      : store.update(withAck));
    // What is not recorded is told below, with what the truth has to say.
    await enforceRoute(frontDoor, saved);
    progress(
      saved.aborted === null ? "no colour is aborted" : `${saved.aborted.colour} gets no users until \`ack\``,
    );
    if (this.unrecorded !== null) {
      throw new NotRecorded(
        `in force, not recorded: ${this.unrecorded}\nThis holds until Nginx or the conductor restarts; make room on the host ` +
          `(\`df -h\`) and ${act.act} again`,
      );
    }
    return this.status();
  }

  private async carryOut(act: QueuedAct, progress: Progress, signal: AbortSignal): Promise<ActResult> {
    const { store, frontDoor } = this.host;
    if (act.act === "plan") {
      // A site without a database does not depend on what is written down of one.
      const schemaVersion = act.schema === undefined ? null : (await this.database.state()).schemaVersion;
      return { steps: planSteps(store.site, act, schemaVersion) };
    }
    if (act.act === "environment") {
      return await this.keepEnvironment(act);
    }
    await store.begin(act);
    try {
      switch (act.act) {
        case "configure":
          return await this.configure(act);
        case "release":
          return await release(this.host, act, progress, signal);
        case "traffic":
          return await setTraffic(store, frontDoor, act, progress);
        case "maintenance":
          return await setMaintenance(store, frontDoor, this.paths.maintenanceFile, act, progress);
      }
    } finally {
      await store.end();
    }
  }

  /** Not journaled: it is done or not, in one step, and the journal would be one more place with the secrets. */
  private async keepEnvironment({ hash, variables }: EnvironmentAct): Promise<EnvironmentResult> {
    const environmentDigest = await this.host.environments.write(hash, variables);
    await this.host.store.update((site) => ({ ...site, environment: hash, environmentDigest }));
    return { hash };
  }

  private async configure(act: ConfigureAct): Promise<ConfigureResult> {
    const { store, frontDoor } = this.host;
    requireSamePorts(store.site, act.site);
    await this.certificates.prepare(act.site, store.site.settings);
    const configuration = await this.certificates.reloads.run(() =>
      applySiteConfiguration({
        settings: act.site,
        paths: this.paths,
        probeKey: store.site.probeKey,
      }),
    );
    await frontDoor.set(await store.update((site) => ({ ...site, settings: act.site })));
    return { configuration };
  }
}

/**
 * A release that the newest plan asks for no longer is not built to its end: `up` with the prior config would wait for that, half an
 * hour maybe. Null: it is wanted, or takes no build.
 */
function whyUnwanted(act: QueuedAct, plan: PlanAct): Failed | null {
  if (act.act !== "release" || act.release === null) return null;
  const { colour, release: given } = act;
  const wanted = plan.releases[colour];
  if (wanted !== null && isSameIntent(wanted, given)) return null;
  const other = wanted?.version ?? "nothing";
  const instead = other === given.version ? "another make of it" : other;
  return new Failed(
    `${given.version} is given up before it touched what serves: a later \`up\` asks for ${instead} on ${colour}`,
  );
}

/** @throws Refused where a colour that runs would be looked for on another port than it listens on. */
function requireSamePorts(site: Site, settings: SiteSettings): void {
  for (const colour of COLOURS) {
    const port = site.settings?.ports[colour];
    if (site.colours[colour].release !== null && port !== settings.ports[colour]) {
      throw new Refused(
        `${colour} listens on port ${port ?? 0}; retire ${colour} before its port is changed`,
      );
    }
  }
}

/** Names an act without its content, which may hold a secret. */
export function name(act: Act): string {
  return act.act === "release" ? `release ${act.colour}` : act.act;
}
