import { COLOURS, type Colour, type SiteStatus } from "../host/conductor/protocol";
import { CommandError } from "./command";
import { findHost, hostNames, type SandboxHost } from "./hosts/host";
import { siteStatus } from "./site";
import type { World } from "./world";

/** Prints a line for each host of the world, and below it who serves what there. */
export async function printStatus(world: World, print: (line: string) => void): Promise<void> {
  const names = hostNames(world);
  if (names.length === 0) print("no host; bin/sandbox boots one");
  for (const name of names) {
    const host = findHost(name, world);
    print(host === null ? `${name}: down` : `${name}: up at ${host.address}`);
    if (host === null) continue;
    for (const line of await hostLines(host)) print(`  ${line}`);
  }
}

/** A host that cannot say what is live does not keep the others from being shown. */
async function hostLines(host: SandboxHost): Promise<string[]> {
  try {
    const status = await siteStatus(host);
    return status === null ? ["nothing is deployed"] : statusLines(status);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [
      "the conductor does not answer:",
      ...error.result.stderr
        .trim()
        .split("\n")
        .map((line) => `  ${line}`),
    ];
  }
}

/** Renders what is live, a line a colour. */
export function statusLines(status: SiteStatus): string[] {
  const lines = COLOURS.map((colour) => colourLine(status, colour));
  return status.underWay === null ? lines : [...lines, `under way: ${status.underWay}`];
}

function colourLine(status: SiteStatus, colour: Colour): string {
  const { version, healthy, admitted } = status.colours[colour];
  if (version === null) return `${colour}: retired`;
  const stable = status.traffic.stable === colour;
  const share = stable ? 100 - status.effectiveWeight : status.effectiveWeight;
  const traits = [
    `${share} % of users`,
    stable ? "stable" : "candidate",
    healthy ? "healthy" : "NOT healthy",
    ...(status.aborted?.colour === colour ? [`ABORTED: ${status.aborted.reason}`] : []),
  ];
  return `${colour}: ${version}, ${[...traits, ...(admitted || share > 0 ? [] : ["testers only"])].join(", ")}`;
}
