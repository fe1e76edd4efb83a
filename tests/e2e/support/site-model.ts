import { COLOURS, otherColour, type Colour, type SiteStatus } from "../../../host/conductor/protocol";

/** A state of the site, as an operator asks for it in the stack's config. */
export interface Wanted {
  readonly stable: Colour;
  /** Share of the other colour, in percent. */
  readonly weight: number;
  /** Version on each colour; empty retires it. */
  readonly versions: Readonly<Record<Colour, string>>;
}

/** What {@link SiteModel.expected} tells, read from what the conductor says is live. */
export function observed(status: SiteStatus): unknown {
  const of = (colour: Colour): unknown => {
    const { version, healthy, admitted } = status.colours[colour];
    return { version: version ?? "", healthy, admitted };
  };
  return {
    stable: status.traffic.stable,
    weight: status.traffic.weight,
    effectiveWeight: status.effectiveWeight,
    aborted: status.aborted?.colour ?? null,
    blue: of("blue"),
    green: of("green"),
  };
}

/**
 * What the design says that an `up` may do, written from its words and not from the conductor's code: which states can
 * be reached from here without users on something unproven, and what is live afterwards. All colours are healthy.
 */
export class SiteModel {
  /** Colours that were stable and are unchanged since: the way back, which may take users. */
  private readonly wayBack: Set<Colour>;
  private kept: Colour | null = null;

  /** Takes over from a site that serves `live`, and has served nothing else. */
  constructor(private live: Wanted) {
    this.wayBack = new Set([live.stable]);
  }

  /** What was asked for last and was taken; after an `ack` the candidate's share is 0. */
  get wanted(): Wanted {
    return this.live;
  }

  /** The colour that an abort keeps off the users, if any. */
  get aborted(): Colour | null {
    return this.kept;
  }

  /** Users on a colour, in percent. */
  share(colour: Colour): number {
    const { stable } = this.live;
    const candidates = this.kept === otherColour(stable) ? 0 : this.live.weight;
    return colour === stable ? 100 - candidates : candidates;
  }

  /** May a colour get users, by share or by failover? */
  admitted(colour: Colour): boolean {
    const { stable, weight, versions } = this.live;
    if (versions[colour] === "" || this.kept === colour) return false;
    return colour === stable || weight > 0 || this.wayBack.has(colour);
  }

  /** Colours that a state would change. */
  changed(to: Wanted): readonly Colour[] {
    return COLOURS.filter((colour) => to.versions[colour] !== this.live.versions[colour]);
  }

  /** Why a state cannot be reached from here, or null where it can: then an `up` has to reach it. */
  refusal(to: Wanted): string | null {
    const candidate = otherColour(to.stable);
    if (to.versions[to.stable] === "") return "stable has no version";
    if (to.weight > 0 && to.versions[candidate] === "") return "the candidate has no version";
    if (this.kept !== null && !this.isLess(to) && (to.stable === this.kept || to.weight > 0)) {
      return "users for an aborted colour";
    }
    const changed = this.changed(to);
    if (changed.length === 2) return "both change, and nobody could take the users";
    const stranded = changed.find((colour) => this.share(colour) > 0 && !this.admitted(otherColour(colour)));
    return stranded === undefined ? null : `${stranded} has users whom ${otherColour(stranded)} may not take`;
  }

  private isLess(to: Wanted): boolean {
    return to.stable === this.live.stable && to.weight < this.live.weight;
  }

  /** An `up` to this state was taken. */
  accept(to: Wanted): void {
    for (const colour of this.changed(to)) this.wayBack.delete(colour);
    // The one that was stable is the way back, unless it runs something else now.
    this.wayBack.add(to.stable);
    this.live = to;
  }

  /** An `abort` was made on the host; one in force stays. */
  abort(): void {
    this.kept ??= otherColour(this.live.stable);
  }

  /** The abort was acknowledged. */
  acknowledge(): void {
    if (this.kept === otherColour(this.live.stable)) this.live = { ...this.live, weight: 0 };
    this.kept = null;
  }

  /** What has to be live now, in the words of {@link observed}. */
  expected(): unknown {
    const { stable, weight, versions } = this.live;
    const of = (colour: Colour): unknown => ({
      version: versions[colour],
      healthy: versions[colour] !== "",
      admitted: this.admitted(colour),
    });
    const effectiveWeight = this.share(otherColour(stable));
    return { stable, weight, effectiveWeight, aborted: this.kept, blue: of("blue"), green: of("green") };
  }

  /** Versions that users have to be answered by now, by colour. */
  serving(): Partial<Record<Colour, string>> {
    const serving: Partial<Record<Colour, string>> = {};
    for (const colour of COLOURS) if (this.share(colour) > 0) serving[colour] = this.live.versions[colour];
    return serving;
  }
}
