import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../command";
import { withLock } from "../lock";
import { repositoryRoot } from "../repository";
import { cacheDirectory } from "../world";
import { MACHINE_BUNDLE, missingCertificates, readBundle } from "./certificates";

/**
 * Debian suites that a host may have. `forky` is the first whose own packages have Nginx 1.30 and Node 22 or newer: its
 * image has them, and all else that host/bootstrap/packages installs. `trixie` is older: its image is bare.
 */
export type Suite = "forky" | "trixie";

/** What a bare Debian host has beyond the minimum; the rest is host/bootstrap/packages' to install. */
const BASE_PACKAGES = [
  "ca-certificates",
  "curl",
  "dbus",
  "iproute2",
  "libpam-systemd",
  "openssh-server",
  "procps",
  "sudo",
  "systemd",
  "systemd-sysv",
];

/** Layers that no host uses are removed when they have not been booted for this long. */
const LAYER_KEPT_MS = 14 * 24 * 3600 * 1000;

/** What host/bootstrap/packages consists of: an image is as good as another one where these are the same. */
const PACKAGES_INPUTS = [
  "host/bootstrap/packages",
  "host/bootstrap/sources",
  "host/bootstrap/nginx-source",
  "host/bootstrap/node-release",
  "host/bootstrap/security-updates",
  "host/pm2/package.json",
  "host/pm2/package-lock.json",
];

/** An image: directories for an overlay's `lowerdir`, uppermost first. */
export interface Image {
  readonly layers: readonly string[];
}

/** Which image, and who is told. */
export interface ImageOptions {
  /** `forky` by default. */
  readonly suite?: Suite;
  /** Called with a line for each slow step. */
  readonly onProgress?: (line: string) => void;
}

/**
 * Returns a suite's image, built into the cache where it is not there yet (a minute or two, once). Layers are keyed by a
 * hash of what they are made from, built beside and renamed: a killed build leaves nothing that would be taken for one.
 */
export async function ensureImage({ suite = "forky", onProgress }: ImageOptions = {}): Promise<Image> {
  const tell = onProgress ?? (() => undefined);
  const layersDirectory = path.join(cacheDirectory(), "layers");
  if (/[:,\\\s]/.test(layersDirectory)) {
    throw new Error(
      `cache directory ${layersDirectory}: an overlay takes no path with : , \\ or a blank; set XDG_CACHE_HOME`,
    );
  }
  const base = path.join(layersDirectory, `base-${baseKey(suite)}`);
  const upper = path.join(layersDirectory, upperName(suite));
  if (!isComplete(base) || !isComplete(upper)) {
    fs.mkdirSync(layersDirectory, { recursive: true });
    await withLock(layersDirectory, async () => {
      removeUnfinished(layersDirectory);
      await buildOnce(base, (target) => buildBase(suite, target, tell));
      await buildOnce(upper, (target) => buildUpper(suite, base, target, tell));
      removeUnused(layersDirectory, [base, upper]);
    });
  }
  const now = new Date();
  for (const layer of [base, upper]) fs.utimesSync(stamp(layer), now, now);
  return { layers: [root(upper), root(base)] };
}

const root = (layer: string): string => path.join(layer, "root");
const stamp = (layer: string): string => path.join(layer, "complete");
const isComplete = (layer: string): boolean => fs.existsSync(stamp(layer));

function baseKey(suite: Suite): string {
  return hash([suite, ...BASE_PACKAGES, process.arch, fileText("sandbox/image/base-layer")]);
}

function upperName(suite: Suite): string {
  const common = [baseKey(suite), readBundle(MACHINE_BUNDLE), fileText("sandbox/image/upper-layer")];
  if (suite === "trixie") return `bare-${hash(common)}`;
  return `packages-${hash([...common, ...PACKAGES_INPUTS.map((file) => fileText(file))])}`;
}

function fileText(file: string): string {
  return fs.readFileSync(path.join(repositoryRoot(), file), "utf8");
}

function hash(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/** Builds a layer beside its place, stamps it and renames it, unless it is there. */
async function buildOnce(layer: string, build: (target: string) => Promise<void>): Promise<void> {
  if (isComplete(layer)) return;
  const unfinished = `${layer}.unfinished`;
  fs.mkdirSync(unfinished, { mode: 0o755 });
  await build(unfinished);
  fs.writeFileSync(stamp(unfinished), "");
  fs.renameSync(unfinished, layer);
}

async function buildBase(suite: Suite, target: string, tell: (line: string) => void): Promise<void> {
  tell(`making a minimal Debian ${suite} (half a minute, once)`);
  fs.mkdirSync(path.join(target, "root"), { mode: 0o755 });
  await run([script("base-layer"), path.join(target, "root"), suite, BASE_PACKAGES.join(",")]);
}

/** What a host trusts as this machine does; and, but for a bare image, what a bootstrapped host has installed. */
async function buildUpper(
  suite: Suite,
  base: string,
  target: string,
  tell: (line: string) => void,
): Promise<void> {
  if (suite === "forky") tell("installing Nginx, Node and PM2 into it (a minute, once)");
  const [layer, scratch, trusted] = ["root", "scratch", "certificates"].map((name) =>
    path.join(target, name),
  );
  if (layer === undefined || scratch === undefined || trusted === undefined) throw new Error("unreachable");
  for (const directory of [layer, scratch, trusted]) fs.mkdirSync(directory, { mode: 0o755 });
  const guestBundle = readBundle(path.join(root(base), MACHINE_BUNDLE));
  missingCertificates(readBundle(MACHINE_BUNDLE), guestBundle).forEach((certificate, index) =>
    fs.writeFileSync(path.join(trusted, `machine-${index}.crt`), `${certificate}\n`),
  );
  const { stdout: registry } = await run(["npm", "config", "get", "registry"]);
  const env = { ...process.env, NPM_REGISTRY: registry.trim() };
  const host = suite === "trixie" ? [] : [path.join(repositoryRoot(), "host")];
  await run([script("upper-layer"), root(base), layer, scratch, trusted, ...host], { env });
  for (const directory of [scratch, trusted]) fs.rmSync(directory, { recursive: true });
}

function script(name: string): string {
  return path.join(repositoryRoot(), "sandbox", "image", name);
}

function removeUnfinished(layersDirectory: string): void {
  for (const name of fs.readdirSync(layersDirectory)) {
    if (name.endsWith(".unfinished")) fs.rmSync(path.join(layersDirectory, name), { recursive: true });
  }
}

/** Removes layers that were last booted from long ago and that no host has mounted. */
function removeUnused(layersDirectory: string, wanted: readonly string[]): void {
  const mounts = mountTables();
  for (const name of fs.readdirSync(layersDirectory)) {
    const layer = path.join(layersDirectory, name);
    if (wanted.includes(layer) || !isComplete(layer)) continue;
    const unused = Date.now() - fs.statSync(stamp(layer)).mtimeMs > LAYER_KEPT_MS;
    if (unused && !mounts.some((table) => table.includes(root(layer)))) fs.rmSync(layer, { recursive: true });
  }
}

/** The mount tables of all processes: each host has its mounts in a namespace of its own. */
function mountTables(): string[] {
  return fs.readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      return [fs.readFileSync(`/proc/${pid}/mountinfo`, "utf8")];
    } catch {
      return []; // The process has ended meanwhile.
    }
  });
}
