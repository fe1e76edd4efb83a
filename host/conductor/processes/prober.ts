import { join } from "node:path";
import { RELEASE_HEADER } from "../../launcher/release-header";
import { Failed } from "../faults";
import type { Paths } from "../paths";
import type { Colour, SiteSettings } from "../protocol";
import type { RunningRelease } from "../site";
import type { Environments } from "../releases/environments";
import { requestUnix } from "../system/unix-http";
import { waitUntil } from "../system/wait";
import { scrub } from "./scrub";

/** Asks the instances of a colour, one by one, on their private sockets. */
export interface Prober {
  /**
   * Asks every instance once.
   * @returns what is wrong with the first one that is not well, or null where all are well and run `release`.
   */
  probe(colour: Colour, release: RunningRelease, settings: SiteSettings): Promise<string | null>;
}

/**
 * Probes over the launchers' sockets. What an instance says of its fault may quote a value of its environment: its name is told instead.
 */
export function launcherProber(paths: Paths, environments: Pick<Environments, "read">): Prober {
  return {
    async probe(colour, release, settings) {
      const clean = async (text: string): Promise<string> => {
        const variables = await environments.read(release.intent.environment).catch(() => null);
        return variables === null ? "(not told, for its environment cannot be read)" : scrub(text, variables);
      };
      const instances = Array.from({ length: release.instances }, (_, instance) =>
        probeInstance(join(paths.health, colour, `${instance}.sock`), release, settings, clean).then(
          (fault) => (fault === null ? null : `instance ${instance} ${fault}`),
          (error: unknown) => `instance ${instance} does not answer: ${(error as Error).message}`,
        ),
      );
      return (await Promise.all(instances)).find((fault) => fault !== null) ?? null;
    },
  };
}

async function probeInstance(
  socket: string,
  release: RunningRelease,
  settings: SiteSettings,
  clean: (text: string) => Promise<string>,
): Promise<string | null> {
  const { path, timeoutMs } = settings.health;
  const host = settings.domains[0] ?? "localhost";
  const { status, body, headers } = await requestUnix({ socket, path, host, timeoutMs });
  const runs = headers[RELEASE_HEADER];
  const expected = `${release.intent.version} ${release.commit}`;
  if (runs !== expected) {
    return `runs ${String(runs)}, not ${expected}`;
  }
  if (status >= 200 && status <= 299) return null;
  // Cleaned whole: half a value would not be known.
  const said = (await clean(body)).slice(0, 200);
  return `answers ${path} with ${status}: ${JSON.stringify(said)}`;
}

/**
 * Probes until every instance has passed N times in a row.
 * @throws Failed with the last fault, where that takes longer than the deadline.
 */
export async function proveHealthy(
  prober: Prober,
  colour: Colour,
  release: RunningRelease,
  settings: SiteSettings,
  progress: (line: string) => void,
): Promise<void> {
  const { passes, intervalMs, deadlineSeconds } = settings.health;
  let inARow = 0;
  let lastFault = "";
  const healthy = await waitUntil(deadlineSeconds * 1000, intervalMs, async () => {
    const fault = await prober.probe(colour, release, settings);
    inARow = fault === null ? inARow + 1 : 0;
    if (fault !== null && fault !== lastFault) {
      lastFault = fault;
      progress(`${colour}: ${fault}`);
    }
    return inARow >= passes;
  });
  if (!healthy) {
    throw new Failed(
      `${release.intent.version} on ${colour} did not become healthy within ${deadlineSeconds} s; last: ${lastFault}`,
    );
  }
  progress(`${colour}: every instance passed ${passes} times in a row`);
}
