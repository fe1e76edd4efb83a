import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { RestDatabase } from "./rest";
import { SupabaseStandIn } from "./stand-in";

/*
 * The stand-in as a program: supabase-stand-in.js <settings file>. It listens until it is ended, and keeps its projects in a
 * file, so that they outlive it. The settings hold a token and a URL with a password, and so do not stand in its arguments.
 */

/** What the file holds, as JSON. */
export interface StandInSettings {
  readonly token: string;
  readonly address: string;
  readonly port: number;
  /** URL of the database for the REST API, and the one for the CLI's lints. */
  readonly url: string;
  readonly lintUrl: string;
  /** File that the projects are kept in. */
  readonly projects: string;
}

async function main(): Promise<void> {
  const [, , file] = process.argv;
  if (file === undefined) throw new Error("usage: supabase-stand-in.js <settings file>");
  const settings = JSON.parse(readFileSync(file, "utf8")) as StandInSettings;
  const { token, address, port, projects: kept } = settings;
  const save = () => {
    const next = `${kept}.next`;
    writeFileSync(next, standIn.projects.text(), { mode: 0o600 });
    renameSync(next, kept);
  };
  const database = new RestDatabase(settings.url, settings.lintUrl);
  const standIn = await SupabaseStandIn.start({ token, address, port, database, onAnswer: save });
  if (existsSync(kept)) standIn.projects.read(readFileSync(kept, "utf8"));
  process.once("SIGTERM", () => {
    void standIn.stop();
  });
}

main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exitCode = 1;
});
