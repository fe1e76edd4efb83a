import { isDeepStrictEqual } from "node:util";
import { Refused } from "./faults";
import type { CertificateKeeper } from "./certificates/keeper";
import { findDrift } from "./drift/drift";
import { applySiteConfiguration } from "./front-door/site-files";
import { Lane } from "./system/lane";
import { setMaintenance } from "./front-door/maintenance";
import type { Paths } from "./paths";
import { planSteps } from "./plan";
import {
  COLOURS,
  type AbortAct,
  type AckAct,
  type Act,
  type CertifyAct,
  type CertifyResult,
  type ConfigureAct,
  type ConfigureResult,
  type DriftResult,
  type EnvironmentAct,
  type EnvironmentResult,
  type MaintenanceResult,
  type PlanResult,
  type SmokeResult,
} from "./protocol";
import type { ReleaseResult, SiteSettings, SiteStatus, TrafficResult } from "./protocol";
import { release, type ReleaseHost } from "./releases/release";
import { smoke } from "./releases/smoke";
import { statusOf, withAbort, withAck, type Site } from "./site";
import { setTraffic } from "./front-door/traffic";

/** What any act answers with. */
export type ActResult =
  | ConfigureResult
  | CertifyResult
  | EnvironmentResult
  | PlanResult
  | ReleaseResult
  | TrafficResult
  | MaintenanceResult
  | SmokeResult
  | SiteStatus
  | DriftResult;

/** Tells one line of progress. */
export type Progress = (line: string) => void;

/** The acts that wait for one another. */
type QueuedAct = Exclude<Act, { act: "status" | "drift" | "abort" | "ack" | "smoke" | "certify" }>;

interface UnderWay {
  readonly name: string;
  readonly content: string;
  readonly result: Promise<ActResult>;
  readonly listeners: Set<Progress>;
}

/**
 * Takes the site's acts one after the other. An act that is sent again while it is under way is joined, not repeated;
 * an act goes on when nobody listens any more. `status`, `drift` and `smoke` wait for nobody.
 */
export class Conductor {
  private readonly lane = new Lane();
  private readonly acts: UnderWay[] = [];

  constructor(
    private readonly host: ReleaseHost,
    private readonly paths: Paths,
    private readonly certificates: CertificateKeeper,
  ) {}

  /**
   * Finishes the act that was under way when the conductor last ended. Its fault is told, not thrown. Call it before
   * any act is taken: what was under way was asked for earlier, so it is queued first.
   */
  async recover(log: Progress): Promise<void> {
    const { store, frontDoor } = this.host;
    const { unfinished } = store;
    const routed = this.lane.run(() => frontDoor.set(store.site));
    if (unfinished !== null) {
      log(`finishing the act that was under way: ${name(unfinished)}`);
      await this.take(unfinished, log).catch((error: unknown) => {
        log(`${name(unfinished)}: ${(error as Error).message}`);
      });
    }
    await routed;
  }

  /**
   * Carries an act out.
   * @throws Refused, Failed
   */
  take(act: Act, progress: Progress): Promise<ActResult> {
    if (act.act === "status") {
      return this.status();
    }
    if (act.act === "certify") {
      return this.certify(act, progress);
    }
    if (act.act === "drift") {
      return findDrift(this.host.store, this.host.inspector, (name) =>
        this.acts.some((one) => one.name === name),
      );
    }
    if (act.act === "abort" || act.act === "ack") {
      return this.intervene(act, progress);
    }
    if (act.act === "smoke") {
      return smoke(this.host.smokeTests, this.host.store.site, act, progress);
    }
    const content = JSON.stringify(act);
    // Only the newest: after another act the same words ask for a change again.
    const joined = this.acts.at(-1);
    if (joined?.content === content) {
      joined.listeners.add(progress);
      return joined.result;
    }
    const listeners = new Set([progress]);
    const tell: Progress = (line) => listeners.forEach((listener) => listener(line));
    const result = this.lane.run(() => this.carryOut(act, tell));
    const entry: UnderWay = { name: name(act), content, result, listeners };
    this.acts.push(entry);
    const forget = (): void => void this.acts.splice(this.acts.indexOf(entry), 1);
    result.then(forget, forget);
    return result;
  }

  /** What the front door counted, as Prometheus text. */
  metrics(): Promise<string> {
    return this.host.frontDoor.metrics();
  }

  private async status(): Promise<SiteStatus> {
    const { site } = this.host.store;
    const certificate = site.settings === null ? null : await this.certificates.status(site.settings);
    const beside = this.certificates.isTrying ? "certify" : null;
    return statusOf(site, this.acts.at(0)?.name ?? beside, certificate);
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

  /** What cannot wait for a build to end: one step in the truth, one in the front door. */
  private async intervene(act: AbortAct | AckAct, progress: Progress): Promise<SiteStatus> {
    const { store, frontDoor } = this.host;
    const at = new Date().toISOString();
    const saved = await store.update((site) =>
      act.act === "abort" ? withAbort(site, act.reason, at) : withAck(site),
    );
    await frontDoor.set(saved);
    progress(
      saved.aborted === null ? "no colour is aborted" : `${saved.aborted.colour} gets no users until \`ack\``,
    );
    return this.status();
  }

  private async carryOut(act: QueuedAct, progress: Progress): Promise<ActResult> {
    const { store, frontDoor } = this.host;
    if (act.act === "plan") {
      return { steps: planSteps(store.site, act) };
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
          return await release(this.host, act, progress);
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
