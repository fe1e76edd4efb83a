import { cpus } from "node:os";
import { EngineError, ExitCode, messageOf, ReportedError } from "../errors";
import type { DynamicProcessOptions } from "../providers/dynamic/process";
import type { ProgramProcess } from "../language/host";
import type { PluginPool } from "../providers/plugin/pool";
import { DYNAMIC_PACKAGE, type ProviderRegistry } from "../providers/registry";
import { readCheckpoint, type CheckpointFile } from "../state/checkpoint";
import type { ResourceState } from "../state/resource";
import { Snapshot, verifyResources } from "../state/snapshot";
import type { PropertyMap } from "../values/property";
import type { ConfigValue } from "../workspace/config";
import type { Stack } from "../workspace/session";
import { Deployment, StoppedError } from "./deployment";
import type { LogHandler } from "./engine-methods";
import type { DeploymentEvents } from "./events";
import { Executor } from "./executor";
import { FileJournal, type Journal } from "./journal";
import { protectedClosure, type Step } from "./planner";
import { runProgramIn } from "./program-run";
import { Providers } from "./provider-resources";
import { configOfPackage, configProperties, openPool, openRegistry } from "./provider-sources";
import { refreshSnapshot } from "./refresh";
import { StandIns } from "./stand-ins";

/** What a run may be told. */
export interface RunOptions {
  readonly stack: Stack;
  readonly config: ReadonlyMap<string, ConfigValue>;
  readonly events: DeploymentEvents;
  readonly dryRun: boolean;
  /** Whether to look first at what is really there. Default: false. */
  readonly refresh?: boolean | undefined;
  /** Whether a `destroy` leaves what is protected, and all that this needs. Default: false. */
  readonly excludeProtected?: boolean | undefined;
  /** Whether providers that would have to ask somebody are stood in for; for previews only. Default: false. */
  readonly offline?: boolean | undefined;
  /** Providers asked at a time. Default: four for each core. */
  readonly parallel?: number | undefined;
  /** The user's wish to end the run. */
  readonly interruption: Interruption;
  /** What runs the providers that the program brings along: the bundle, and the directory for compiled code. */
  readonly dynamicProviders: Pick<DynamicProcessOptions, "server" | "cache">;
}

/** The two degrees of an interruption: finish what is under way, or drop it. */
export interface Interruption {
  readonly gracefully: AbortSignal;
  readonly atOnce: AbortSignal;
}

/** What a run did. */
export interface RunResult {
  readonly steps: readonly Step[];
  /** What a refresh found; empty where there was none. */
  readonly found: readonly Step[];
  /** How many resources were left alone because of their protection. */
  readonly spared: number;
  readonly failed: boolean;
}

/** Runs the program and carries out (or, in a preview, plans) what it asks for. The state is saved in any case. */
export async function runProgram(options: RunOptions, launch: () => ProgramProcess): Promise<RunResult> {
  const run = await DeploymentRun.open(options);
  return run.carryOut(async (deployment) => {
    await runProgramIn(deployment, options, launch());
    await deployment.deleteUnregistered();
  });
}

/** Deletes (or plans to delete) everything in the stack, but what has to stay. The program is not run. */
export async function runDestroy(options: RunOptions): Promise<RunResult> {
  const run = await DeploymentRun.open(options);
  return run.carryOut((deployment) => deployment.deleteUnregistered(run.spare()));
}

/** Brings the state up to date with what is really there (or shows what that would be). The program is not run. */
export async function runRefresh(options: RunOptions): Promise<RunResult> {
  const run = await DeploymentRun.open({ ...options, refresh: true });
  return run.carryOut(() => Promise.resolve());
}

/** A deployment with all that belongs to it. */
class DeploymentRun {
  /** What a refresh at the beginning found. */
  private found: readonly Step[] = [];
  private spared: ReadonlySet<string> = new Set();
  private deployment: Deployment | undefined;
  private readonly snapshot: Snapshot;
  private readonly journal: FileJournal | undefined;
  private readonly registry: ProviderRegistry;
  private readonly providers: Providers;
  private readonly standIns: StandIns | undefined;
  private readonly providerConfig: PropertyMap;

  private constructor(
    private readonly options: RunOptions,
    file: CheckpointFile,
    resources: readonly ResourceState[],
  ) {
    const { stack, dryRun, events } = options;
    this.snapshot = new Snapshot(resources);
    const secrets = { salt: stack.salt, crypter: () => stack.crypter() };
    const { backend } = stack.session;
    this.journal = dryRun
      ? undefined
      : new FileJournal(backend, stack.reference, stack.fullName, this.snapshot, secrets, file);
    this.providerConfig = configProperties(options.config);
    this.registry = openRegistry(options, this.providerConfig);
    this.standIns = options.offline ? new StandIns() : undefined;
    const pool: PluginPool = openPool(options, async () => {
      const { EngineServer } = await import("./engine-service.js");
      const log: LogHandler = (severity, urn, text) => {
        events.message(severity, urn, pool.secrets.mask(text));
      };
      return new EngineServer(log, () => this.deployment?.rootUrn ?? "");
    });
    this.providers = new Providers(this.registry, pool, this.standIns, (urn, id) =>
      this.snapshot.resources.find((each) => each.urn === urn && each.id === id),
    );
  }

  static async open(options: RunOptions): Promise<DeploymentRun> {
    const { stack, events } = options;
    const file = stack.checkpoint ?? emptyCheckpoint(stack);
    const crypter = stack.hasSecrets ? await stack.crypter() : undefined;
    const { resources, pendingOperations } = readCheckpoint(file, crypter);
    verifyResources(resources);
    tellPending(pendingOperations, events);
    return new DeploymentRun(options, file, resources);
  }

  /** Does the work, then saves and closes, and says how it went. */
  async carryOut(work: (deployment: Deployment) => Promise<void>): Promise<RunResult> {
    const { gracefully } = this.options.interruption;
    const stop = (): void => {
      this.deployment?.stop("the update was cancelled");
    };
    gracefully.addEventListener("abort", stop);
    let failed = false;
    try {
      const deployment = await this.begin();
      if (gracefully.aborted) stop();
      await work(deployment);
    } catch (error) {
      failed = true;
      if (!(error instanceof StoppedError || error instanceof ReportedError))
        this.options.events.message("error", "", messageOf(error));
    } finally {
      gracefully.removeEventListener("abort", stop);
      await this.journal?.finish();
      await this.providers.close();
    }
    if (this.standIns) this.options.events.message("info", "", this.standIns.describe());
    if (gracefully.aborted) throw new EngineError("the update was cancelled", ExitCode.cancelled);
    const { steps = [], failed: stopped = false } = this.deployment ?? {};
    return { steps, found: this.found, spared: this.spared.size, failed: failed || stopped };
  }

  /** Finds and notes the URNs that a `destroy` has to leave alone. */
  spare(): ReadonlySet<string> {
    if (this.options.excludeProtected) this.spared = protectedClosure(this.snapshot.resources);
    return this.spared;
  }

  /** Makes the deployment, of the state as a refresh finds it where one is asked for. */
  private async begin(): Promise<Deployment> {
    const { stack, dryRun, events, interruption } = this.options;
    const { project } = stack.session;
    const common = {
      snapshot: this.snapshot,
      journal: this.journal ?? NO_JOURNAL,
      events,
      directory: project.programDirectory,
      provider: (resource: ResourceState) => this.providers.for(resource),
      dryRun,
      parallel: this.options.parallel ?? cpus().length * 4,
      signal: interruption.atOnce,
      now: () => new Date(),
    };
    this.providers.prepare(this.snapshot.resources);
    const executor = new Executor(common);
    if (this.options.refresh)
      this.found = await refreshSnapshot({ ...common, executor, gracefully: interruption.gracefully });
    this.deployment = new Deployment({
      ...common,
      project: project.name,
      stack: stack.reference.stack,
      resources: this.snapshot.resources,
      executor,
      serving: (reference, packageName) => this.providers.serving(reference, packageName),
      // The CLI gives dynamic providers the whole config, and notes it in the state.
      providerConfig: (packageName) =>
        packageName === DYNAMIC_PACKAGE
          ? this.providerConfig
          : configOfPackage(this.providerConfig, packageName),
    });
    return this.deployment;
  }
}

const NO_JOURNAL: Journal = { save: () => Promise.resolve() };

function emptyCheckpoint(stack: Stack): CheckpointFile {
  return { version: 3, checkpoint: { stack: stack.fullName } };
}

function tellPending(
  operations: readonly { readonly type: string; readonly resource: { readonly urn: string } }[],
  events: DeploymentEvents,
): void {
  if (operations.length === 0) return;
  const list = operations.map(({ type, resource }) => `\n  - ${resource.urn}, interrupted while ${type}`);
  events.message(
    "warning",
    "",
    `the last run was interrupted in the middle of ${String(operations.length)} operation(s), whose outcome is not known:${list.join("")}\nThey are tried again where the program still asks for them; check what they may have left behind`,
  );
}
