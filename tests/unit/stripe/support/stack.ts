import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildSync } from "esbuild";
import { type EngineBundle, type EngineEnd, Workspace } from "../../../../engine/tests/harness";
import type { StripeStandIn } from "../../../../sandbox/stripe/stand-in";
import type { Wanted } from "./program";

const root = join(__dirname, "..", "..", "..", "..");

/** Key of the API, as a stack has it: something to look for where it must not be. */
export const KEY = ["sk", "live", "canary0of0the0stripe0api0key"].join("_");

/** What a stack is kept in. */
const STACK_FILES = [".pulumi", "Pulumi.dev.yaml"];

/** A stack on the embedded engine with {@link StripeWebhook} in it, against a stand-in. */
export class StripeStack {
  readonly workspace: Workspace;
  wanted: Wanted;

  constructor(
    private readonly engine: EngineBundle,
    private readonly standIn: StripeStandIn,
  ) {
    const named = { PULUMI_STACK: "dev" };
    this.workspace = new Workspace(engine, "../../../tests/unit/stripe/support/project", named);
    cpSync(this.made("program", makeProgram), join(this.workspace.directory, "program"), { recursive: true });
    this.wanted = {
      ...{ apiUrl: standIn.url, mode: "live", account: "stop", description: "of a test", stack: "shop/live" },
      url: "https://shop.example.com/api/business/wallet/webhook",
      events: ["payment_intent.succeeded", "payment_method.attached"],
      ...{ generation: 1, next: 0, keep: [], adopt: "", warnings: [] },
      redirectUri: "https://shop.example.com/api/business/stripe/callback",
    };
  }

  /** Makes the stack with its key: the first one of an engine's bundle, of which the others are copies. */
  async init(): Promise<void> {
    const { directory } = this.workspace;
    const kept = this.made("stack", (folder) => mkdirSync(folder));
    if (readdirSync(kept).length === 0) {
      await this.workspace.succeed("stack init dev");
      await this.secret("key", KEY);
      for (const name of STACK_FILES) cpSync(join(directory, name), join(kept, name), { recursive: true });
    } else {
      cpSync(kept, directory, { recursive: true });
    }
  }

  async secret(key: string, value: string): Promise<void> {
    const { code, stderr } = await this.workspace.pulumi(`config set --secret ${key}`, {}, value);
    if (code !== 0) throw new Error(stderr);
  }

  /** Changes what is wanted. */
  want(changes: Partial<Wanted>): void {
    this.wanted = { ...this.wanted, ...changes };
  }

  /** Runs the engine; forgets the calls of before. */
  async run(words: string): Promise<EngineEnd> {
    writeFileSync(join(this.workspace.directory, "spec.json"), JSON.stringify(this.wanted));
    this.standIn.calls.length = 0;
    return this.workspace.pulumi(words);
  }

  async up(): Promise<EngineEnd> {
    return this.run("up --yes --skip-preview");
  }

  /** Runs a command that has to succeed, and returns what it printed. */
  async succeed(words = "up --yes --skip-preview"): Promise<string> {
    const { code, stdout, stderr } = await this.run(words);
    if (code !== 0) throw new Error(`pulumi ${words} ended with ${String(code)}:\n${stdout}${stderr}`);
    return stdout + stderr;
  }

  /** Runs an `up` that has to fail, and returns what it printed. */
  async fail(): Promise<string> {
    const { code, stdout, stderr } = await this.up();
    if (code === 0) throw new Error(`up succeeded:\n${stdout}${stderr}`);
    return stdout + stderr;
  }

  /** The application's variable, in clear. */
  async signingSecret(): Promise<string> {
    return (await this.workspace.succeed("stack output secret --show-secrets")).trim();
  }

  /** Calls of the last run that change something, as `METHOD path`. */
  changes(): string[] {
    return this.standIn.calls
      .filter(({ method }) => method !== "GET")
      .map(({ method, path }) => `${method} ${path}`);
  }

  remove(): void {
    this.workspace.remove();
  }

  /** What is made once beside the engine's bundle, and goes with it. */
  private made(name: string, make: (folder: string) => void): string {
    const folder = join(dirname(this.engine.entry), `stripe-${name}`);
    if (!existsSync(folder)) make(folder);
    return folder;
  }
}

/** The program and its provider, as the program's folder has them. */
function makeProgram(folder: string): void {
  const common = { bundle: true, platform: "node", format: "cjs", packages: "external" } as const;
  const entries = {
    "tests/unit/stripe/support/program.ts": "index.js",
    "components/stripe-provider.ts": "dist/stripe-provider.js",
  };
  for (const [entry, outfile] of Object.entries(entries))
    buildSync({ ...common, entryPoints: [join(root, entry)], outfile: join(folder, outfile) });
  writeFileSync(join(folder, "package.json"), '{ "main": "index.js" }');
}
