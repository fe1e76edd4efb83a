import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Client, SFTPWrapper, Stats } from "ssh2";
import { isMap, textOf, unwrapSecrets, type PropertyMap } from "../../values/property";
import { EngineError, messageOf } from "../../errors";
import type { ProviderContext } from "../provider";
import { localPath } from "../../values/asset";
import { connectionOptions } from "./connection";
import type { ConnectionPool } from "./connection-pool";
import { onLimit, requireGoing } from "./limits";

/** The code by which SFTP says that there is no such file. */
const NO_SUCH_FILE = 2;

/** Copies a file, a text or a directory to a host, by the rules of the command provider's CopyToRemote. */
export async function copyToRemote(
  context: ProviderContext,
  connections: ConnectionPool,
  inputs: PropertyMap,
): Promise<void> {
  const source = unwrapSecrets(inputs["source"] ?? null);
  const target = textOf(inputs["remotePath"]);
  if (!isMap(source)) throw new EngineError("the source is missing");
  const copy = async (client: Client): Promise<void> => {
    const remote = new RemoteFiles(await openSftp(client));
    try {
      requireGoing(context);
      if (typeof source["path"] === "string")
        await remote.copy(localPath(context.directory, source["path"]), target);
      else await remote.writeText(textOf(source["text"]), target);
    } finally {
      remote.end();
    }
  };
  await connections.with(context, connectionOptions(inputs, process.env), (client) =>
    whileConnected(client, context, copy),
  );
}

/** Does work over a connection. Ends with it, with the run, and with the time that there is: ssh2's streams do not settle then. */
async function whileConnected(
  client: Client,
  context: ProviderContext,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  let end: (error: Error) => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => (end = reject));
  const onClose = (): void => {
    end(new Error("the connection was lost while copying"));
  };
  const unlimited = onLimit(context, (why) => {
    end(new Error(why));
  });
  client.once("close", onClose);
  try {
    await Promise.race([ended, work(client)]);
  } finally {
    unlimited();
    client.removeListener("close", onClose);
  }
}

function openSftp(client: Client): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((error, sftp) => {
      if (error) reject(new Error(`the host offers no SFTP: ${error.message}`));
      else resolve(sftp);
    });
  });
}

/** What is done to a host's files over one SFTP channel. */
class RemoteFiles {
  constructor(private readonly sftp: SFTPWrapper) {}

  end(): void {
    this.sftp.end();
  }

  /** Writes a text to a file, whose parent directories are made. */
  async writeText(text: string, target: string): Promise<void> {
    if ((await this.stat(target))?.isDirectory()) {
      throw new Error(
        `remote path ${target} is a directory; when using a text asset, remotePath must be a file path`,
      );
    }
    await this.makeDirectories(posix.dirname(target));
    await this.done((callback) => {
      this.sftp.writeFile(target, text, callback);
    }, `write ${target}`);
  }

  /** Copies a local file or directory; a directory without a trailing slash keeps its name below the target. */
  async copy(source: string, target: string): Promise<void> {
    const isDirectory = (await stat(source)).isDirectory();
    const found = await this.stat(target);
    if (!isDirectory) {
      if (!found) await this.makeDirectories(posix.dirname(target));
      await this.copyFile(source, found?.isDirectory() ? posix.join(target, basename(source)) : target);
      return;
    }
    await this.makeDirectories(target);
    await this.copyDirectory(source, source.endsWith("/") ? target : posix.join(target, basename(source)));
  }

  private async copyDirectory(source: string, target: string): Promise<void> {
    const found = await this.stat(target);
    if (found && !found.isDirectory()) throw new Error(`remote path ${target} exists but is not a directory`);
    if (!found) await this.makeDirectory(target);
    for (const entry of await readdir(source)) {
      const path = join(source, entry);
      const remotePath = posix.join(target, entry);
      if ((await stat(path)).isDirectory()) await this.copyDirectory(path, remotePath);
      else await this.copyFile(path, remotePath);
    }
  }

  private async copyFile(source: string, target: string): Promise<void> {
    try {
      await pipeline(createReadStream(source), this.sftp.createWriteStream(target));
    } catch (error) {
      throw new Error(`failed to copy file ${source} to remote path ${target}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  private async makeDirectories(path: string): Promise<void> {
    const found = await this.stat(path);
    if (found?.isDirectory()) return;
    if (found) throw new Error(`remote path ${path} exists but is not a directory`);
    const parent = posix.dirname(path);
    if (parent !== path) await this.makeDirectories(parent);
    await this.makeDirectory(path);
  }

  private async makeDirectory(path: string): Promise<void> {
    try {
      await this.done((callback) => {
        this.sftp.mkdir(path, callback);
      }, `create directory ${path}`);
    } catch (error) {
      // Another copy into the same place may have made it a moment ago.
      if (!(await this.stat(path))?.isDirectory()) throw error;
    }
  }

  private stat(path: string): Promise<Stats | undefined> {
    return new Promise((resolve, reject) => {
      this.sftp.stat(path, (error, stats) => {
        if (!error) resolve(stats);
        else if ("code" in error && error.code === NO_SUCH_FILE) resolve(undefined);
        else reject(new Error(`failed to stat remote path ${path}: ${error.message}`));
      });
    });
  }

  private done(start: (callback: (error?: Error | null) => void) => void, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      start((error) => {
        if (error) reject(new Error(`failed to ${what}: ${error.message}`));
        else resolve();
      });
    });
  }
}
