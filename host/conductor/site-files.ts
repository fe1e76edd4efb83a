import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Failed } from "./acts";
import { CommandFailed, runCommand } from "./command";
import { readIfThere, removeDurably, writeDurably } from "./durable-file";
import type { Paths } from "./paths";
import { renderSiteConfiguration, type SiteConfigurationInput } from "./site-configuration";
import { requestUnix } from "./unix-http";
import { waitUntil } from "./wait";

/** Answers in a row that must come from the new configuration: an old worker may still hold the socket for a moment. */
const ANSWERS_IN_A_ROW = 5;
const EFFECTIVE_DEADLINE_MS = 15_000;

/**
 * Puts the site's Nginx configuration in force: keep the previous, write, `nginx -t`, reload, wait until the new one
 * serves; where any of it fails, the previous is put back and serves on.
 * @returns SHA-256 of the configuration, in hex.
 * @throws Failed with what Nginx said.
 */
export async function applySiteConfiguration(input: SiteConfigurationInput): Promise<string> {
  const { paths } = input;
  const template = renderSiteConfiguration(input);
  const hash = createHash("sha256").update(template).digest("hex");
  const text = `${template.replace("@CONFIGURATION@", hash)}\n`;
  const previous = await readIfThere(paths.siteConfiguration);
  if (previous === text && (await effectiveConfiguration(paths)) === hash) {
    return hash;
  }
  await mkdir(dirname(paths.trafficFallback), { recursive: true });
  if ((await readIfThere(paths.trafficFallback)) === null) {
    await writeDurably(paths.trafficFallback, 'default "blue 0 0 0 0";\n', 0o644);
  }
  // Holds the testers' secret; Nginx's master process reads it as root.
  await writeDurably(paths.siteConfiguration, text, 0o600);
  try {
    await runNginx("nginx", "-t", "-q");
    await runNginx("systemctl", "reload-or-restart", "nginx");
    await waitUntilEffective(paths, hash);
  } catch (error) {
    const outcome = await putBack(paths, previous).then(
      () => "the previous one serves on",
      (fault: unknown) => `and neither was the previous one (${describe(fault)})`,
    );
    throw new Failed(`the site's configuration was not taken, ${outcome}: ${describe(error)}`);
  }
  return hash;
}

async function runNginx(...argv: string[]): Promise<void> {
  await runCommand({ argv, timeoutSeconds: 30 });
}

async function putBack(paths: Paths, previous: string | null): Promise<void> {
  if (previous === null) {
    await removeDurably(paths.siteConfiguration);
  } else {
    await writeDurably(paths.siteConfiguration, previous, 0o600);
  }
  await runNginx("systemctl", "reload-or-restart", "nginx");
}

async function effectiveConfiguration(paths: Paths): Promise<string | null> {
  try {
    return (await requestUnix({ socket: paths.frontDoor, path: "/configuration", timeoutMs: 2000 })).body;
  } catch {
    return null;
  }
}

async function waitUntilEffective(paths: Paths, hash: string): Promise<void> {
  let inARow = 0;
  const taken = await waitUntil(EFFECTIVE_DEADLINE_MS, 10, async () => {
    inARow = (await effectiveConfiguration(paths)) === hash ? inARow + 1 : 0;
    return inARow >= ANSWERS_IN_A_ROW;
  });
  if (!taken) {
    throw new Failed(
      `Nginx took the reload and does not serve the new configuration after ${EFFECTIVE_DEADLINE_MS / 1000} s; ` +
        "see /var/log/nginx/error.log",
    );
  }
}

function describe(error: unknown): string {
  return error instanceof CommandFailed || error instanceof Failed ? error.message : String(error);
}
