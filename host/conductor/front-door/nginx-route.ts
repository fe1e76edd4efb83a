import { Failed } from "../faults";
import { writeDurably } from "../system/durable-file";
import type { UnixAnswer } from "../system/unix-http";
import { waitUntil } from "../system/wait";

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
  /**
   * @param file what Nginx's configuration includes
   * @param isStarting tells whether a Nginx runs that does not listen yet
   */
  constructor(
    private readonly control: Control,
    private readonly file: string,
    private readonly isStarting: () => Promise<boolean>,
  ) {}

  /** The route that is in force; null where nobody listens. */
  async read(): Promise<string | null> {
    return this.ask();
  }

  /**
   * Puts a route in both places.
   * @param text the file's content, with the route in it
   * @returns false where no Nginx runs that could be told; it reads the file when it starts.
   * @throws Failed where Nginx does something else than it was told.
   */
  async set(route: string, text: string): Promise<boolean> {
    // At once: users need not wait for a disk. Whether it was heard is asked below.
    await Promise.all([this.tell(route).catch(() => false), writeDurably(this.file, text, 0o644)]);
    // A Nginx that starts from here on reads this file. One that started meanwhile may have read the one before it, and
    // was not there to be told.
    let found: string | null | undefined;
    const known = await waitUntil(START_DEADLINE_MS, 20, async () => {
      found = await this.read();
      return found !== null || !(await this.isStarting());
    });
    if (!known) {
      const seconds = START_DEADLINE_MS / 1000;
      throw new Failed(`Nginx has been starting for ${seconds} s; see \`systemctl status nginx\``);
    }
    return found === route || (await this.tell(route));
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
