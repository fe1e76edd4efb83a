import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsOf, type Paths } from "../../../../host/conductor/paths";
import type {
  Colour,
  DesiredState,
  PlanAct,
  ReleaseIntent,
  SiteSettings,
  TrafficIntent,
} from "../../../../host/conductor/protocol";
import {
  emptySite,
  RETIRED,
  type ColourState,
  type RunningRelease,
  type Site,
} from "../../../../host/conductor/site";

/**
 * Settings of a site. Pauses are short; limits are those of a slow machine, so that a test that is about a limit sets its own.
 */
export const SETTINGS: SiteSettings = {
  domains: ["shop.example.com", "*.shop.example.com"],
  ports: { blue: 3001, green: 3002 },
  instances: 2,
  tls: { certificate: "/etc/ssl/shop/fullchain.pem", key: "/etc/ssl/shop/privkey.pem" },
  health: {
    path: "/api/health",
    passes: 3,
    failures: 2,
    intervalMs: 10,
    timeoutMs: 30_000,
    deadlineSeconds: 60,
  },
  drainSeconds: 60,
  readTimeoutSeconds: 60,
  keepaliveRequests: 1_000_000,
  keepaliveSeconds: 75,
  idCookie: "shop_id",
  testers: { name: "x-shop-tester", secret: "not-a-secret-only-a-test" },
  stablePaths: ["/api/webhook"],
  maxBodyMegabytes: 10,
  releasesKept: 3,
  apiPaths: ["/api"],
  maintenance: { page: null, passPaths: ["/api/health"], retryAfterSeconds: 120 },
  hsts: { maxAgeSeconds: 31_536_000, includeSubdomains: true, preload: false },
  headers: { "X-Frame-Options": "SAMEORIGIN", "Permissions-Policy": "camera=(), geolocation=()" },
  rateLimit: {
    requestsPerMinute: 100,
    burst: 200,
    exemptPaths: ["/api/health"],
    exemptNetworks: ["10.77.0.0/16"],
  },
  nginxSnippet: null,
  assetsPath: "/_next/static",
  builds: { assets: ".next/static", cache: [".next/cache"], minFreeMegabytes: 0, timeoutSeconds: 1800 },
  smokeTests: [{ name: "home", path: "/", method: "GET", status: [200], contains: null }],
};

/** Hash of the environment that every intent has, if it is not told another one. */
export const ENVIRONMENT = "e".repeat(16);

/** The intent to run `version`. */
export function intentOf(version: string, change: Partial<ReleaseIntent> = {}): ReleaseIntent {
  return {
    version,
    tag: `${version}-production`,
    repository: "https://git.example.com/shop.git",
    commit: null,
    install: ["npm", "ci"],
    build: ["npm", "run", "build"],
    prune: [],
    script: "server.js",
    args: [],
    environment: ENVIRONMENT,
    buildVariables: [],
    ...change,
  };
}

/** A release as a colour runs it, with a commit and a directory that follow from its version. */
export function runningOf(version: string, change: Partial<ReleaseIntent> = {}): RunningRelease {
  return {
    intent: intentOf(version, change),
    commit: `commit-of-${version}`,
    directory: `/var/www/shop-${version}`,
    instances: SETTINGS.instances,
  };
}

/** A colour that runs `version` well, with users' traffic set since. */
export function serving(version: string, change: Partial<ColourState> = {}): ColourState {
  return { ...RETIRED, release: runningOf(version), healthy: true, withdrawn: false, ...change };
}

/** A colour on which `version` was released and proven, and never had a share. */
export function released(version: string): ColourState {
  return serving(version, { withdrawn: true });
}

/** The desired state of a plan, as a program knows it before the environment is on the host. */
export function desiredOf({ releases, traffic }: Pick<PlanAct, "releases" | "traffic">): DesiredState {
  return { releases: { blue: knownOf(releases.blue), green: knownOf(releases.green) }, traffic };
}

function knownOf(release: ReleaseIntent | null): DesiredState["releases"][Colour] {
  if (release === null) return null;
  const known = Object.entries(release).filter(([key]) => key !== "environment");
  return Object.fromEntries(known) as unknown as Omit<ReleaseIntent, "environment">;
}

/** A site; a colour that is not named is retired. */
export function siteOf(
  colours: Partial<Record<Colour, ColourState>>,
  traffic: TrafficIntent | null = { stable: "blue", weight: 0 },
): Site {
  return {
    ...emptySite("0123456789abcdef0123456789abcdef"),
    settings: SETTINGS,
    traffic: traffic === null ? null : { ...traffic, salt: "salt" },
    colours: { blue: RETIRED, green: RETIRED, ...colours },
  };
}

/** A directory of the test's own; {@link removeDirectories} removes it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "host-"));
  directories.push(directory);
  return directory;
}

/** For `afterAll`: removes what {@link temporaryDirectory} made. */
export function removeDirectories(): void {
  for (const directory of directories.splice(0)) {
    rmSync(directory, { recursive: true, force: true });
  }
}

const directories: string[] = [];

/** The paths of application `shop` under a root of the test's own. */
export function pathsUnder(root: string): Paths {
  const paths = pathsOf("shop");
  const moved = new Map<string, string>();
  for (const [key, value] of Object.entries(paths as unknown as Record<string, string>)) {
    moved.set(key, value.startsWith("/") ? join(root, value) : value);
  }
  return Object.fromEntries(moved) as unknown as Paths;
}

/** Does a process of this id run? */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie answers the signal, too; what it was is gone.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
