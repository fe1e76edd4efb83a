import { REFUSED_BY_HOST } from "../../components/refusal";
import { ExitCode } from "../../host/conductor/protocol";
import { CommandError } from "../command";
import { CloudSite, type CloudSiteOptions } from "../cloud-site";
import { Site, type SiteOptions, type StandingSite } from "../site";
import { formatReport, type LoadReport } from "../load/report";
import { stopServing } from "../source";
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
  /** All that the loads saw, one of each protocol. */
  readonly reports: readonly LoadReport[];
}

/**
 * Plays the whole story on one host and leaves the site up: the first release live, the second one for testers only, 5 %,
 * 100 %, and back, every step by the commands that a user would type and under a steady load. Throws when a step fails.
 */
export async function runDemo(options: SiteOptions, print: Print): Promise<DemoResult> {
  const site = await openSite(options, print);
  const replace = () => replaceHost(site, options, print);
  return tell(new Demo(site, print, site.reused ? replace : null), print);
}

/**
 * Plays the same story from nothing but accounts: the first step makes network, host, bucket and alarms, too. Leaves the site up.
 * Throws when a step fails, and where such a site is there already.
 */
export async function runCloudDemo(options: CloudSiteOptions, print: Print): Promise<DemoResult> {
  const began = performance.now();
  const site = await CloudSite.open(options);
  print(
    `an AWS, a Supabase and a Stripe are at ${site.cloud.address}, with nothing in them (${since(began)})`,
  );
  return tell(new Demo(site, print, null), print);
}

async function tell(demo: Demo, print: Print): Promise<DemoResult> {
  const result = await demo.play();
  print("");
  for (const line of summaryLines(result)) print(line);
  print("The site is up. Try next:");
  for (const { what, line } of nextCommands(demo.site)) print(`  # ${what}\n  ${line}`);
  return result;
}

async function openSite(options: SiteOptions, print: Print): Promise<Site> {
  const began = performance.now();
  const site = await Site.open({ ...options, onProgress: print });
  const { name, address } = site.host;
  print(`host ${name} is up at ${address}${site.reused ? ", from before" : ""} (${since(began)})`);
  return site;
}

async function replaceHost(site: Site, options: SiteOptions, print: Print): Promise<Site> {
  print(
    "That host cannot go back to the story's beginning, for the reason above: a new one takes its place.",
  );
  await stopServing(site.world, site.host.gateway);
  await site.host.remove();
  return openSite(options, print);
}

/** In Pulumi's output: the host would refuse what is asked for, or refused an act, and touched nothing. */
const REFUSED = new RegExp(`${REFUSED_BY_HOST}|status ${ExitCode.refused}\\b`);

class Demo {
  private readonly faults: string[] = [];

  constructor(
    /** The site it plays on. */
    public site: StandingSite,
    private readonly print: Print,
    /** Called when the host from an earlier run refuses the first step; null for a site that is new. */
    private readonly replaceHost: (() => Promise<StandingSite>) | null,
  ) {}

  async play(): Promise<DemoResult> {
    const first = await this.begin();
    const traffic = await SteadyTraffic.start(this.address);
    try {
      await traffic.mark(FIRST_STEP.title);
      await this.report(FIRST_STEP, first, await traffic.observe());
      for (const step of NEXT_STEPS) await this.playUnderLoad(step, traffic);
    } catch (error) {
      await traffic.stop();
      throw error;
    }
    return { ...(await traffic.stop()), faults: this.faults };
  }

  /** What a user did with the site since the last demo may be something that no `up` leads back from in one step. */
  private async begin(): Promise<string> {
    try {
      return await this.carryOut(FIRST_STEP);
    } catch (error) {
      if (!(error instanceof Error) || this.replaceHost === null || !REFUSED.test(error.message)) throw error;
      this.print(error.message);
      this.site = await this.replaceHost();
      return this.carryOut(FIRST_STEP);
    }
  }

  private get address(): SiteAddress {
    return { address: this.site.host.address, domain: this.site.domain, authority: this.site.authority() };
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

/** What became of all requests; where some were lost, which and why as well. Exported for its test. */
export function summaryLines({
  total: { sent, lost, closed },
  reports,
}: Pick<DemoResult, "total" | "reports">): string[] {
  const connections = closed === 0 ? "no connection closed" : `${closed} connections closed`;
  const all = `In all: ${sent.toLocaleString("en")} requests, ${lost} lost, ${connections} by the server.`;
  // A number alone does not tell a fault of the site from a machine that was too busy.
  return lost === 0 ? [all] : [all, ...reports.map((report) => formatReport(report))];
}

function since(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}
