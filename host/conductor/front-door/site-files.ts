import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Failed } from "../faults";
import { CommandFailed, runCommand } from "../system/command";
import { readIfThere, removeDurably, writeDurably } from "../system/durable-file";
import { fileDrift, findFile, markOf, sha256, type FoundFile, type KeptFile } from "../drift/kept-file";
import type { Paths } from "../paths";
import { renderSiteConfiguration, type SiteConfigurationInput } from "./site-configuration";
import { isSiteFileName, siteFiles } from "./site-policy";
import { requestUnix } from "../system/unix-http";
import { waitUntil } from "../system/wait";

/** Answers in a row that must come from the new configuration: an old worker may still hold the socket for a moment. */
const ANSWERS_IN_A_ROW = 5;

/** Longest wait, after a reload of Nginx, for what it has read to be in force, in milliseconds. */
export const EFFECTIVE_DEADLINE_MS = 60_000;

/** Nginx's configuration as it shall be. */
export interface NginxFiles {
  /** The main file, from the host software. */
  readonly main: KeptFile;
  /** The site's own. */
  readonly site: KeptFile;
  /** What the site's file includes, or njs reads. */
  readonly beside: readonly KeptFile[];
  /** SHA-256 of the site's configuration, in hex: what a front door that serves by it answers. */
  readonly hash: string;
}

/** A file as it shall be, and as it is. */
interface Comparison {
  readonly kept: KeptFile;
  readonly found: FoundFile | null;
}

/** Returns Nginx's configuration as it shall be: rendered, or from the host software. */
export async function nginxFiles(input: SiteConfigurationInput): Promise<NginxFiles> {
  const { paths } = input;
  const template = renderSiteConfiguration(input);
  const hash = sha256(template);
  const main = await readFile(join(paths.njs, "nginx.conf"), "utf8");
  return {
    main: { path: paths.nginxMain, text: main.replaceAll("@APP@", paths.unit), mode: 0o644 },
    site: {
      path: paths.siteConfiguration,
      text: `${template.replace("@CONFIGURATION@", hash)}\n`,
      // Holds the testers' secret; Nginx's master process reads it as root.
      mode: 0o600,
    },
    beside: siteFiles(input.settings, paths),
    hash,
  };
}

/**
 * Puts the site's Nginx configuration in force: test it aside with `nginx -t`, keep the previous, write, reload, wait until
 * the new one serves; where any of it fails, the previous one serves on, put back where it had been written over. What is
 * in Nginx's place was tested at every moment.
 * @returns SHA-256 of the configuration, in hex.
 * @throws Failed with what Nginx said.
 */
export async function applySiteConfiguration(input: SiteConfigurationInput): Promise<string> {
  const { paths } = input;
  const nginx = await nginxFiles(input);
  const { main, site, beside, hash } = nginx;
  const drifted = await driftedOf([main, site]);
  const isWhole = drifted.length === 0 && (await driftedOf(beside)).length === 0;
  if (isWhole && (await effectiveConfiguration(paths)) === hash) {
    return hash;
  }
  await mkdir(paths.nginxFiles, { recursive: true });
  if ((await readIfThere(paths.trafficFallback)) === null) {
    await writeDurably(paths.trafficFallback, 'default "blue 0 0 0 0 0";\n', 0o644);
  }
  for (const file of beside) {
    await writeDurably(file.path, file.text, file.mode);
  }
  try {
    await testAside(paths, nginx);
  } catch (error) {
    throw new Failed(
      `the site's configuration was not taken, the previous one serves on: ${describe(error)}`,
    );
  }
  await putInForce(paths, drifted, hash);
  await removeAllBut(beside, paths);
  return hash;
}

async function putInForce(paths: Paths, drifted: readonly Comparison[], hash: string): Promise<void> {
  try {
    for (const { kept } of drifted) {
      await writeDurably(kept.path, kept.text, kept.mode);
    }
    await runNginx("systemctl", "reload-or-restart", "nginx");
    await waitUntilEffective(paths, hash);
  } catch (error) {
    const outcome = await putBack(drifted).then(
      () => "the previous one serves on",
      (fault: unknown) => `and neither was the previous one (${describe(fault)})`,
    );
    throw new Failed(`the site's configuration was not taken, ${outcome}: ${describe(error)}`);
  }
}

/** Those that are not as they shall be. */
async function driftedOf(files: readonly KeptFile[]): Promise<Comparison[]> {
  const all = await Promise.all(files.map(async (kept) => ({ kept, found: await findFile(kept.path) })));
  return all.filter(({ kept, found }) => fileDrift(markOf(kept), found) !== null);
}

/** Files of earlier configurations, and of those that were not taken. */
async function removeAllBut(files: readonly KeptFile[], paths: Paths): Promise<void> {
  const kept = new Set(files.map(({ path }) => path));
  const found = (await readdir(paths.nginxFiles)).filter(isSiteFileName);
  for (const path of found.map((name) => join(paths.nginxFiles, name))) {
    if (!kept.has(path)) {
      await removeDurably(path);
    }
  }
}

/**
 * Has Nginx test a configuration that is not in its place: its main file, with the candidate instead of the site's file.
 * @throws CommandFailed with what Nginx said. Failed where the main file does not include the sites' directory.
 */
async function testAside(paths: Paths, { main: { text: main }, site: { text } }: NginxFiles): Promise<void> {
  const sites = dirname(paths.siteConfiguration);
  const includesSites = `include ${sites}/*.conf;`;
  if (!main.includes(includesSites)) {
    throw new Failed(`the host software's nginx.conf has no line \`${includesSites}\``);
  }
  const directory = join(paths.nginxFiles, "candidate");
  const candidate = join(directory, "site.conf");
  const others = (await readdir(sites))
    .filter((name) => name.endsWith(".conf") && name !== basename(paths.siteConfiguration))
    .map((name) => join(sites, name));
  const includes = [...others, candidate].map((path) => `include ${path};`).join("\n");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    await writeDurably(candidate, text, 0o600);
    const file = join(directory, "nginx.conf");
    await writeDurably(
      file,
      main.replace(includesSites, () => includes),
      0o600,
    );
    await runNginx("nginx", "-t", "-q", "-c", file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Lets Nginx read its configuration and certificates again, if it can.
 * @throws CommandFailed with what Nginx said; it serves on as it did.
 */
export async function testAndReloadNginx(): Promise<void> {
  await runNginx("nginx", "-t", "-q");
  await runNginx("systemctl", "reload-or-restart", "nginx");
}

async function runNginx(...argv: string[]): Promise<void> {
  await runCommand({ argv, timeoutSeconds: 90 });
}

async function putBack(drifted: readonly Comparison[]): Promise<void> {
  for (const { kept, found } of drifted) {
    if (found === null) {
      await removeDurably(kept.path);
    } else {
      await writeDurably(kept.path, found.text, kept.mode);
    }
  }
  await runNginx("systemctl", "reload-or-restart", "nginx");
}

/** Asks the running Nginx which configuration of the site it serves by, as its hash; null where none answers. */
export async function effectiveConfiguration(paths: Paths): Promise<string | null> {
  try {
    return (await requestUnix({ socket: paths.frontDoor, path: "/configuration", timeoutMs: 10_000 })).body;
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
