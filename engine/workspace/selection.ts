import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Project } from "./project";

/** The file in which the CLI, too, keeps what is selected in a project. */
function workspaceFile(project: Project, environment: NodeJS.ProcessEnv): string {
  const home = environment["PULUMI_HOME"] ?? join(homedir(), ".pulumi");
  const digest = createHash("sha1").update(project.file).digest("hex");
  return join(home, "workspaces", `${project.name}-${digest}-workspace.json`);
}

/** What the CLI keeps for a project: the selected stack of each backend; `stack` is how older versions kept it. */
interface Settings {
  stack?: string;
  stacks?: Record<string, string>;
}

function readSettings(file: string): Settings {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Settings) : {};
}

/** The stack selected by `stack select` or by PULUMI_STACK; undefined where none is. */
export function selectedStack(
  project: Project,
  backendUrl: string,
  environment: NodeJS.ProcessEnv,
): string | undefined {
  if (environment["PULUMI_STACK"]) return environment["PULUMI_STACK"];
  const { stack, stacks } = readSettings(workspaceFile(project, environment));
  const selected = stacks?.[backendUrl] ?? stack ?? "";
  return selected === "" ? undefined : shortStackName(selected);
}

/** The stack's own name: `dev` of `organization/project/dev`. */
export function shortStackName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Selects a stack by its full name, or none. */
export function selectStack(
  project: Project,
  backendUrl: string,
  stack: string | undefined,
  environment: NodeJS.ProcessEnv,
): void {
  const file = workspaceFile(project, environment);
  const { stacks = {}, ...settings } = readSettings(file);
  const others = Object.entries(stacks).filter(([url]) => url !== backendUrl);
  const changed = {
    ...settings,
    stacks: Object.fromEntries(stack === undefined ? others : [...others, [backendUrl, stack]]),
  };
  if (stack === undefined) delete changed.stack;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, JSON.stringify(changed, undefined, 4), { mode: 0o600 });
}
