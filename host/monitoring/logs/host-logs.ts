import { join } from "node:path";
import type { Paths } from "../../conductor/paths";
import { COLOURS } from "../../conductor/protocol";
import { errorLog } from "../../conductor/processes/processes";
import { scrub } from "../../conductor/processes/scrub";
import { environmentFile } from "../../conductor/releases/environments";
import { readIfThere } from "../../conductor/system/durable-file";
import { DatabaseStore } from "../../database/state";
import { readSite } from "../sources";
import { withoutQueries } from "./lines";
import { fileSource, journalSource, type LogSource } from "./log-source";

/** Where Nginx writes its logs. */
const NGINX_LOGS = "/var/log/nginx";

/** The logs of a host. */
export function logsOfHost(app: string, paths: Paths): LogSource[] {
  return [
    fileSource("access", "access", join(NGINX_LOGS, "access.json")),
    fileSource("error", "error", join(NGINX_LOGS, "error.log")),
    ...COLOURS.flatMap((colour) => [
      fileSource("application", `${colour}_out`, join(paths.logs, `${colour}_out.log`)),
      fileSource("application", `${colour}_error`, errorLog(paths, colour)),
    ]),
    journalSource("conductor", "conductor", `${app}-conductor.service`),
  ];
}

/** Values by name, which a log shall not hold. */
export type Secrets = Readonly<Record<string, string>>;

/** Secrets of this host, as far as a log may hold one. What a browser gets anyway is none. */
export async function secretsOfHost(paths: Paths): Promise<Secrets[]> {
  const site = await readSite(paths);
  const database = await new DatabaseStore(paths.database).settings();
  const running = COLOURS.map((colour) => site?.colours[colour].release?.intent.environment);
  const hashes = new Set([...running, site?.environment].filter((hash) => typeof hash === "string"));
  const texts = await Promise.all([...hashes].map((hash) => readIfThere(environmentFile(paths, hash))));
  const environments = texts.map((text) => {
    const variables = text === null ? {} : (JSON.parse(text) as Secrets);
    return Object.fromEntries(Object.entries(variables).filter(([name]) => !name.startsWith("NEXT_PUBLIC_")));
  });
  return [
    ...environments,
    {
      ...(site === null
        ? {}
        : { PROBE_KEY: site.probeKey, TESTER_SECRET: site.settings?.testers.secret ?? "" }),
      ...(database === null ? {} : { DATABASE_PASSWORD: decodeURIComponent(new URL(database.url).password) }),
    },
  ];
}

/** Takes secrets out of lines. */
export function masker(secrets: () => readonly Secrets[]): (source: LogSource, text: string) => string {
  return (source, text) =>
    secrets().reduce(
      (masked, some) => scrub(masked, some),
      source.stream === "error" ? withoutQueries(text) : text,
    );
}
