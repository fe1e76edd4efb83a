import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApplicationName } from "../sandbox/applications";
import { Site } from "../sandbox/site";
import { guarded } from "./guarded";
import { progress } from "./result";

/** Levers of the stack's config that put a version on each colour; blue serves everyone. */
const LEVERS = { stable: "blue", canaryWeight: "0", blueVersion: "v0.9.9", greenVersion: "v1.0.0" };

/**
 * Boots a host of the sandbox for a benchmark alone, deploys both versions, and removes it all afterwards. Where it
 * is killed instead, `bin/sandbox down` removes what it left.
 */
export async function withBenchSite<Result>(
  name: string,
  use: (site: Site) => Promise<Result>,
  application: ApplicationName = "plain",
): Promise<Result> {
  progress(`booting host ${name}`);
  const projectDirectory = mkdtempSync(join(tmpdir(), `${name}-`));
  const opened = await Site.open({ name, projectDirectory, application, onProgress: progress });
  return guarded(opened, async (site) => {
    progress("deploying v0.9.9 on blue and v1.0.0 on green");
    for (const [key, value] of Object.entries(LEVERS)) await site.project.setConfig(key, value);
    await site.project.up();
    return use(site);
  });
}
