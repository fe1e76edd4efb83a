import type { Site } from "../../conductor/site";
import { COLOURS } from "../../conductor/protocol";
import { inTime } from "../../conductor/system/wait";
import type { Complaints } from "../complaints";
import { METRICS } from "../protocol";
import { backupFigure } from "./backup";
import { certificateFigure } from "./certificate";
import type { DatabaseFigures } from "./database";
import { figure, type Figure, type Interval } from "./figure";
import { failedInARow, type PaymentMetrics } from "./payments";
import { countedSince, requestFigures, type FrontDoorCounts } from "./front-door";
import { restartFigures, type Restarts } from "./restarts";
import { systemFigures, type SystemCounts } from "./system";
import type { WebhookCounts, WebhookFigures } from "./webhooks";

/** Where an interval begins: the counts at its beginning. Null for what could not be had yet. */
export interface Baseline {
  /** When, in milliseconds since 1970. */
  readonly at: number;
  readonly frontDoor: FrontDoorCounts | null;
  readonly system: SystemCounts | null;
  readonly restarts: Restarts | null;
  /** Of the events that came in; absent in what a publisher of before kept. */
  readonly webhooks?: WebhookCounts | null;
  /** Payments that failed since one went through; absent in what a publisher of before kept. */
  readonly paymentsFailedInARow?: number;
  /** The database's own time of the last interval. */
  readonly databaseClock: string | null;
}

/** What is measured, and where. Each may fail for itself. */
export interface Sources {
  /** The truth about the site; null where nothing was ever configured. */
  site(): Promise<Site | null>;
  /** Does the health path answer through the front door? */
  isUp(site: Site): Promise<boolean>;
  frontDoor(): Promise<FrontDoorCounts>;
  system(): Promise<SystemCounts>;
  usage(): Promise<Figure[]>;
  restarts(): Promise<Restarts>;
  /** Null for a site without a webhook. */
  webhooks(before: WebhookCounts | null): Promise<WebhookFigures | null>;
  /** Null for a site without a database. */
  database(since: string): Promise<DatabaseFigures | null>;
  /** When what a restore would bring back was so; null for a site without a database. */
  lastBackup(): Promise<Date | null>;
  /** End of the certificate that users are shown; null where they are shown none. */
  certificateEnd(): Promise<Date | null>;
}

/** An older baseline says too little of now: the values of half a day would be those of one minute. */
const OLDEST_BASELINE_MS = 15 * 60 * 1000;

/** Longest wait for a source, in milliseconds: what hangs costs its own values, and not those of all the others. */
export const LONGEST_ANSWER_MS = 45_000;

/**
 * Measures what is published of the time since `before`. What a source could not tell this time is in the next interval
 * that it can tell of.
 * @param at End of the interval, in milliseconds since 1970.
 */
export async function measure(
  sources: Sources,
  {
    at,
    before,
    intervalSeconds,
    payments,
  }: { at: number; before: Baseline | null; intervalSeconds: number; payments?: PaymentMetrics | undefined },
  complaints: Complaints,
): Promise<{ interval: Interval; baseline: Baseline }> {
  const base = before !== null && Math.abs(at - before.at) <= OLDEST_BASELINE_MS ? before : null;
  const since = base?.databaseClock ?? new Date(base?.at ?? at - intervalSeconds * 1000).toISOString();
  const found = await askAll(sources, base, since, complaints);
  const { frontDoor, system, restarts, webhooks, database } = found;
  const failedBefore = base?.paymentsFailedInARow ?? 0;
  const failed =
    payments === undefined || database === null
      ? null
      : failedInARow(database.figures, payments, failedBefore);
  const figures = [...figuresOf(found, base, at), ...(failed === null ? [] : [failed])];
  const baseline = {
    at,
    frontDoor: frontDoor ?? base?.frontDoor ?? null,
    system: system ?? base?.system ?? null,
    restarts: restarts ?? base?.restarts ?? null,
    webhooks: webhooks?.counts ?? base?.webhooks ?? null,
    paymentsFailedInARow: failed?.value ?? failedBefore,
    databaseClock: database?.clock ?? base?.databaseClock ?? null,
  };
  return { interval: { at, figures }, baseline };
}

/** What each of the sources says; null for one that fails, which is told, or that has nothing to say. */
async function askAll(sources: Sources, base: Baseline | null, since: string, complaints: Complaints) {
  const attempt = async <T>(about: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      const result = await inTime(LONGEST_ANSWER_MS, work());
      complaints.end(about);
      return result;
    } catch (error) {
      complaints.begin(about, (error as Error).message);
      return null;
    }
  };
  const [site, frontDoor, system, usage, restarts, webhooks, database, lastBackup, certificateEnd] =
    await Promise.all([
      attempt("the site's state", () => siteNow(sources)),
      attempt("the front door's counts", () => sources.frontDoor()),
      attempt("this host's counts", () => sources.system()),
      attempt("memory and disk", () => sources.usage()),
      attempt("PM2", () => sources.restarts()),
      attempt("the webhook's requests", () => sources.webhooks(base?.webhooks ?? null)),
      attempt("the database's figures", () => sources.database(since)),
      attempt("the last backup", () => sources.lastBackup()),
      attempt("the certificate", () => sources.certificateEnd()),
    ]);
  return { site, frontDoor, system, usage, restarts, webhooks, database, lastBackup, certificateEnd };
}

/** What is published of what was found, but for what several sources tell together. */
function figuresOf(found: Awaited<ReturnType<typeof askAll>>, base: Baseline | null, at: number): Figure[] {
  const { site, frontDoor, system, usage, restarts, webhooks, database, lastBackup, certificateEnd } = found;
  return [
    figure(METRICS.publishes, 1),
    ...(site?.figures ?? []),
    ...(frontDoor === null
      ? []
      : doorFigures(frontDoor, base?.frontDoor ?? null, site?.isPromised !== false)),
    ...(system === null || base?.system == null ? [] : systemFigures(system, base.system)),
    ...(usage ?? []),
    ...(restarts === null || base?.restarts == null ? [] : restartFigures(restarts, base.restarts)),
    ...(webhooks?.figures ?? []),
    ...(database?.figures ?? []),
    ...(lastBackup === null ? [] : [backupFigure(lastBackup, at)]),
    ...(certificateEnd === null ? [] : [certificateFigure(certificateEnd, at)]),
  ];
}

/** What is to be told of the site, and whether anybody was promised one: before there is a colour for them, nobody was. */
async function siteNow(sources: Sources): Promise<{ figures: Figure[]; isPromised: boolean }> {
  const site = await sources.site();
  if (site?.settings == null) return { figures: [], isPromised: false };
  const healthy = COLOURS.flatMap((colour) =>
    site.colours[colour].release === null
      ? []
      : [figure(METRICS.healthy, site.colours[colour].healthy ? 1 : 0, colour)],
  );
  if (site.traffic === null) return { figures: healthy, isPromised: false };
  const isUp = figure(METRICS.applicationUp, (await sources.isUp(site)) ? 1 : 0);
  return { figures: [isUp, ...healthy], isPromised: true };
}

/** Who comes before there is a site is counted, and gets an error that is nobody's fault. */
function doorFigures(now: FrontDoorCounts, before: FrontDoorCounts | null, isPromised: boolean): Figure[] {
  const counted = before === null ? [] : requestFigures(countedSince(now, before));
  return [
    ...counted.filter(({ name }) => isPromised || name !== METRICS.errorRate.name),
    ...(now.activeUsers === null ? [] : [figure(METRICS.activeUsers, now.activeUsers)]),
  ];
}
