import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { ReleaseIntent } from "../protocol";

/** What a release's node_modules may be a function of. */
export interface DependencyInputs {
  readonly install: ReleaseIntent["install"];
  /** Version of Node, with the machine that it runs on. */
  readonly node: string;
  /** Text of the root's package.json; null for none. */
  readonly manifest: string | null;
  /** Text of the root's lock file; null for none. */
  readonly lock: string | null;
  /** Hashes of all files of the release, by path. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * The lock files that a store entry can be named by. pnpm and bun keep a store of their own, in the builder's home, from which
 * they copy: they would make hard links, and a later build could write into files that serve; the walls between home and
 * release leave none.
 */
export const LOCK_FILES = ["npm-shrinkwrap.json", "package-lock.json", "yarn.lock"] as const;

const PLAIN_INSTALLS = [
  ["npm", ["ci", "clean-install", "install", "i"]],
  ["yarn", ["install"]],
] as const;

/** Scripts of the root that an install runs: they may read any file, and write any. */
const INSTALL_SCRIPTS = [
  "preinstall",
  "install",
  "postinstall",
  "prepublish",
  "preprepare",
  "prepare",
  "postprepare",
];

/** Parts of package.json that an install looks at. Its version is none of them: every release has another one. */
const MANIFEST_PARTS = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
  "peerDependenciesMeta",
  "bundledDependencies",
  "bundleDependencies",
  "overrides",
  "resolutions",
  "packageManager",
  "engines",
  "prisma",
];

/** Files beside the lock file that an install, or the install script of a dependency, reads. */
const READ_BY_INSTALLS = /^(\.npmrc|\.yarnrc|\.yarnrc\.yml|patches\/.*|(.*\/)?[^/]*\.prisma)$/;

/**
 * Names what an install puts into node_modules: equal names, equal content. Pure.
 * @returns null where node_modules is a function of more than can be told: no lock file, workspaces, packages from the
 * release's own folders, install scripts of the application itself, an install that is a program of its own.
 */
export function dependencyKey({ install, node, manifest, lock, files }: DependencyInputs): string | null {
  const project = manifest === null ? null : parseObject(manifest);
  if (
    project === null ||
    lock === null ||
    !isPlainInstall(install) ||
    !isSelfContained(project, lock, files)
  ) {
    return null;
  }
  const parts = MANIFEST_PARTS.map((part) => [part, project[part] ?? null]);
  const beside = [...files].filter(([path]) => READ_BY_INSTALLS.test(path)).sort();
  const content = JSON.stringify([1, node, install, parts, withoutVersion(lock), beside]);
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

function isPlainInstall([program = "", action = "install"]: readonly string[]): boolean {
  const name = basename(program);
  return PLAIN_INSTALLS.some(([known, actions]) => known === name && actions.some((one) => one === action));
}

function isSelfContained(
  project: Readonly<Record<string, unknown>>,
  lock: string,
  files: ReadonlyMap<string, string>,
): boolean {
  const scripts = Object.keys(project["scripts"] ?? {});
  return (
    project["workspaces"] === undefined &&
    !scripts.some((script) => INSTALL_SCRIPTS.includes(script)) &&
    // npm builds such a root by itself.
    !files.has("binding.gyp") &&
    !/"link":\s*true|["\s@](file|link|portal|workspace):/.test(lock)
  );
}

/** npm repeats the version of package.json in the lock file, twice. */
function withoutVersion(lock: string): string {
  const parsed = parseObject(lock);
  if (parsed === null) {
    return lock;
  }
  const packages = parsed["packages"] as Record<string, Record<string, unknown>> | undefined;
  const root = packages?.[""];
  return JSON.stringify({
    ...parsed,
    version: null,
    ...(root === undefined ? {} : { packages: { ...packages, "": { ...root, version: null } } }),
  });
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
