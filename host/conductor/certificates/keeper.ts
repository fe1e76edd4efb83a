import { rm } from "node:fs/promises";
import { Failed, Refused } from "../faults";
import { notCovered, readPair, renewalDue, type CertificateFacts } from "./certificate";
import type { CertificateDoor } from "./door";
import type { CertificateSource } from "./order";
import { filesIn, readPairIn, writePair, type CertificateStore, type StoredCertificate } from "./store";
import { CommandFailed } from "../system/command";
import { Lane } from "../system/lane";
import type { Paths } from "../paths";
import type {
  AcmeSettings,
  CertificateFailure,
  CertificateStatus,
  CertifyResult,
  SiteSettings,
  TlsFiles,
} from "../protocol";

/** What of the site's settings a certificate depends on. */
export type CertificateSettings = Pick<SiteSettings, "domains" | "tls">;

/** What the keeper works with. */
export interface CertificateHost {
  readonly store: CertificateStore;
  readonly source: CertificateSource;
  readonly door: CertificateDoor;
  readonly now: () => Date;
}

/**
 * Gets the site's certificate, keeps it valid, and puts it in force without losing a request. One try at a time, beside the
 * site's acts: nobody's traffic waits for an ACME server.
 */
export class CertificateKeeper {
  private readonly tries = new Lane();
  private trying = 0;
  private nextEnd = Promise.withResolvers<undefined>();

  /**
   * Nginx reads certificate and configuration at once: whoever changes either, and reloads, does it in here, so that neither is
   * blamed for the other's fault.
   */
  readonly reloads = new Lane();

  constructor(
    private readonly host: CertificateHost,
    private readonly paths: Paths,
  ) {}

  /** Is a certificate being got or checked? */
  get isTrying(): boolean {
    return this.trying > 0;
  }

  /**
   * Sees to it, before the site is configured, that Nginx has a certificate to start with: the one in force, or else the
   * one that served before from files, or else a placeholder.
   * @throws Refused where files are named that could not serve these domains.
   */
  async prepare(settings: CertificateSettings, before: CertificateSettings | null): Promise<void> {
    const { store, source } = this.host;
    if (!("acme" in settings.tls)) {
      const facts = await this.factsOf(settings.tls);
      requireCovered(facts, settings.domains, settings.tls.certificate);
      return;
    }
    await this.reloads.run(async () => {
      if ((await store.current()) !== null) {
        return;
      }
      const pair = before === null || "acme" in before.tls ? null : await readPairIn(before.tls);
      const directory = await store.beginFirst();
      if (pair === null) {
        await source.placeholder(directory);
      } else {
        await writePair(directory, pair);
      }
      await store.adopt(directory, {
        source: pair === null ? "placeholder" : "files",
        directory: null,
      });
    });
  }

  /**
   * Gets the certificate that the settings ask for, unless the one in force is good for them and not near its end; or checks
   * the one in files. Then it is what the front door shows.
   * @throws Failed with the step, the reason and the way out; what served serves on.
   */
  async certify(settings: CertificateSettings, tell: (line: string) => void): Promise<CertifyResult> {
    this.trying += 1;
    try {
      return await this.tries.run(() => this.tryOnce(settings, tell));
    } finally {
      this.trying -= 1;
      const { resolve } = this.nextEnd;
      this.nextEnd = Promise.withResolvers();
      resolve(undefined);
    }
  }

  /** Resolves when the next try has ended, well or not, whoever asked for it. */
  nextTry(): Promise<unknown> {
    return this.nextEnd.promise;
  }

  private async tryOnce(settings: CertificateSettings, tell: (line: string) => void): Promise<CertifyResult> {
    const { domains, tls } = settings;
    try {
      const facts = "acme" in tls ? await this.acme(domains, tls.acme, tell) : await this.files(domains, tls);
      await this.host.store.keepFailure(null);
      return resultOf("acme" in tls ? "acme" : "files", facts);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await this.recordFailure(message);
      throw error instanceof Failed ? error : new Failed(message);
    }
  }

  /** What the front door shows, and how the last try ended. */
  async status({ tls }: CertificateSettings): Promise<CertificateStatus> {
    const lastFailure = await this.failure();
    try {
      if (!("acme" in tls)) {
        return { ...resultOf("files", await this.factsOf(tls)), lastFailure };
      }
      const current = await this.host.store.current();
      if (current !== null) {
        return { ...resultOf(current.origin.source, current.facts), lastFailure };
      }
    } catch {
      // Said by the source.
    }
    return { source: "none", domains: [], issuer: "", notAfter: null, lastFailure };
  }

  /** When the certificate in force has to be renewed; null where it is not the one that the settings ask for. */
  async due({ domains, tls }: CertificateSettings): Promise<Date | null> {
    const current = await this.host.store.current();
    return "acme" in tls && current !== null && isFrom(current, domains, tls.acme)
      ? renewalDue(current.facts, tls.acme.renewBeforeDays)
      : null;
  }

  /** How the last try failed; null where it did not. */
  failure(): Promise<CertificateFailure | null> {
    return this.host.store.failure();
  }

  private async recordFailure(reason: string): Promise<void> {
    const tries = ((await this.failure())?.tries ?? 0) + 1;
    await this.host.store.keepFailure({ at: this.host.now().toISOString(), reason, tries });
  }

  private async files(domains: readonly string[], tls: TlsFiles): Promise<CertificateFacts> {
    const facts = await this.factsOf(tls);
    requireCovered(facts, domains, tls.certificate);
    if (facts.notAfter <= this.host.now()) {
      throw new Failed(
        `the certificate in ${tls.certificate} ended on ${facts.notAfter.toISOString()}; put a new one there, ` +
          "or let the host get one: site.tls.acme",
      );
    }
    await this.show(domains, facts);
    return facts;
  }

  /** @throws Refused where the files are no pair. */
  private async factsOf(tls: TlsFiles): Promise<CertificateFacts> {
    const pair = await readPairIn(tls);
    const where = `${tls.certificate} and ${tls.key} (site.tls)`;
    if (pair === null) {
      throw new Refused(
        `there is no certificate in ${where}; put one there, or let the host get one: site.tls.acme`,
      );
    }
    try {
      return readPair(pair);
    } catch (error) {
      throw new Refused(`${(error as Error).message}: ${where}`);
    }
  }

  private async acme(
    domains: readonly string[],
    acme: AcmeSettings,
    tell: (line: string) => void,
  ): Promise<CertificateFacts> {
    const current = await this.host.store.current();
    const { now } = this.host;
    if (
      current !== null &&
      isFrom(current, domains, acme) &&
      now() < renewalDue(current.facts, acme.renewBeforeDays)
    ) {
      await this.show(domains, current.facts);
      return current.facts;
    }
    const directory = await this.host.store.begin();
    const facts = await this.ordered(directory, domains, acme, tell);
    await this.putInForce(directory, domains, facts, { source: "acme", directory: acme.directory });
    tell(`in force until ${facts.notAfter.toISOString()}: ${facts.domains.join(", ")}, by ${facts.issuer}`);
    return facts;
  }

  /** Orders a pair, and looks at it before anybody else does. */
  private async ordered(
    directory: string,
    domains: readonly string[],
    acme: AcmeSettings,
    tell: (line: string) => void,
  ): Promise<CertificateFacts> {
    const { store, source } = this.host;
    const { email, authority } = acme;
    const { accountKey } = store;
    const { challenges } = this.paths;
    // Of an order that was broken off.
    await rm(challenges, { recursive: true, force: true });
    const order = { domains, directory: acme.directory, email, authority, accountKey, challenges };
    try {
      await source.order(directory, order, tell);
    } catch (error) {
      const why = error instanceof CommandFailed ? error.lastLines.join("\n") || error.how : String(error);
      throw new Failed(
        `no certificate for ${domains.join(", ")}; what served serves on, and the host tries again by itself\n${why}`,
      );
    }
    const facts = await this.factsOf(filesIn(directory));
    requireCovered(facts, domains, `what ${acme.directory} sent`);
    return facts;
  }

  /** On disk, then in Nginx; back to the one before where Nginx does not take it. */
  private async putInForce(
    directory: string,
    domains: readonly string[],
    facts: CertificateFacts,
    origin: StoredCertificate["origin"],
  ): Promise<void> {
    const { store } = this.host;
    await this.reloads.run(async () => {
      const back = await store.adopt(directory, origin);
      try {
        await this.reload(domains, facts);
      } catch (error) {
        await back?.();
        throw error;
      }
    });
  }

  /** A crash between disk and Nginx leaves an old certificate in Nginx's memory. A Nginx that is down reads it at its start. */
  private async show(domains: readonly string[], facts: CertificateFacts): Promise<void> {
    const served = await this.host.door.served(domains[0] ?? "localhost");
    if (served !== null && served !== facts.fingerprint) {
      await this.reloads.run(() => this.reload(domains, facts));
    }
  }

  private async reload(domains: readonly string[], facts: CertificateFacts): Promise<void> {
    await this.host.door.reload(domains[0] ?? "localhost", facts.fingerprint);
  }
}

/** Is the certificate in force one for these domains, from this server? */
function isFrom(
  { origin, facts }: StoredCertificate,
  domains: readonly string[],
  acme: AcmeSettings,
): boolean {
  return (
    origin.source === "acme" && origin.directory === acme.directory && notCovered(facts, domains).length === 0
  );
}

/** @throws Refused */
function requireCovered(facts: CertificateFacts, domains: readonly string[], where: string): void {
  const missing = notCovered(facts, domains);
  if (missing.length > 0) {
    throw new Refused(
      `the certificate in ${where} is for ${facts.domains.join(", ")} and not for ${missing.join(", ")}; put one for all ` +
        "of site.domains there, or let the host get one: site.tls.acme",
    );
  }
}

function resultOf<S extends string>(
  source: S,
  { domains, issuer, notAfter }: CertificateFacts,
): { source: S; domains: readonly string[]; issuer: string; notAfter: string } {
  return { source, domains, issuer, notAfter: notAfter.toISOString() };
}
