import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const stackFile = z.object({ config: z.record(z.string(), z.unknown()).nullish() }).nullish();

/**
 * Lists the stacks that pipelines look after: those with a file `Pulumi.<stack>.yaml` in the project's directory, but for
 * those of the environment `sandbox`, which belong to one machine.
 */
export function environmentsIn(directory: string): string[] {
  const project = z.object({ name: z.string() }).parse(read(join(directory, "Pulumi.yaml")));
  return readdirSync(directory)
    .flatMap((file) => /^Pulumi\.([a-zA-Z0-9_-]+)\.yaml$/.exec(file)?.[1] ?? [])
    .filter((stack) => {
      const { config } = stackFile.parse(read(join(directory, `Pulumi.${stack}.yaml`))) ?? {};
      return config?.[`${project.name}:environment`] !== "sandbox";
    })
    .sort();
}

function read(file: string): unknown {
  return parse(readFileSync(file, "utf8")) as unknown;
}
