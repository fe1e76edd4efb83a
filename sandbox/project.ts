import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parse, parseDocument } from "yaml";

import { assign, type Assignment } from "../engine/workspace/assignments";
import { openSession, Stack, type Session } from "../engine/workspace/session";
import { applicationOf, type Application } from "./applications";
import { run, type CommandOptions, type CommandResult } from "./command";
import { repositoryRoot } from "./repository";

/*
 * Why a Pulumi project of its own, in a directory that git ignores, and not the repository's root: a sandbox has values
 * that belong to one machine (addresses, keys, a secret, a passphrase) and a state of its own. In the root they would
 * show up as changes to committed files, and a local backend there would stand beside production's. A project directory
 * with `main: <the repository>` runs the same program by the Pulumi CLI and by the embedded engine alike: `-C` takes both there.
 */

/** What only this machine knows about a site, for the stack's config. */
export interface MachineValues {
  /** Keys of the group `host`: how it is reached, or how it comes about. */
  readonly host: Readonly<Record<string, unknown>>;
  /** Folder of the plugin that stands in for each provider, by its package; none by default. */
  readonly plugins?: Readonly<Record<string, string>>;
  /** Variables that its plugins need of whoever runs Pulumi on it, beside those of this process; none by default. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What the site ships. */
  readonly application: Application;
  /** Git URL of its source. */
  readonly repository: string;
}

/** Name of the stack; its committed defaults are the repository's `Pulumi.sandbox.yaml`. */
export const STACK = "sandbox";

/** File with the passphrase of the stack's secrets; bin/pulumi takes it when the environment names none. */
const PASSPHRASE = ".passphrase";

/** The sandbox's Pulumi project. */
export class SandboxProject {
  /** Has the key of the stack's secrets, once there are any. */
  private session: Session | undefined;

  private constructor(
    /** Its directory, absolute. */
    readonly directory: string,
    private readonly environment: Readonly<Record<string, string>> = {},
  ) {}

  /**
   * Makes the project in `directory`, or brings the one there up to date: project file from the repository's, stack
   * config (kept as the user left it, but for the machine's values and the settings of another application), passphrase,
   * stack, testers' secret.
   */
  static async prepare(directory: string, values: MachineValues): Promise<SandboxProject> {
    const project = new SandboxProject(path.resolve(directory), values.environment);
    fs.mkdirSync(project.directory, { recursive: true });
    project.writePassphrase();
    project.writeProjectFile(values.plugins ?? {});
    project.writeStackConfig(values);
    if (!fs.existsSync(project.stateFile())) await project.pulumi(["stack", "init", STACK]);
    if (!project.hasTesterSecret()) {
      await project.setSecret("testerSecret", randomBytes(24).toString("base64url"));
    }
    return project;
  }

  /** Returns the project that {@link SandboxProject.prepare} made or began to make, or null if there is none. */
  static find(directory: string): SandboxProject | null {
    const project = new SandboxProject(path.resolve(directory));
    return fs.existsSync(project.file(PASSPHRASE)) ? project : null;
  }

  /** Runs `bin/pulumi` on this project. The stack is named, for the selected one is the user's to change. */
  async pulumi(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const stack = args[0] === "stack" || args.includes("--stack") ? [] : ["--stack", STACK];
    const env = { ...(options.env ?? process.env), ...this.environment };
    return run([...this.command(), ...args, ...stack], { ...options, env });
  }

  /** Sets a key of the stack's config: `setConfig("canaryWeight", "5")`; `path` for one inside a group. */
  async setConfig(key: string, value: string, { path: inGroup = false } = {}): Promise<void> {
    await this.assign([{ key, text: value, path: inGroup }]);
  }

  /** Sets a secret of the stack's config: `setSecret("databaseUrl", url)`; `path` for one inside a group. */
  async setSecret(key: string, value: string, { path: inGroup = false } = {}): Promise<void> {
    await this.assign([{ key, text: value.replace(/\n$/, ""), path: inGroup, secret: true }]);
  }

  /** Sets many values and secrets of the stack's config; a key with a dot is a path into a group. */
  async setAll(
    values: Readonly<Record<string, string>>,
    secrets: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const assignments = (of: Readonly<Record<string, string>>, secret: boolean): Assignment[] =>
      Object.entries(of).map(([key, text]) => ({ key, text, secret, path: key.includes(".") }));
    await this.assign([...assignments(values, false), ...assignments(secrets, true)]);
  }

  /** Brings the host to what the config says. Throws a CommandError, with what Pulumi said, when it fails. */
  async up(args: readonly string[] = [], options: CommandOptions = {}): Promise<CommandResult> {
    return this.pulumi(["up", "--yes", "--skip-preview", ...args], options);
  }

  /** Reads a value of the config in clear. */
  async getConfig(key: string): Promise<string> {
    return (await this.pulumi(["config", "get", key])).stdout.trim();
  }

  /** Argument list that runs Pulumi on this project. */
  command(): string[] {
    return [path.join(repositoryRoot(), "bin", "pulumi"), "-C", this.directory];
  }

  /** Removes the directory, and the note of the selected stack that Pulumi keeps in the user's home. */
  remove(): void {
    const workspaces = path.join(
      process.env["PULUMI_HOME"] ?? path.join(os.homedir(), ".pulumi"),
      "workspaces",
    );
    const digest = createHash("sha1").update(this.file("Pulumi.yaml")).digest("hex");
    const { name } = this.projectFile();
    fs.rmSync(path.join(workspaces, `${name}-${digest}-workspace.json`), { force: true });
    for (const directory of [workspaces, path.dirname(workspaces)]) removeIfEmpty(directory);
    fs.rmSync(this.directory, { recursive: true });
  }

  /** As `bin/pulumi config set` does, but in this process: each run of that derives the key of the stack's secrets anew. */
  private async assign(assignments: readonly Assignment[]): Promise<void> {
    const byFile = { PULUMI_CONFIG_PASSPHRASE_FILE: this.file(PASSPHRASE) };
    this.session ??= openSession({ cwd: this.directory }, { ...byFile, ...process.env });
    await assign(await Stack.open(this.session, { stack: STACK }), assignments);
  }

  private writePassphrase(): void {
    const file = this.file(PASSPHRASE);
    if (!fs.existsSync(file))
      fs.writeFileSync(file, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
  }

  private writeProjectFile(plugins: Readonly<Record<string, string>>): void {
    const document = parseDocument(fs.readFileSync(path.join(repositoryRoot(), "Pulumi.yaml"), "utf8"));
    document.commentBefore = " Made from the repository's Pulumi.yaml at every run: changes here are lost.";
    document.set("main", path.relative(this.directory, repositoryRoot()));
    document.set("backend", { url: "file://." });
    const providers = Object.entries(plugins).map(([name, folder]) => ({ name, path: folder }));
    if (providers.length > 0) document.set("plugins", { providers });
    fs.writeFileSync(this.file("Pulumi.yaml"), document.toString({ lineWidth: 0 }));
  }

  private writeStackConfig(values: MachineValues): void {
    const file = this.file(`Pulumi.${STACK}.yaml`);
    const present = fs.existsSync(file) ? file : path.join(repositoryRoot(), `Pulumi.${STACK}.yaml`);
    const before = fs.readFileSync(present, "utf8");
    const document = parseDocument(before);
    const { name } = this.projectFile();
    for (const [key, value] of Object.entries(values.host)) {
      document.setIn(["config", `${name}:host`, key], document.createNode(value));
    }
    const repository = ["config", `${name}:source`, "repository"];
    if (applicationOf(String(document.getIn(repository)))?.name !== values.application.name) {
      const settings = values.application.settings ?? this.defaultSettings();
      document.setIn(["config", `${name}:application`], document.createNode(settings));
    }
    document.setIn(repository, values.repository);
    const after = document.toString({ lineWidth: 0 });
    if (after !== before || present !== file) fs.writeFileSync(file, after);
  }

  private defaultSettings(): unknown {
    const text = fs.readFileSync(path.join(repositoryRoot(), `Pulumi.${STACK}.yaml`), "utf8");
    const { config } = parse(text) as { config: Record<string, unknown> };
    return config[`${this.projectFile().name}:application`];
  }

  private hasTesterSecret(): boolean {
    const document = parseDocument(fs.readFileSync(this.file(`Pulumi.${STACK}.yaml`), "utf8"));
    return document.hasIn(["config", `${this.projectFile().name}:testerSecret`]);
  }

  private stateFile(): string {
    return this.file(path.join(".pulumi", "stacks", this.projectFile().name, `${STACK}.json`));
  }

  private projectFile(): { name: string } {
    return parse(fs.readFileSync(this.file("Pulumi.yaml"), "utf8")) as { name: string };
  }

  private file(name: string): string {
    return path.join(this.directory, name);
  }
}

function removeIfEmpty(directory: string): void {
  if (fs.existsSync(directory) && fs.readdirSync(directory).length === 0) fs.rmdirSync(directory);
}
