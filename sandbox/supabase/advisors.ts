import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import * as path from "node:path";

import { repositoryRoot } from "../repository";

/** A finding, as the Management API's security advisors and the supabase CLI have it. */
export interface Lint {
  readonly name: string;
  readonly title?: string;
  readonly level: "ERROR" | "WARN" | "INFO";
  readonly detail: string;
  readonly remediation: string;
}

/**
 * Runs the security lints of the real supabase CLI on a database: the same ones that the platform runs.
 * @param url Of the database, percent-encoded and without a password, for it stands in the CLI's arguments
 * @throws Error with what the CLI said
 */
export async function advise(url: string): Promise<readonly Lint[]> {
  const program = path.join(repositoryRoot(), "node_modules", ".bin", "supabase");
  if (!existsSync(program)) throw new Error("the supabase CLI is not installed: run `npm ci`");
  const options = ["--type", "security", "--level", "info", "--fail-on", "none", "--output-format", "json"];
  const argv = ["db", "advisors", "--db-url", url, ...options];
  const text = await new Promise<string>((resolve, reject) => {
    const env = { ...process.env, DO_NOT_TRACK: "1", SUPABASE_TELEMETRY_DISABLED: "1" };
    execFile(program, argv, { cwd: "/", env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`supabase db advisors: ${stderr.trim() || stdout.trim()}`));
    });
  });
  const { results } = JSON.parse(text) as { readonly results?: readonly Lint[] };
  if (results === undefined) throw new Error(`supabase db advisors answered in another form: ${text}`);
  return results;
}
