import { enforceRoute, type FrontDoor } from "../front-door/front-door";
import type { Prober } from "./prober";
import { COLOURS, type Colour } from "../protocol";
import { withColour, type Site } from "../site";
import type { Store } from "../store";

/** Consecutive results of a colour's probes. */
export interface Streak {
  readonly passes: number;
  readonly failures: number;
  /** Probes of a colour that has not passed since the watch began are not held against it: it may be starting. */
  readonly seenWell: boolean;
}

/** Nothing known yet. */
export const NO_STREAK: Streak = { passes: 0, failures: 0, seenWell: false };

/** Adds a probe's result. Pure. */
export function addProbe(streak: Streak, passed: boolean): Streak {
  return passed
    ? { passes: streak.passes + 1, failures: 0, seenWell: true }
    : { passes: 0, failures: streak.failures + 1, seenWell: streak.seenWell };
}

/** Returns what a colour's health becomes. Pure. */
export function judgeHealth(
  healthy: boolean,
  streak: Streak,
  limits: { readonly passes: number; readonly failures: number },
  startingUp: boolean,
): boolean {
  if (streak.passes >= limits.passes) {
    return true;
  }
  return healthy && !(streak.failures >= limits.failures && (streak.seenWell || !startingUp));
}

/**
 * Probes every colour that runs something, for ever, and keeps its health in the truth: a colour that falls sick loses
 * its share to the other one within moments, and gets it back when it is well. A full disk keeps it from neither; what
 * could not be recorded, by it or by an abort, it records once there is room.
 */
export class HealthWatch {
  private readonly streaks: Record<Colour, Streak> = { blue: NO_STREAK, green: NO_STREAK };
  private readonly startedAt = performance.now();
  private stopped = false;
  private told: string | null = null;
  /** Why the front door does not have the route that it should have, as far as is known; null where it has. */
  private unheard: string | null = null;

  constructor(
    private readonly store: Store,
    private readonly frontDoor: FrontDoor,
    private readonly prober: Prober,
    private readonly log: (line: string) => void,
  ) {}

  /** Probes until {@link HealthWatch.stop}. */
  async run(pause: (milliseconds: number) => Promise<void>): Promise<void> {
    while (!this.stopped) {
      await Promise.all(COLOURS.map((colour) => this.step(colour)));
      await pause(this.store.site.settings?.health.intervalMs ?? 1000);
    }
  }

  stop(): void {
    this.stopped = true;
  }

  /** Probes one colour once. A colour that is being changed is the act's business. */
  async step(colour: Colour): Promise<void> {
    const { settings, colours } = this.store.site;
    const { release, before } = colours[colour];
    if (settings === null || release === null || before !== null) {
      this.streaks[colour] = NO_STREAK;
      return;
    }
    const fault = await this.prober.probe(colour, release, settings);
    const streak = addProbe(this.streaks[colour], fault === null);
    this.streaks[colour] = streak;
    const startingUp = performance.now() - this.startedAt < settings.health.deadlineSeconds * 1000;
    const seen = this.store.site;
    const saved = await this.store.enforce((site) => {
      const now = site.colours[colour];
      // The colour was changed while the probe was under way: the result is about something else.
      return now.release !== release || now.before !== null
        ? site
        : withColour(site, colour, {
            healthy: judgeHealth(now.healthy, streak, settings.health, startingUp),
          });
    });
    const isChanged = saved.colours[colour].healthy !== seen.colours[colour].healthy;
    if (isChanged) {
      this.log(`${colour} is ${saved.colours[colour].healthy ? "healthy" : `not healthy: ${fault ?? ""}`}`);
    }
    if (isChanged || this.frontDoor.unrecorded !== null || this.unheard !== null) await this.enforce(saved);
    this.tellRecord();
  }

  /** What the front door does not hear it is told again at the next step: a conductor that ended here would take acts with it. */
  private async enforce(site: Site): Promise<void> {
    try {
      // The running Nginx has it, at least. A conductor that ended here would forget what is not recorded.
      await enforceRoute(this.frontDoor, site);
      this.unheard = null;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.unheard) this.log(`the front door does not take the route: ${message}`);
      this.unheard = message;
    }
  }

  /** Tells once that what is in force is not recorded, and why, and once that it is again. */
  private tellRecord(): void {
    const unrecorded = this.store.unrecorded ?? this.frontDoor.unrecorded;
    if (unrecorded === this.told) return;
    this.told = unrecorded;
    this.log(unrecorded === null ? "what is in force is recorded" : `in force, not recorded: ${unrecorded}`);
  }
}
