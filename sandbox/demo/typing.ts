import * as path from "node:path";

import { repositoryRoot } from "../repository";
import type { StandingSite } from "../site";

/** `bin/pulumi -C .sandbox` as it is typed in the current directory. */
export function pulumiCommand(site: StandingSite): string[] {
  const relative = (file: string): string => path.relative(process.cwd(), file) || ".";
  return [relative(path.join(repositoryRoot(), "bin", "pulumi")), "-C", relative(site.project.directory)];
}

/** Renders an argument list so that a shell reads it back. */
export function shellLine(argv: readonly string[]): string {
  const quoted = argv.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  );
  return quoted.join(" ");
}
