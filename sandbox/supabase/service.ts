import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import type { SandboxPostgres } from "../postgres";
import { waitFor } from "../processes";
import type { SandboxProject } from "../project";
import { freePorts, listens } from "../reachable";
import { repositoryRoot } from "../repository";
import { findService, serviceLog, startService, stopService, stopServicesLeft } from "../services";
import type { World } from "../world";
import type { StandInSettings } from "./main";
import { type ManagedProject, ManagedProjects } from "./management";

/** Longest wait for it to listen, in seconds. */
const LISTEN_SECONDS = 60;

/** Supabase for a site of the sandbox: one project, in front of the sandbox's Postgres, at an address that the host reaches. */
export class SandboxSupabase {
  private constructor(
    private readonly world: World,
    private readonly directory: string,
    private readonly settings: StandInSettings,
    private readonly project: ManagedProject,
  ) {}

  /**
   * Makes and starts it; what an earlier run left there, and at that address, is ended and removed. The project is as a careful operator of a paying organization leaves it, but for what the config sets.
   * @param directory For its settings and projects; made, and removed by {@link SandboxSupabase.remove}.
   */
  static async start(
    world: World,
    { directory, address, postgres }: { directory: string; address: string; postgres: SandboxPostgres },
  ): Promise<SandboxSupabase> {
    await stopServicesLeft(world, `supabase-${address}-`);
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const [port = 0] = await freePorts(address, 1);
    const settings: StandInSettings = {
      ...{ address, port, url: postgres.url, lintUrl: postgres.socketUrl },
      token: `sbp_${randomBytes(20).toString("hex")}`,
      projects: path.join(directory, "projects.json"),
    };
    const projects = new ManagedProjects();
    const project = projects.add({ name: "vehicleservice", pitr: true, ssl: true });
    const write = (file: string, text: string) => fs.writeFileSync(file, text, { mode: 0o600 });
    write(settings.projects, projects.text());
    write(path.join(directory, "settings.json"), JSON.stringify(settings));
    const supabase = new SandboxSupabase(world, directory, settings, project);
    await supabase.resume();
    return supabase;
  }

  /** URL of both of its APIs. */
  get url(): string {
    return `http://${this.settings.address}:${String(this.settings.port)}`;
  }

  /** Starts it again after {@link SandboxSupabase.stop}, under the same URL, with what it had. */
  async resume(): Promise<void> {
    const { world, settings, directory } = this;
    const program = path.join(repositoryRoot(), "dist", "supabase-stand-in.js");
    startService(world, this.service, [process.execPath, program, path.join(directory, "settings.json")]);
    const log = serviceLog(world, this.service);
    await waitFor(`Supabase's stand-in (see ${log})`, LISTEN_SECONDS, async () => {
      if (findService(world, this.service) === null) throw new Error(`it ended at once; see ${log}`);
      return (await listens(settings.address, settings.port)) ? true : undefined;
    });
  }

  /** Ends it; its URL then refuses connections. */
  async stop(): Promise<void> {
    await stopService(this.world, this.service);
  }

  /** Sets the keys of a stack's config that lead to it. */
  async configure(project: SandboxProject): Promise<void> {
    const key = (wanted: string) => this.project.keys.find(({ type }) => type === wanted)?.api_key ?? "";
    const secrets = {
      supabaseAccessToken: this.settings.token,
      "variables.NEXT_PUBLIC_SUPABASE_URL": this.url,
      "variables.NEXT_PUBLIC_SUPABASE_ANON_KEY": key("publishable"),
      "variables.SUPABASE_SERVICE_ROLE_KEY": key("secret"),
    };
    const values = { "supabase.apiUrl": this.url, "supabase.projectRef": this.project.ref };
    await project.setAll(values, secrets);
  }

  /** Ends it, and removes what it had. */
  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  private get service(): string {
    return `supabase-${this.settings.address}-${String(this.settings.port)}`;
  }
}
