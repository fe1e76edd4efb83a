import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { MaintenanceAct, StatusAct } from "../host/conductor/protocol";
import type { FrontDoor } from "./front-door";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import type { Traffic } from "./traffic";

/** Arguments of {@link Maintenance}. */
export interface MaintenanceArgs {
  /** The host that the site is served from. */
  readonly host: Host;
  /** The front door, which closes. */
  readonly frontDoor: FrontDoor;
  /** Whether users are kept out. */
  readonly on: boolean;
}

const result = z.object({ maintenance: z.boolean() });

/**
 * Keeps users out while `on`: the door closes before the plan, and opens only after the traffic, so that whatever the
 * releases do in between, nobody meets it. An `up` that fails leaves it closed.
 */
export class Maintenance extends pulumi.ComponentResource {
  /** Constant; resolves once the door is closed, or at once where it need not be. */
  readonly closed: pulumi.Output<string>;
  private readonly name: string;
  private readonly args: MaintenanceArgs;
  private readonly sent: pulumi.Output<string>;

  constructor(name: string, args: MaintenanceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:Maintenance", name, {}, opts);
    this.name = name;
    this.args = args;
    const { host, frontDoor, on } = args;
    // A resource that came and went with `on` would have no id in a preview, and all that waits for it would look changed.
    const act: MaintenanceAct | StatusAct = on ? { act: "maintenance", on } : { act: "status" };
    const close = hostAct(
      `${name}-before`,
      { host, act, result, after: [frontDoor.configured] },
      { parent: this, replaceOnChanges: ["stdin"] },
    );
    this.closed = close.done("closed");
    this.sent = close.sent;
    this.registerOutputs({});
  }

  /** Opens the door, unless it is to stay closed, once the traffic is as asked. */
  endAfter(traffic: Traffic): void {
    const { host, on } = this.args;
    // An `up` that closed the door and failed never came here: what the state says of this act is then what it said before.
    const after = [traffic.applied, this.sent];
    hostAct(`${this.name}-after`, { host, act: { act: "maintenance", on }, result, after }, { parent: this });
  }
}
