import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { type EngineBundle, type EngineEnd, Workspace } from "../../../../engine/tests/harness";
import type { SupabaseStandIn } from "../../../../sandbox/supabase/stand-in";
import type { Wanted } from "./program";

const root = join(__dirname, "..", "..", "..", "..");

/** Token of the Management API, as a stack has it: something to look for where it must not be. */
export const TOKEN = ["sbp", "canary0of0the0management0token"].join("_");

/** Password of the mail server: a canary, too. */
export const SMTP_PASSWORD = 'canary-of-the-mail-server\'s "password"';

/** A stack on the embedded engine with {@link SupabaseProject} in it, against a stand-in. */
export class SupabaseStack {
  readonly workspace: Workspace;
  wanted: Wanted;

  constructor(
    engine: EngineBundle,
    private readonly standIn: SupabaseStandIn,
    ref: string,
  ) {
    this.workspace = new Workspace(engine, "../../../tests/unit/supabase/support/project");
    const { directory } = this.workspace;
    const common = { bundle: true, platform: "node", format: "cjs", packages: "external" } as const;
    mkdirSync(join(directory, "program"), { recursive: true });
    writeFileSync(join(directory, "program", "package.json"), '{ "main": "index.js" }');
    const entries = {
      "supabase/support/program.ts": "index.js",
      "../../components/supabase-provider.ts": "dist/supabase-provider.js",
    };
    for (const [entry, outfile] of Object.entries(entries)) {
      const entryPoints = [join(root, "tests", "unit", entry)];
      buildSync({ ...common, entryPoints, outfile: join(directory, "program", outfile) });
    }
    this.wanted = {
      supabase: {
        ...{ apiUrl: standIn.url, projectRef: ref, create: null, network: null },
        told: { variables: [], database: false },
        auth: { site_url: "https://www.example.com", jwt_exp: 1800, audit_log_disable_postgres: false },
        expected: { auditLog: "database", backups: "pitr", requireSsl: true, advisors: "stop" },
      },
      api: null,
      migrations: ["001"],
    };
  }

  async init(): Promise<void> {
    await this.workspace.succeed("stack init dev");
    await this.secret("token", TOKEN);
    await this.secret("smtp", SMTP_PASSWORD);
  }

  async secret(key: string, value: string): Promise<void> {
    const { code, stderr } = await this.workspace.pulumi(`config set --secret ${key}`, {}, value);
    if (code !== 0) throw new Error(stderr);
  }

  /** Changes what is wanted of the project. */
  want(changes: Partial<Wanted["supabase"]>, more: Partial<Omit<Wanted, "supabase">> = {}): void {
    this.wanted = { ...this.wanted, ...more, supabase: { ...this.wanted.supabase, ...changes } };
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

  /** Runs an `up` that has to succeed, and returns what it printed. */
  async succeed(words = "up --yes --skip-preview"): Promise<string> {
    const { code, stdout, stderr } = await this.run(words);
    if (code !== 0) throw new Error(`pulumi ${words} ended with ${String(code)}:\n${stdout}${stderr}`);
    return stdout + stderr;
  }

  /** Calls of the last run that change something, as `METHOD path`. */
  changes(): string[] {
    return this.standIn.calls
      .filter(({ method, path }) => method !== "GET" && !path.endsWith("/read-only"))
      .map(({ method, path }) => `${method} ${path}`);
  }

  remove(): void {
    this.workspace.remove();
  }
}
