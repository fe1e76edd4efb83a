import { CommandError } from "../command";
import { Site, type SiteOptions } from "../site";
import { nextCommands } from "./next-commands";
import { faultsOf, FIRST_STEP, formatShares, NEXT_STEPS, type Step } from "./story";
import { pulumiCommand, shellLine } from "./typing";
import { SteadyTraffic, type Observation } from "./traffic";
import { visit, type SiteAddress } from "./visitor";

/** Where a line of the demo goes. */
export type Print = (line: string) => void;

/** What the demo saw. */
export interface DemoResult {
  /** The load's counts over all steps. */
  readonly total: Observation;
  /** What was not as the story says, in words. Empty after a good run. */
  readonly faults: readonly string[];
}

/**
 * Plays the whole story on one host and leaves the site up: the first release live, the second one for testers only, 5 %,
 * 100 %, and back, every step by the commands that a user would type and under a steady load. Throws when a step fails.
 */
export async function runDemo(options: SiteOptions, print: Print): Promise<DemoResult> {
  const began = performance.now();
  const site = await Site.open({ ...options, onProgress: print });
  print(
    `host ${site.host.name} is up at ${site.host.address}${site.reused ? ", from before" : ""} (${since(began)})`,
  );
  const demo = new Demo(site, print);
  const result = await demo.play();
  print("");
  print(summary(result.total));
  print(`The site is up. Try next:`);
  for (const command of nextCommands(site)) print(`  ${command.line.padEnd(60)}  # ${command.what}`);
  return result;
}

class Demo {
  private readonly address: SiteAddress;
  private readonly faults: string[] = [];

  constructor(
    private readonly site: Site,
    private readonly print: Print,
  ) {
    this.address = { address: site.host.address, domain: site.domain, authority: site.authority() };
  }

  async play(): Promise<DemoResult> {
    const first = await this.carryOut(FIRST_STEP);
    const traffic = await SteadyTraffic.start(this.address);
    try {
      await traffic.mark(FIRST_STEP.title);
      await this.report(FIRST_STEP, first, await traffic.observe());
      for (const step of NEXT_STEPS) await this.playUnderLoad(step, traffic);
    } catch (error) {
      await traffic.stop();
      throw error;
    }
    const { total } = await traffic.stop();
    return { total, faults: this.faults };
  }

  /** The load's counts of a step are those during its `up`, for what is lost, and those after it, for the shares. */
  private async playUnderLoad(step: Step, traffic: SteadyTraffic): Promise<void> {
    await traffic.mark(`up: ${step.title}`);
    const took = await this.carryOut(step);
    const during = await traffic.glance();
    await traffic.mark(step.title);
    const after = await traffic.observe();
    const seen = { ...after, sent: during.sent + after.sent, lost: during.lost + after.lost };
    await this.report(step, took, seen);
  }

  /** Types the step's commands. Returns how long the `up` took. */
  private async carryOut(step: Step): Promise<string> {
    this.print("");
    for (const [key, value] of Object.entries(step.levers)) {
      await this.type(["config", "set", key, value]);
    }
    const began = performance.now();
    await this.type(["up", "--yes", "--skip-preview"]);
    return since(began);
  }

  private async type(args: readonly string[]): Promise<void> {
    this.print(`$ ${shellLine([...pulumiCommand(this.site), ...args])}`);
    try {
      await this.site.project.pulumi(args);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new Error(`that failed:\n${error.result.stdout}${error.result.stderr}`, { cause: error });
    }
  }

  private async report(step: Step, took: string, seen: Observation): Promise<void> {
    const faults = [...faultsOf(step, seen), ...(await this.testerFaults(step))];
    this.faults.push(...faults.map((fault) => `${step.title}: ${fault}`));
    const testers = step.testers === undefined ? "" : `; testers of green: ${step.testers}`;
    const lost = `${seen.lost} lost of ${seen.sent.toLocaleString("en")} requests`;
    this.print(`  ${step.title}: ${formatShares(seen.shares)}${testers}; up took ${took}; ${lost}`);
    for (const fault of faults) this.print(`  WRONG: ${fault}`);
  }

  /** A tester with the secret must get green, whatever the weight; one with a wrong secret is a user like any other. */
  private async testerFaults(step: Step): Promise<string[]> {
    if (step.testers === undefined) return [];
    const secret = await this.site.project.getConfig("testerSecret");
    const tester = await visit(this.address, { "x-vs-tester": `green:${secret}` });
    const faults =
      tester.version === step.testers ? [] : [`a tester of green gets ${tester.version ?? "an error"}`];
    if (step.shares[step.testers] !== undefined) return faults;
    const stranger = await visit(this.address, { "x-vs-tester": "green:a-guessed-secret" });
    return stranger.version === step.testers ? [...faults, "a wrong testers' secret reaches green"] : faults;
  }
}

function summary({ sent, lost, closed }: Observation): string {
  const connections = closed === 0 ? "no connection closed" : `${closed} connections closed`;
  return `In all: ${sent.toLocaleString("en")} requests, ${lost} lost, ${connections} by the server.`;
}

function since(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}
