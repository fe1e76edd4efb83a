import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Command, CopyToRemote } from "@pulumi/command/remote";
import type { DesiredState } from "../host/conductor/protocol";
import type { HostConnection } from "./ask-host";
import type { Part } from "./drift-provider";
import { withComment } from "./host-act";
import { HostDrift } from "./host-drift";

/** What a config says of a host, wherever it is. */
export interface HostSettings {
  /** The application's name on the host: a-z, 0-9 and -. */
  readonly app: string;
  /** Private SSH key, unencrypted. A secret. */
  readonly privateKey: pulumi.Input<string>;
}

/** A machine, as SSH reaches it. */
export interface ReachableMachine {
  /** IPv4 address, IPv6 address or DNS name. */
  readonly address: pulumi.Input<string>;
  /** TCP port of SSH. */
  readonly port: number;
  /** User that SSH logs in as: root, or one who may use sudo without a password. */
  readonly user: string;
  /** The machine's public key, pinned: `<type> <base64>`. A machine with another key is refused. */
  readonly hostKey: pulumi.Input<string>;
  /** `SHA256:...` of {@link ReachableMachine.hostKey}. */
  readonly hostKeyFingerprint: pulumi.Input<string>;
  /** What tells the machine from another one at its address with its key; empty where the key alone does. */
  readonly instanceId: pulumi.Input<string>;
  /** How often a connection that fails is tried again; null for the command provider's 10, some 11 seconds. */
  readonly dialErrorLimit: number | null;
}

/** Arguments of {@link Host}. */
export interface HostArgs extends HostSettings {
  /** The machine that becomes the host. */
  readonly machine: ReachableMachine;
  /** What the site on it shall become: refused before anything is touched, where the host can tell that it cannot be reached. */
  readonly desired?: DesiredState;
  /** Archive of the host software; default: the one that `npm run build` leaves in this program's `dist`. */
  readonly software?: string;
}

/**
 * A machine with the host software on it: users, Nginx, Node, PM2 and the conductor.
 *
 * `destroy` leaves it as it is, for it serves.
 */
export class Host extends pulumi.ComponentResource {
  /** The application's name on the host. */
  readonly app: string;
  /** How SSH reaches the host. A secret. */
  readonly connection: pulumi.Output<HostConnection>;
  /**
   * Which host this is: fingerprint of its key, address and, of a machine that the stack made, its instance. Another host,
   * or this one set up anew, has another id, and gets everything again. Known in every preview of a machine that is there.
   */
  readonly hostId: pulumi.Output<string>;
  /** {@link Host.hostId}, once the host software runs: what takes it as an input waits for that. */
  readonly ready: pulumi.Output<string>;
  /** Put before a command that needs root: empty for root itself. */
  readonly asRoot: string;
  /** What somebody changed on the host by hand. */
  readonly drift: HostDrift;
  private readonly software: Software;

  constructor(name: string, args: HostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:host:Host", name, {}, opts);
    this.app = args.app;
    this.asRoot = args.machine.user === "root" ? "" : "sudo -n ";
    this.hostId = hostIdOf(args.machine);
    this.connection = connectionTo(args);

    this.software = readSoftware(args.software ?? DEFAULT_SOFTWARE);

    this.drift = this.askForDrift(`${name}-drift`, args.desired);
    const copy = this.copySoftware(`${name}-software`);
    const bootstrap = this.runBootstrap(`${name}-bootstrap`, copy);

    this.ready = bootstrap.id.apply(() => this.hostId);
    this.registerOutputs({ hostId: this.hostId });
  }

  /** Path of the program on the host that speaks to the conductor. */
  get conductor(): string {
    return `/usr/local/bin/${this.app}-conductor`;
  }

  /**
   * Changes when somebody changed `part` on the host, or when the host software is another, which may have another idea of
   * how the part shall be. Meant for {@link withComment}: a change there is an update in place, while a changed trigger
   * would replace the command, and a preview would show everything that waits for it as changed, too.
   */
  asLeft(part: Part): pulumi.Output<string> {
    return pulumi.interpolate`software ${this.software.sha256}, ${this.mended(part)}`;
  }

  /** Changes when somebody changed `part` on the host, and only then. */
  mended(part: Part): pulumi.Output<string> {
    return pulumi.interpolate`${part} put right ${this.drift.mends[part]} times`;
  }

  private askForDrift(name: string, desired: DesiredState | undefined): HostDrift {
    const { connection, hostId, conductor } = this;
    // sudo has no exit code of its own for a program that is not there.
    const command = `test -x ${conductor} || exit 127; ${this.asRoot}${conductor} act`;
    const asked = desired === undefined ? {} : { desired };
    return new HostDrift(name, { connection, hostId, command, ...asked }, { parent: this });
  }

  /** One archive, not a directory: a copied directory loses its modes and keeps files that are gone here. */
  private copySoftware(name: string): CopyToRemote {
    return new CopyToRemote(
      name,
      {
        connection: this.connection,
        source: new pulumi.asset.FileAsset(this.software.path),
        // Relative to the login user's home, the one place that every user may write to and no other user can.
        remotePath: archiveName(this.app),
        triggers: [this.hostId],
      },
      // An update copies only what changed here; a host that is new lacks what did not change, too.
      { parent: this, retainOnDelete: true, replaceOnChanges: ["triggers"] },
    );
  }

  private runBootstrap(name: string, copy: CopyToRemote): Command {
    const { sha256 } = this.software;
    return new Command(
      name,
      {
        connection: this.connection,
        create: this.asLeft("software").apply((reason) =>
          withComment(`${this.asRoot}sh -s -- ${this.app} ${sha256} ${archiveName(this.app)}`, [reason]),
        ),
        stdin: readFileSync(INSTALL_SCRIPT, "utf8"),
        // Not the hash: a changed trigger replaces the command, and a preview would then show everything that waits for
        // it as changed, too. The hash stands in `create`, whose change is an update.
        triggers: [copy.id.apply(() => this.hostId)],
        addPreviousOutputInEnv: false,
        logging: "stderr",
      },
      { parent: this, retainOnDelete: true },
    );
  }
}

/** The archive of the host software on this machine. */
interface Software {
  /** Relative to the working directory, so that no machine's own paths get into the state. */
  readonly path: string;
  /** In hex. */
  readonly sha256: string;
}

const DEFAULT_SOFTWARE = join(__dirname, "..", "dist", "host.tar");

/** Unpacks the archive and runs its bootstrap; a file of its own, since what is in the archive is not there yet. */
const INSTALL_SCRIPT = join(__dirname, "install-host");

function archiveName(app: string): string {
  return `.${app}-host.tar`;
}

function hostIdOf({
  hostKeyFingerprint,
  address,
  port,
  instanceId,
}: ReachableMachine): pulumi.Output<string> {
  return pulumi
    .all([hostKeyFingerprint, address, instanceId])
    .apply(([key, at, instance]) =>
      [key, at, String(port), ...(instance === "" ? [] : [instance])].join(" "),
    );
}

function connectionTo({ machine, privateKey }: HostArgs): pulumi.Output<HostConnection> {
  const { port, user, dialErrorLimit } = machine;
  return pulumi.secret(
    pulumi.all([machine.address, machine.hostKey, privateKey]).apply(([host, hostKey, key]) => ({
      ...{ host, port, user, hostKey, privateKey: key },
      ...(dialErrorLimit === null ? {} : { dialErrorLimit }),
    })),
  );
}

function readSoftware(path: string): Software {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new pulumi.RunError(
      `The host software cannot be read from ${path} (${reason}). Build it with: npm run build`,
    );
  }
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { path: relative(process.cwd(), path), sha256 };
}
