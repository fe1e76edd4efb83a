import { Client, type ClientChannel } from "ssh2";
import { readFileSync } from "node:fs";
import type { SandboxHost } from "../sandbox/hosts/host";

/** One SSH connection that carries one command after another, as an `up` uses it. */
export class SshConnection {
  private constructor(private readonly client: Client) {}

  /** Connects as root; the host key is pinned. */
  static async connect(host: SandboxHost): Promise<SshConnection> {
    const client = new Client();
    const pinned = Buffer.from(host.hostKey.split(" ")[1] ?? "", "base64");
    await new Promise<void>((resolve, reject) => {
      client.once("ready", resolve);
      client.once("error", reject);
      client.connect({
        host: host.address,
        username: "root",
        privateKey: readFileSync(host.privateKeyFile),
        hostVerifier: (key: Buffer) => key.equals(pinned),
      });
    });
    // Without it a command waits for the acknowledgement of the one before: 47 ms more.
    client.setNoDelay(true);
    return new SshConnection(client);
  }

  /**
   * Runs a command line of the host's shell with `stdin`.
   * @returns what it wrote to standard output
   * @throws Error with what it wrote to standard error, where it ends with anything but 0
   */
  run(command: string, stdin: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.client.exec(command, (error, channel) => {
        if (error) reject(error);
        else this.follow(channel, command, stdin).then(resolve, reject);
      });
    });
  }

  private follow(channel: ClientChannel, command: string, stdin: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let output = "";
      let errors = "";
      channel.on("data", (data: Buffer) => (output += data.toString()));
      channel.stderr.on("data", (data: Buffer) => (errors += data.toString()));
      channel.on("close", (code: number | null) => {
        if (code === 0) resolve(output);
        else reject(new Error(`exit status ${String(code)}: ${command}\n${errors}`));
      });
      channel.end(stdin);
    });
  }

  /** Closes the connection. */
  close(): void {
    this.client.end();
  }
}
