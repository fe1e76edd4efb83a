import type { CertificateKeeper } from "./keeper";
import type { Store } from "../store";

const MINUTE_MS = 60_000;

/** Pause between two looks at a certificate that is not due, in milliseconds. */
const LOOK_MS = 60 * MINUTE_MS;

/** Pauses after a failed try, doubled with each one, in milliseconds: a server forgives a handful of failures an hour. */
const RETRY_MS = { first: 10 * MINUTE_MS, longest: 6 * LOOK_MS };

/** How long to wait after so many failed tries in a row, in milliseconds. */
export function retryAfter(tries: number): number {
  return Math.min(RETRY_MS.first * 2 ** (tries - 1), RETRY_MS.longest);
}

/**
 * Renews the certificate when it is due, for ever. It goes by the truth's settings, so that it also gets what an `up` that died
 * did not get.
 */
export class CertificateWatch {
  /**
   * @param random Of [0, 1): spreads the looks, so that the hosts of a fleet do not ask a server in the same minute.
   */
  constructor(
    private readonly keeper: CertificateKeeper,
    private readonly store: Pick<Store, "site">,
    private readonly log: (line: string) => void,
    private readonly now: () => Date = () => new Date(),
    private readonly random: () => number = Math.random,
  ) {}

  /** Looks, until the process ends. */
  async run(pause: (milliseconds: number) => Promise<unknown>): Promise<void> {
    for (;;) {
      const milliseconds = await this.look();
      // An act may bring a certificate that is due sooner, or a failure to be made good.
      await Promise.race([pause(milliseconds), this.keeper.nextTry()]);
    }
  }

  /** Renews what is due. Returns how long to wait for the next look, in milliseconds; a fault is told, not thrown. */
  async look(): Promise<number> {
    const { settings } = this.store.site;
    if (settings === null || !("acme" in settings.tls)) {
      return LOOK_MS;
    }
    const spread = 0.9 + 0.2 * this.random();
    const resting = await this.resting();
    if (resting > 0) {
      return Math.min(resting, LOOK_MS * spread);
    }
    try {
      await this.keeper.certify(settings, (line) => this.log(`certificate: ${line}`));
      const due = await this.keeper.due(settings);
      const left = due === null ? LOOK_MS : due.getTime() - this.now().getTime();
      return Math.max(0, Math.min(left, LOOK_MS * spread));
    } catch (error) {
      this.log(`certificate: ${(error as Error).message}`);
      return Math.min((await this.resting()) * spread, LOOK_MS * spread);
    }
  }

  /** What is left of the pause after a failed try, in milliseconds. */
  private async resting(): Promise<number> {
    const failure = await this.keeper.failure();
    return failure === null
      ? 0
      : Math.max(0, Date.parse(failure.at) + retryAfter(failure.tries) - this.now().getTime());
  }
}
