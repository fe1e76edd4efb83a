import { basename } from "node:path";
import { EngineError, ExitCode, messageOf, ReportedError } from "../errors";
import { ProgramProcess } from "../language/host";
import type { Step } from "../deployment/planner";
import { loadMonitor } from "../deployment/program-run";
import { runDestroy, runProgram, runRefresh, type RunOptions, type RunResult } from "../deployment/run";
import { JsonDisplay } from "../display/json-display";
import { TextDisplay, type DeploymentDisplay } from "../display/text-display";
import { changeSummary, hasChanges } from "../display/words";
import { SECRET_MASK } from "../values/property";
import { StackLock } from "../state/lock";
import { checkConfig, type ConfigValue } from "../workspace/config";
import { valuesOfPlan } from "../workspace/offline-values";
import { openSession, Stack } from "../workspace/session";
import { approve, requireApprovable } from "./confirm";
import { Interrupts } from "./interrupts";
import type { Startup } from "./main";
import { print, type CommandOptions } from "./options";

type Kind = "preview" | "up" | "destroy" | "refresh";

/** `preview`: plans and shows, changes nothing. */
export async function preview(options: CommandOptions, startup: Startup): Promise<void> {
  await new Update("preview", options, startup).preview();
}

/** `up`: previews, asks, and carries out. */
export async function up(options: CommandOptions, startup: Startup): Promise<void> {
  await new Update("up", options, startup).carryOut();
}

/** `destroy`: the same, for the deletion of everything. */
export async function destroy(options: CommandOptions, startup: Startup): Promise<void> {
  await new Update("destroy", options, startup).carryOut();
}

/** `refresh`: the same, for a state that is brought up to date with what is really there. */
export async function refresh(options: CommandOptions, startup: Startup): Promise<void> {
  const update = new Update("refresh", options, startup);
  await (options.previewOnly ? update.preview() : update.carryOut());
}

/** What a command is called while it goes on, in a question, and in the history. */
const WORDS: Readonly<Record<Kind, { readonly doing: string; readonly noun: string }>> = {
  preview: { doing: "Updating", noun: "update" },
  up: { doing: "Updating", noun: "update" },
  destroy: { doing: "Destroying", noun: "destroy" },
  refresh: { doing: "Refreshing", noun: "refresh" },
};

/** One of the commands, from its flags to its end. */
class Update {
  private readonly interrupts = new Interrupts();
  private earlyUsed = false;

  constructor(
    private readonly kind: Kind,
    private readonly options: CommandOptions,
    private readonly startup: Startup,
  ) {}

  async preview(): Promise<void> {
    // What nobody is asked about need not be there at all.
    const stack = await Stack.open(openSession(this.options), this.options, !this.options.offlinePlan);
    await this.warmUp(stack);
    await this.run(stack, true);
  }

  async carryOut(): Promise<void> {
    requireApprovable(this.options, "--yes or --skip-preview");
    const session = openSession(this.options);
    const stack = await Stack.open(session, this.options);
    refuseProduction(stack);
    await this.warmUp(stack);
    if (!this.options.skipPreview) {
      await this.run(stack, true);
      await approve(this.options, `Do you want to perform this ${this.words.noun}?`);
    }
    const lock = await StackLock.acquire(session.backend.lockDirectory(stack.reference), (text) => {
      print(`notice: ${text}`);
    });
    try {
      // Only now, under the lock, is the state sure to stay as it is read.
      await this.run(await Stack.open(session, this.options), false);
    } finally {
      await lock.release();
    }
  }

  /** Starts on what takes long: the key is derived on another core while the protocol's code is loaded on this one. */
  private async warmUp(stack: Stack): Promise<void> {
    // Whoever needs the key asks for it again, and gets the failure then.
    if (stack.hasSecrets) stack.crypter().catch(() => undefined);
    if (this.runsProgram) await loadMonitor();
  }

  private get words(): { readonly doing: string; readonly noun: string } {
    return WORDS[this.kind];
  }

  private get runsProgram(): boolean {
    return this.kind === "preview" || this.kind === "up";
  }

  private async run(stack: Stack, planned: boolean): Promise<void> {
    const began = Date.now();
    const { config, notice } = await this.config(stack);
    const display = this.display(planned, config);
    if (this.runsProgram) checkConfig(stack.session.project, stack.reference.stack, config);
    display.conceal(secretTexts(config));
    const runOptions: RunOptions = {
      ...{ stack, config, events: display, dryRun: planned },
      refresh: this.options.refresh,
      excludeProtected: this.options.excludeProtected,
      offline: this.options.offlinePlan,
      parallel: this.options.parallel,
      interruption: this.interrupts,
      dynamicProviders: { server: this.startup.dynamicServer, cache: this.startup.cache },
    };
    this.printTitle(stack, planned);
    if (notice !== undefined) display.message("info", "", notice);
    const result = await this.carryOutOne(stack, runOptions);
    const steps = this.kind === "refresh" ? result.found : result.steps;
    display.finished(steps, (Date.now() - began) / 1000, planned);
    if (!planned) await this.addHistory(stack, steps, result.failed, began);
    this.judge(steps, result.failed, planned);
    if (result.spared > 0) print(sparedLine(result, planned));
  }

  /** The stack's config; in an offline plan what a module of the project's makes of it. */
  private async config(stack: Stack): ReturnType<typeof valuesOfPlan> {
    const config = await stack.config();
    if (!this.options.offlinePlan) return { config };
    const about = { file: basename(stack.configFile.path), namespace: stack.session.project.name };
    return valuesOfPlan(config, about, stack.session.environment);
  }

  private carryOutOne(stack: Stack, options: RunOptions): Promise<RunResult> {
    if (this.kind === "destroy") return runDestroy(options);
    if (this.kind === "refresh") return runRefresh(options);
    return runProgram(options, () => this.launch(stack));
  }

  private printTitle(stack: Stack, planned: boolean): void {
    if (this.options.json) return;
    const { doing, noun } = this.words;
    print(`${planned ? `Previewing ${noun}` : doing} (${stack.reference.stack}):`);
  }

  private judge(steps: readonly Step[], failed: boolean, planned: boolean): void {
    if (failed) throw new ReportedError(planned ? "preview failed" : `${this.words.noun} failed`);
    if (this.options.expectNoChanges && hasChanges(changeSummary(steps))) {
      throw new EngineError(
        `no changes were expected but changes ${planned ? "were proposed" : "occurred"}`,
        ExitCode.changesNotExpected,
      );
    }
  }

  private display(planned: boolean, config: ReadonlyMap<string, ConfigValue>): DeploymentDisplay {
    if (this.options.json) {
      const shown = [...config].map(([key, { text, secret }]) => [key, secret ? SECRET_MASK : text]);
      return new JsonDisplay(print, Object.fromEntries(shown) as Record<string, string>);
    }
    return new TextDisplay(print, { planned, showSecrets: this.options.showSecrets ?? false });
  }

  /** The process for a program's run: the one that was started early, if it fits and is not used up. */
  private launch(stack: Stack): ProgramProcess {
    const { root, nodeArguments, programDirectory } = stack.session.project;
    const startup = this.startup;
    if (startup.early?.root === root && nodeArguments.length === 0 && !this.earlyUsed) {
      this.earlyUsed = true;
      return startup.early.process;
    }
    return ProgramProcess.spawn(startup.launcher, programDirectory, startup.cache, nodeArguments);
  }

  private async addHistory(
    stack: Stack,
    steps: readonly Step[],
    failed: boolean,
    began: number,
  ): Promise<void> {
    const entry = {
      kind: this.words.noun,
      startTime: Math.floor(began / 1000),
      message: this.options.message ?? "",
      environment: {},
      config: {},
      result: failed ? "failed" : "succeeded",
      endTime: Math.floor(Date.now() / 1000),
      resourceChanges: changeSummary(steps),
    };
    try {
      await stack.session.backend.addHistory(stack.reference, entry);
    } catch (error) {
      print(`warning: the history could not be written: ${messageOf(error)}`);
    }
  }
}

/** What an `--exclude-protected` left, as the CLI says it. */
function sparedLine({ steps, spared }: RunResult, planned: boolean): string {
  const done = planned ? "would be" : "were";
  const what =
    steps.length === 0
      ? "There were no unprotected resources to destroy"
      : `All unprotected resources ${done} destroyed`;
  return `${what}. There are still ${String(spared)} protected resources associated with this stack.`;
}

function secretTexts(config: ReadonlyMap<string, ConfigValue>): string[] {
  return [...config.values()].filter(({ secret }) => secret).map(({ text }) => text);
}

/** The engine is for machines that can be thrown away; what serves users is deployed with the Pulumi CLI. */
function refuseProduction(stack: Stack): void {
  const { project } = stack.session;
  const key = `${project.name}:environment`;
  if (stack.configFile.values().get(key) !== "production") return;
  throw new EngineError(
    `stack ${stack.reference.stack} has ${key} set to production: the embedded engine does not change it, for it has neither a shared backend nor the providers of a cloud. Install the Pulumi CLI and run the same command; \`preview\` works here, too`,
    ExitCode.configuration,
  );
}
