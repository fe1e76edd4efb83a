import { readFileSync } from "node:fs";
import { EngineError, ExitCode, messageOf } from "../errors";
import { Crypter } from "../state/crypter";

/**
 * The passphrase from PULUMI_CONFIG_PASSPHRASE, else from the file that PULUMI_CONFIG_PASSPHRASE_FILE names (without
 * the white space around it). Fails where neither is set.
 */
export function readPassphrase(environment: NodeJS.ProcessEnv): string {
  const direct = environment["PULUMI_CONFIG_PASSPHRASE"];
  if (direct !== undefined) return direct;
  const file = environment["PULUMI_CONFIG_PASSPHRASE_FILE"];
  if (file === undefined || file === "") {
    throw new EngineError(
      "the stack has secrets: set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE to the path of a file that holds the passphrase",
      ExitCode.configuration,
    );
  }
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new EngineError(
      `PULUMI_CONFIG_PASSPHRASE_FILE cannot be read: ${messageOf(error)}`,
      ExitCode.configuration,
    );
  }
}

/** The keys of a run, by salt: each is derived once, and only when it is asked for. */
export class Keyring {
  private readonly crypters = new Map<string, Promise<Crypter>>();

  constructor(private readonly environment: NodeJS.ProcessEnv) {}

  /** The crypter for a salt. */
  async open(salt: string): Promise<Crypter> {
    const known = this.crypters.get(salt);
    if (known) return known;
    const opened = Crypter.open(salt, readPassphrase(this.environment));
    this.crypters.set(salt, opened);
    return opened;
  }

  /** A crypter with a new salt. */
  async create(): Promise<Crypter> {
    const crypter = await Crypter.create(readPassphrase(this.environment));
    this.crypters.set(crypter.salt, Promise.resolve(crypter));
    return crypter;
  }
}
