import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { waitFor } from "../processes";
import type { SandboxProject } from "../project";
import { freePorts, listens } from "../reachable";
import { repositoryRoot } from "../repository";
import { findService, serviceLog, startService, stopService, stopServicesLeft } from "../services";
import type { World } from "../world";
import { StripeAccountState, type StoredEndpoint } from "./endpoints";
import type { StandInSettings } from "./main";
import { installStripeMock } from "./stripe-mock";

/** Longest wait for it to listen, in seconds. */
const LISTEN_SECONDS = 60;

/** Stripe for a site of the sandbox: one account in test mode, at an address of this machine's. */
export class SandboxStripe {
  private constructor(
    private readonly world: World,
    private readonly directory: string,
    private readonly settings: StandInSettings,
  ) {}

  /**
   * Makes and starts it; what an earlier run left there, and at that address, is ended and removed.
   * @param directory For its settings and endpoints; made, and removed by {@link SandboxStripe.remove}.
   */
  static async start(
    world: World,
    { directory, address }: { directory: string; address: string },
  ): Promise<SandboxStripe> {
    await stopServicesLeft(world, `stripe-${address}-`);
    const program = await installStripeMock();
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const [port = 0] = await freePorts(address, 1);
    const settings: StandInSettings = {
      ...{ address, port, key: ["sk", "test", randomBytes(16).toString("hex")].join("_") },
      mock: { program, socket: path.join(directory, "mock.sock") },
      state: path.join(directory, "state.json"),
    };
    fs.writeFileSync(path.join(directory, "settings.json"), JSON.stringify(settings), { mode: 0o600 });
    const stripe = new SandboxStripe(world, directory, settings);
    await stripe.resume();
    return stripe;
  }

  /** URL of its API. */
  get url(): string {
    return `http://${this.settings.address}:${String(this.settings.port)}`;
  }

  /** The endpoints that it has now, with their secrets. */
  get endpoints(): readonly StoredEndpoint[] {
    const state = new StripeAccountState(false);
    if (fs.existsSync(this.settings.state)) state.read(fs.readFileSync(this.settings.state, "utf8"));
    return state.endpoints;
  }

  /** Deletes an endpoint, as somebody does in the dashboard. */
  async deleteEndpoint(id: string): Promise<void> {
    const headers = { Authorization: `Bearer ${this.settings.key}` };
    const answer = await fetch(`${this.url}/v1/webhook_endpoints/${id}`, { method: "DELETE", headers });
    if (!answer.ok) throw new Error(`deleting ${id} was answered ${answer.status}: ${await answer.text()}`);
  }

  /** Starts it again after {@link SandboxStripe.stop}, under the same URL, with what it had. */
  async resume(): Promise<void> {
    const { world, settings, directory } = this;
    const program = path.join(repositoryRoot(), "dist", "stripe-stand-in.js");
    startService(world, this.service, [process.execPath, program, path.join(directory, "settings.json")]);
    const log = serviceLog(world, this.service);
    await waitFor(`Stripe's stand-in (see ${log})`, LISTEN_SECONDS, async () => {
      if (findService(world, this.service) === null) throw new Error(`it ended at once; see ${log}`);
      return (await listens(settings.address, settings.port)) ? true : undefined;
    });
  }

  /** Ends it; its URL then refuses connections. */
  async stop(): Promise<void> {
    await stopService(this.world, this.service);
  }

  /** Sets the keys of a stack's config that lead to it, and have it make a webhook endpoint. */
  async configure(project: SandboxProject): Promise<void> {
    const values = { "stripe.mode": "test", "stripe.apiUrl": this.url, "stripe.webhook.generation": "1" };
    await project.setAll(values, { stripeApiKey: this.settings.key });
  }

  /** Ends it, and removes what it had. */
  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  private get service(): string {
    return `stripe-${this.settings.address}-${String(this.settings.port)}`;
  }
}
