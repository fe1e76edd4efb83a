import { EngineError, ExitCode } from "../errors";
import { FileBackend, fullName, ORGANIZATION, type StackReference } from "../state/backend";
import { hasEncryptedValues, saltOf, type CheckpointFile } from "../state/checkpoint";
import type { Crypter } from "../state/crypter";
import { hasSecure, resolveValue, withDefaults, type ConfigValue } from "./config";
import { Keyring } from "./passphrase";
import { loadProject, type Project } from "./project";
import { selectedStack } from "./selection";
import { StackConfigFile, stackConfigPath } from "./stack-config";

/** The flags that every command takes. */
export interface SessionOptions {
  /** Default: the current directory. */
  readonly cwd?: string | undefined;
  /** Default: the selected stack. */
  readonly stack?: string | undefined;
  /** Default: `Pulumi.<stack>.yaml`. */
  readonly configFile?: string | undefined;
}

/** A project and its store: what commands start from. */
export interface Session {
  readonly project: Project;
  readonly backend: FileBackend;
  /** The backend's URL as it was given: the CLI keeps the selected stack by it. */
  readonly backendUrl: string;
  readonly keyring: Keyring;
  readonly environment: NodeJS.ProcessEnv;
}

/** Opens the project that the working directory lies in, and its backend. */
export function openSession(options: SessionOptions, environment: NodeJS.ProcessEnv = process.env): Session {
  const cwd = options.cwd ?? process.cwd();
  const project = loadProject(cwd);
  const fromEnvironment = environment["PULUMI_BACKEND_URL"];
  const backendUrl = fromEnvironment ? fromEnvironment : (project.backendUrl ?? "file://.");
  const backend = FileBackend.at(backendUrl, fromEnvironment ? cwd : project.root);
  return { project, backend, backendUrl, keyring: new Keyring(environment), environment };
}

/** Checks a stack's name, which may be given in full. Fails where it is not one, or is of another project. */
export function stackReference(project: Project, name: string): StackReference {
  const parts = name.split("/");
  const stack = parts.at(-1) ?? "";
  const owner = parts.slice(0, -1).join("/");
  if (!["", ORGANIZATION, `${ORGANIZATION}/${project.name}`].includes(owner)) {
    throw new EngineError(
      `"${name}" is not a stack of project ${project.name}: expected NAME or ${ORGANIZATION}/${project.name}/NAME`,
      ExitCode.configuration,
    );
  }
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(stack)) {
    throw new EngineError(
      `"${stack}" is not a stack name: letters, digits, hyphens, underscores and periods only, at most 100`,
      ExitCode.configuration,
    );
  }
  return { project: project.name, stack };
}

/** A stack with its config file. */
export class Stack {
  private opened: Promise<Crypter> | undefined;

  private constructor(
    readonly session: Session,
    readonly reference: StackReference,
    readonly configFile: StackConfigFile,
    readonly checkpoint: CheckpointFile | undefined,
  ) {}

  /** Opens the stack that the flags, PULUMI_STACK or `stack select` name. Fails where there is none. */
  static async open(session: Session, options: SessionOptions, requireState = true): Promise<Stack> {
    const name = options.stack ?? selectedStack(session.project, session.backendUrl, session.environment);
    if (name === undefined) {
      throw new EngineError(
        "no stack selected: use `pulumi stack select NAME`, or the flag --stack",
        ExitCode.stackNotFound,
      );
    }
    const reference = stackReference(session.project, name);
    const checkpoint = await session.backend.load(reference);
    if (!checkpoint && requireState) {
      throw new EngineError(
        `no stack named '${reference.stack}' found in ${session.backend.directory}: make it with \`pulumi stack init ${reference.stack}\``,
        ExitCode.stackNotFound,
      );
    }
    const path = options.configFile ?? stackConfigPath(session.project, reference.stack);
    return new Stack(session, reference, StackConfigFile.open(path), checkpoint);
  }

  /** The full name, as it stands in the state. */
  get fullName(): string {
    return fullName(this.reference);
  }

  /** The salt of the stack's key; undefined where it has none yet. */
  get salt(): string | undefined {
    return this.configFile.salt ?? (this.checkpoint ? saltOf(this.checkpoint) : undefined);
  }

  /** Whether a key is needed before anything can be read. */
  get hasSecrets(): boolean {
    const inConfig = [...this.configFile.values().values()].some(hasSecure);
    return inConfig || (this.checkpoint !== undefined && hasEncryptedValues(this.checkpoint));
  }

  /** The stack's key. Where it has none yet one is made, and its salt is kept in the config file. */
  crypter(): Promise<Crypter> {
    this.opened ??= this.openCrypter();
    return this.opened;
  }

  private async openCrypter(): Promise<Crypter> {
    const { salt } = this;
    const crypter =
      salt === undefined ? await this.session.keyring.create() : await this.session.keyring.open(salt);
    if (this.configFile.salt !== crypter.salt) {
      this.configFile.setSalt(crypter.salt);
      await this.configFile.save();
    }
    return crypter;
  }

  /** The config with the project's defaults, decrypted. */
  async config(): Promise<Map<string, ConfigValue>> {
    const stored = withDefaults(this.session.project, this.configFile.values());
    const crypter = [...stored.values()].some(hasSecure) ? await this.crypter() : undefined;
    const decrypt = (ciphertext: string): string => crypter?.decrypt(ciphertext) ?? "";
    return new Map([...stored].map(([key, value]) => [key, resolveValue(value, decrypt)]));
  }
}
