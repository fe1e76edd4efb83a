import * as fs from "node:fs";
import * as path from "node:path";
import { parseDocument } from "yaml";
import { STACK, type SandboxProject } from "../../../sandbox/project";
import type { Wanted } from "./site-model";

/** Writes values into the stack's file, by key path below the project's name, as one who edits it in Git does; undefined takes a key out. */
export function editConfig(project: SandboxProject, values: Readonly<Record<string, unknown>>): void {
  const file = path.join(project.directory, `Pulumi.${STACK}.yaml`);
  const document = parseDocument(fs.readFileSync(file, "utf8"));
  for (const [key, value] of Object.entries(values)) {
    const [first = "", ...rest] = key.split(".");
    const path = ["config", `vehicleservice:${first}`, ...rest];
    if (value === undefined) document.deleteIn(path);
    else document.setIn(path, value);
  }
  // Without blocks, in which the Pulumi CLI's YAML does not keep every text as it is.
  fs.writeFileSync(file, document.toString({ lineWidth: 0, blockQuote: false }));
}

/** Writes the levers of a state into the stack's file: all of them, in one step. */
export function editLevers(project: SandboxProject, { stable, weight, versions }: Wanted): void {
  editConfig(project, {
    stable,
    canaryWeight: weight,
    blueVersion: versions.blue,
    greenVersion: versions.green,
  });
}
