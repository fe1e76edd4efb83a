import * as fs from "node:fs";
import * as path from "node:path";

/** Names of the applications that a sandbox can ship. */
export const APPLICATION_NAMES = ["plain", "next"] as const;

/** Which application a sandbox ships: `plain`, in Node without a dependency, or `next`, of the product's own shape. */
export type ApplicationName = (typeof APPLICATION_NAMES)[number];

/** A version of an application that its repository has from the beginning. */
export interface PublishedVersion {
  /** As `v1.2.3`. */
  readonly version: string;
  /** What makes it differ from the others, beyond its number; nothing by default. */
  readonly edit?: (directory: string) => void;
}

/** An application that the sandbox ships. */
export interface Application {
  readonly name: ApplicationName;
  /** Where its source is, below `sandbox/`. */
  readonly directory: string;
  /** File name of its git repository. */
  readonly repository: string;
  /** What its repository has from the beginning, in the order of the commits. */
  readonly versions: readonly PublishedVersion[];
  /** The stack's `application` group for it; null for the one in `Pulumi.sandbox.yaml`. */
  readonly settings: Readonly<Record<string, unknown>> | null;
}

/** Versions that every sandbox's source has, oldest first. */
export const PUBLISHED_VERSIONS = ["v0.9.9", "v1.0.0", "v1.1.0"] as const;

/** A version of the Next.js application that builds and starts, and answers its health check with 500. */
export const BROKEN_VERSION = "v1.0.1";

const published = PUBLISHED_VERSIONS.map((version) => ({ version }));

const APPLICATIONS: Readonly<Record<ApplicationName, Application>> = {
  plain: {
    name: "plain",
    directory: "sample",
    repository: "sample.git",
    versions: published,
    settings: null,
  },
  next: {
    name: "next",
    directory: "app",
    repository: "app.git",
    versions: [...published, { version: BROKEN_VERSION, edit: breakHealth }],
    settings: {
      install: ["npm", "ci"],
      build: ["npm", "run", "build"],
      prune: ["npm", "prune", "--omit=dev"],
      script: "node_modules/next/dist/bin/next",
      args: ["start"],
      health: { path: "/api/health" },
    },
  },
};

/** Returns the application called `name`. */
export function applicationNamed(name: ApplicationName): Application {
  return APPLICATIONS[name];
}

/** Returns the application whose repository `url` is, or null where it is none of ours. */
export function applicationOf(url: string): Application | null {
  const name = path.posix.basename(url);
  return Object.values(APPLICATIONS).find(({ repository }) => repository === name) ?? null;
}

function breakHealth(directory: string): void {
  const route = path.join(directory, "app", "api", "health", "route.ts");
  if (!fs.existsSync(route)) throw new Error(`${route} is missing: the health check has moved`);
  const answer = 'Response.json({ status: "error" }, { status: 500 })';
  fs.writeFileSync(
    route,
    `export const dynamic = "force-dynamic";\n\nexport function GET(): Response {\n  return ${answer};\n}\n`,
  );
}
