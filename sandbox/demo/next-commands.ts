import * as path from "node:path";

import { repositoryRoot } from "../repository";
import type { StandingSite } from "../site";
import { pulumiCommand, shellLine } from "./typing";

/** A command that is worth trying on a site that is up. */
export interface NextCommand {
  /** What to type into a shell in the current directory. */
  readonly line: string;
  /** What it does, in a few words. */
  readonly what: string;
}

/** Returns what can be tried next. Every line works as it is: a test types them all. */
export function nextCommands(site: StandingSite): NextCommand[] {
  const pulumi = pulumiCommand(site);
  const sandbox = path.relative(process.cwd(), path.join(repositoryRoot(), "bin", "sandbox"));
  const url = `https://${site.domain}/api/whoami`;
  const resolve = ["--resolve", `${site.domain}:443:${site.host.address}`];
  return [
    {
      line: shellLine([...pulumi, "config", "set", "canaryWeight", "25"]),
      what: "a quarter of the users ...",
    },
    { line: shellLine([...pulumi, "up", "--yes"]), what: "... goes to v1.0.0" },
    {
      line: shellLine(["curl", "--cacert", site.certificates.authority, ...resolve, url]),
      what: "be a user",
    },
    { line: shellLine([sandbox, "status"]), what: "who serves what" },
    { line: shellLine([sandbox, "shell"]), what: "look around on the host" },
    { line: shellLine([sandbox, "load"]), what: "a steady load, until Ctrl-C" },
    { line: shellLine([sandbox, "down"]), what: "put the machine back as it was" },
  ];
}
