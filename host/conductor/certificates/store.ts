import { mkdir, readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { readPair, type CertificateFacts, type Pair } from "./certificate";
import { readIfThere, removeDurably, syncDirectory, writeDurably } from "../system/durable-file";
import type { CertificateFailure } from "../protocol";

/** Where a certificate of the store came from. */
export interface Origin {
  /** `files`: it served before, from files of the operator's. `placeholder`: signed by itself, so that Nginx can start. */
  readonly source: "acme" | "files" | "placeholder";
  /** URL of the ACME directory that it was ordered at; null for the other sources. */
  readonly directory: string | null;
}

/** The certificate in force. */
export interface StoredCertificate {
  readonly origin: Origin;
  readonly facts: CertificateFacts;
}

const CURRENT = "current";
const ORDER = "order";
const FIRST = "first";
const FAILURE = "failure.json";

/** The two files of a pair in a directory of the store. Nginx reads them through the link `current`. */
export function filesIn(directory: string): { readonly certificate: string; readonly key: string } {
  return { certificate: join(directory, "fullchain.pem"), key: join(directory, "privkey.pem") };
}

/** The pair that a store has in force, as Nginx reads it. */
export function currentFiles(store: string): { readonly certificate: string; readonly key: string } {
  return filesIn(join(store, CURRENT));
}

/**
 * The conductor's own certificates: a directory for each, and the link `current` to the one in force, so that certificate
 * and key change in one step. All of it is root's alone.
 */
export class CertificateStore {
  constructor(private readonly directory: string) {}

  /** File of the ACME account's private key. */
  get accountKey(): string {
    return join(this.directory, "account.pem");
  }

  /** The certificate in force; null where there is none that could serve. */
  async current(): Promise<StoredCertificate | null> {
    const directory = join(this.directory, CURRENT);
    const pair = await readPairIn(filesIn(directory));
    const origin = await readIfThere(join(directory, "origin.json"));
    if (pair === null || origin === null) {
      return null;
    }
    try {
      return { origin: JSON.parse(origin) as Origin, facts: readPair(pair) };
    } catch {
      return null;
    }
  }

  /** Makes an empty directory for an order's pair. What an order that was broken off left there is gone. */
  begin(): Promise<string> {
    return this.empty(ORDER);
  }

  /** Makes an empty directory for a pair that comes from no order; one may be under way. */
  beginFirst(): Promise<string> {
    return this.empty(FIRST);
  }

  /**
   * Puts the pair in a directory of the store in force, on disk: Nginx takes it at its next reload. The one before is kept.
   * @returns a way back to the pair that was in force before; null where there was none.
   * @throws Error where it is no pair.
   */
  async adopt(directory: string, origin: Origin): Promise<(() => Promise<void>) | null> {
    const facts = readPair((await readPairIn(filesIn(directory))) ?? { chain: "", key: "" });
    await writeDurably(join(directory, "origin.json"), JSON.stringify(origin));
    const name = facts.fingerprint.replaceAll(":", "").slice(0, 16).toLowerCase();
    const before = await this.target();
    await rm(join(this.directory, name), { recursive: true, force: true });
    await rename(directory, join(this.directory, name));
    await this.point(name);
    await this.removeAllBut([name, before, ORDER]);
    return before === null ? null : () => this.point(before);
  }

  /** How the last try failed, as it was kept; null where it went well. */
  async failure(): Promise<CertificateFailure | null> {
    const text = await readIfThere(join(this.directory, FAILURE));
    try {
      return text === null ? null : (JSON.parse(text) as CertificateFailure);
    } catch {
      return null;
    }
  }

  /** Keeps how the last try failed, so that a conductor that starts again does not try at once; null forgets it. */
  async keepFailure(failure: CertificateFailure | null): Promise<void> {
    const file = join(this.directory, FAILURE);
    if (failure !== null) {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      await writeDurably(file, JSON.stringify(failure));
    } else if ((await readIfThere(file)) !== null) {
      await removeDurably(file);
    }
  }

  private async empty(name: string): Promise<string> {
    const directory = join(this.directory, name);
    await rm(directory, { recursive: true, force: true });
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await mkdir(directory, { mode: 0o700 });
    return directory;
  }

  private async target(): Promise<string | null> {
    try {
      return await readlink(join(this.directory, CURRENT));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") {
        return null;
      }
      throw error;
    }
  }

  private async point(name: string): Promise<void> {
    const made = join(this.directory, `${CURRENT}.new`);
    await rm(made, { force: true });
    await symlink(name, made);
    await rename(made, join(this.directory, CURRENT));
    await syncDirectory(this.directory);
  }

  private async removeAllBut(kept: readonly (string | null)[]): Promise<void> {
    const entries = await readdir(this.directory, { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isDirectory() && !kept.includes(entry.name))) {
      await rm(join(this.directory, name), { recursive: true });
    }
  }
}

/** Reads two files as a pair; null where one of them is not there. */
export async function readPairIn(files: {
  readonly certificate: string;
  readonly key: string;
}): Promise<Pair | null> {
  const [chain, key] = await Promise.all([readIfThere(files.certificate), readIfThere(files.key)]);
  return chain === null || key === null ? null : { chain, key };
}

/** Writes a pair into a directory. */
export async function writePair(directory: string, { chain, key }: Pair): Promise<void> {
  const files = filesIn(directory);
  await writeDurably(files.certificate, chain);
  await writeDurably(files.key, key);
}
