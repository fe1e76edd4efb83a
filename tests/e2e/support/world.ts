import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { recordedHost, type SandboxHost } from "../../../sandbox/hosts/host";
import type { Colour, SiteStatus } from "../../../host/conductor/protocol";
import type { CommandResult } from "../../../sandbox/command";
import type { LoadOptions } from "../../../sandbox/load/options";
import type { SandboxProject } from "../../../sandbox/project";
import { removeHostAndSource, Site, siteDirectory, type SiteOptions } from "../../../sandbox/site";
import type { Source } from "../../../sandbox/source";
import { worldNamed } from "../../../sandbox/world";
import { editConfig } from "./config-file";

/** Longest time that booting, or one `up`, may take in a test, in milliseconds: for `jest.setTimeout` and hooks. */
export const SLOW_MS = 300_000;

/** What a test sets of the stack's config, by key. */
export type Levers = Readonly<
  Partial<{
    stable: Colour;
    canaryWeight: number;
    blueVersion: string;
    greenVersion: string;
  }>
>;

/** One booted host for a test file, with a git source, certificates and a Pulumi project of its own. */
export class TestWorld {
  private constructor(private readonly site: Site) {}

  /**
   * Boots a host called `name` (1 to 31 of a-z, 0-9, "-"), unlike any other test file's. Nothing is deployed: call
   * {@link TestWorld.up}. Call {@link TestWorld.remove} in `afterAll`.
   * @param options.application what it ships; `plain` by default
   * @param options.suite Debian suite of the host; `forky` by default
   */
  static async create(
    name: string,
    { application = "plain", ...options }: Pick<SiteOptions, "application" | "suite"> = {},
  ): Promise<TestWorld> {
    await removeLeft(name);
    const projectDirectory = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
    const site = await Site.open({ ...options, name, projectDirectory, application });
    return new TestWorld(site);
  }

  get host(): SandboxHost {
    return this.site.host;
  }

  get project(): SandboxProject {
    return this.site.project;
  }

  /** Its git source: `addTag(version, edit)` publishes a broken variant. */
  get source(): Source {
    return this.site.source;
  }

  /** The name that the site answers to; it resolves nowhere: connect to `host.address`. */
  get domain(): string {
    return this.site.domain;
  }

  /** The certificate authority to trust, in PEM. */
  get authority(): string {
    return this.site.authority();
  }

  /** Writes the levers given into the stack's file. */
  setConfig(levers: Levers): void {
    if (Object.keys(levers).length > 0) editConfig(this.project, levers);
  }

  /** Sets a value inside a group: `setGroupValue("site.drainSeconds", "2")`. */
  async setGroupValue(key: string, value: string): Promise<void> {
    await this.project.setConfig(key, value, { path: true });
  }

  /** Sets the levers, and brings the host to them. Throws with Pulumi's output when that fails. */
  async up(levers: Levers = {}, args: readonly string[] = []): Promise<CommandResult> {
    this.setConfig(levers);
    return this.project.up(args);
  }

  /** Like {@link TestWorld.up} for an `up` that is expected to fail: the caller looks at the exit code. */
  async tryUp(levers: Levers = {}, args: readonly string[] = []): Promise<CommandResult> {
    this.setConfig(levers);
    return this.project.up(args, { check: false });
  }

  /** Asks the conductor what is live. */
  async status(): Promise<SiteStatus> {
    return this.site.status();
  }

  /** Where the load client has to send its requests; complete it with protocol, rate and the like. */
  loadTarget(): Pick<LoadOptions, "address" | "host"> & { readonly tls: { readonly ca: string } } {
    return { address: this.host.address, host: this.domain, tls: { ca: this.authority } };
  }

  /** Removes the host and everything that belongs to it. */
  async remove(): Promise<void> {
    await this.site.remove();
  }
}

/** Removes what a killed run left under that name: on it something is deployed, and its tags may be other ones by now. */
async function removeLeft(name: string): Promise<void> {
  const world = worldNamed();
  const host = recordedHost(name, world);
  if (host !== null) await removeHostAndSource(world, host);
  // There is no host yet where the run was killed before it booted.
  fs.rmSync(siteDirectory(world, name), { recursive: true, force: true });
}
