import { Failed, NotRecorded } from "../faults";
import { readIfThere, writeDurably } from "../system/durable-file";
import type { WriteDurably } from "../system/reserve";
import type { UnixAnswer } from "../system/unix-http";
import { forgiving, waitUntil } from "../system/wait";

/** As long as systemd gives a unit to start. */
const START_DEADLINE_MS = 90_000;

/** Asks the front door's socket; with a body, by PUT. */
export type Control = (path: string, body?: string) => Promise<Pick<UnixAnswer, "body">>;

/** For a request's fault: null where nobody listens, for Nginx is down or has no site yet. Throws any other. */
export function absentAsNull(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
    return null;
  }
  throw error;
}

/** The route in its two places: in the running Nginx, and in the file that it starts with. */
export class NginxRoute {
  private fault: string | null = null;

  /**
   * @param file what Nginx's configuration includes
   * @param isStarting tells whether a Nginx runs that does not listen yet
   * @param write writes that file
   */
  constructor(
    private readonly control: Control,
    private readonly file: string,
    private readonly isStarting: () => Promise<boolean>,
    private readonly write: WriteDurably = writeDurably,
  ) {}

  /** Why the file is not as it was set last; null where it is. */
  get unrecorded(): string | null {
    return this.fault;
  }

  /** The route that is in force; null where nobody listens. */
  async read(): Promise<string | null> {
    return this.ask();
  }

  /**
   * Puts a route in both places.
   * @param text the file's content, with the route in it
   * @returns false where no Nginx runs that could be told; it reads the file when it starts.
   * @throws Failed where Nginx does something else than it was told.
   * @throws NotRecorded where it does what it was told, if it runs, and the file cannot be written.
   */
  async set(route: string, text: string): Promise<boolean> {
    // At once: users need not wait for a disk. Whether it was heard is asked below.
    await Promise.all([this.tell(route).catch(() => false), this.keep(text)]);
    // A Nginx that starts from here on reads this file. One that started meanwhile may have read the one before it, and
    // was not there to be told.
    let found: string | null | undefined;
    // Asking and telling again do no harm, and one that was slow to answer may have done as it was told.
    const isHeard = forgiving(async () => {
      found = await this.read();
      if (found === null && (await this.isStarting())) return false;
      if (found !== route && (await this.tell(route))) found = route;
      return true;
    });
    const known = await waitUntil(START_DEADLINE_MS, 20, isHeard);
    if (!known) {
      const seconds = START_DEADLINE_MS / 1000;
      throw new Failed(`Nginx has been starting for ${seconds} s; see \`systemctl status nginx\``);
    }
    if (this.fault !== null) {
      throw new NotRecorded(
        `the file that Nginx starts with cannot be written, the route before may come back with a restart: ${this.fault}`,
      );
    }
    return found === route;
  }

  /** Writes the file. Where that fails it is told by {@link NginxRoute.unrecorded}: what runs is to be told all the same. */
  private async keep(text: string): Promise<void> {
    try {
      await this.write(this.file, text, 0o644);
      this.fault = null;
    } catch (error) {
      // What it holds already needs no room.
      const found = await readIfThere(this.file).catch(() => null);
      this.fault = found === text ? null : (error as Error).message;
    }
  }

  /** False where nobody listens. */
  private async tell(route: string): Promise<boolean> {
    const answer = await this.ask(route);
    if (answer !== null && answer !== route) {
      throw new Failed(`the front door took ${JSON.stringify(route)} and answers ${JSON.stringify(answer)}`);
    }
    return answer !== null;
  }

  private async ask(route?: string): Promise<string | null> {
    try {
      return (await this.control("/traffic", route)).body;
    } catch (error) {
      // Who is killed while it answers does not listen any more.
      return (error as NodeJS.ErrnoException).code === "ECONNRESET" ? null : absentAsNull(error as Error);
    }
  }
}
