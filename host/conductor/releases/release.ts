import { isDeepStrictEqual } from "node:util";
import { Failed } from "../faults";
import type { Inspector } from "../drift/drift";
import { portTaken } from "../processes/error-log";
import type { FrontDoor } from "../front-door/front-door";
import type { Caller } from "./build-step";
import type { Environments } from "./environments";
import { describePending, requireReplaceable, whyNotReplaceable } from "../plan";
import type { Keeping, Releases } from "./prepare";
import { proveHealthy, type Prober } from "../processes/prober";
import type { Processes } from "../processes/processes";
import {
  COLOURS,
  type Colour,
  type ReleaseAct,
  type ReleaseIntent,
  type ReleaseResult,
  type SiteSettings,
} from "../protocol";
import { scrub } from "../processes/scrub";
import { isSameIntent, keepsSettings, RETIRED, shareNow, type RunningRelease } from "../site";
import { requireSmoke, type SmokeTests } from "./smoke";
import type { Store } from "../store";
import { change, withdraw } from "./withdraw";

/** What a release needs of the host. */
export interface ReleaseHost {
  readonly store: Store;
  readonly frontDoor: FrontDoor;
  readonly processes: Processes;
  readonly prober: Prober;
  readonly releases: Releases;
  readonly environments: Environments;
  readonly smokeTests: SmokeTests;
  readonly inspector: Inspector;
}

/**
 * Makes a colour run what it shall: **prepare** while the old one serves, **withdraw** and drain, **swap** the
 * processes, **prove** health and smoke tests. A colour that already runs it, well, is left alone; its directory is
 * built again where it is gone.
 *
 * What is given up while it is prepared ends there, by the signal's reason: nothing that serves was touched. Later it goes on to its end.
 *
 * A release that does not become healthy is taken back: the colour runs what it ran before, with the share it had.
 * @throws Refused where users of the colour have nowhere to go. Failed with the step that failed.
 */
export async function release(
  host: ReleaseHost,
  act: ReleaseAct,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<ReleaseResult> {
  const settings = requireSettings(host);
  const before = host.store.site.colours[act.colour].release;
  try {
    if (act.release === null) {
      await retire(host, act.colour, settings, progress);
    } else {
      await become(host, act, act.release, settings, { progress, signal });
    }
  } catch (error) {
    const outcome = await takeBack(host, act.colour, settings, progress);
    const { message } = error as Error;
    // Behind a message of several lines the outcome would look like a part of the last one.
    throw outcome === null
      ? error
      : new Failed(`${message}${message.includes("\n") ? "\n" : "; "}${outcome}`);
  }
  if (host.store.site.colours[act.colour].release !== before) {
    await host.releases.prune(keeping(host, settings));
    await host.environments.prune(environmentsInUse(host));
  }
  return resultOf(host, act.colour);
}

/** Takes the steps that are not taken yet: after a crash that is not all of them. */
async function become(
  host: ReleaseHost,
  act: ReleaseAct,
  intent: ReleaseIntent,
  settings: SiteSettings,
  caller: Caller,
): Promise<void> {
  const { store } = host;
  const { progress } = caller;
  const { colour, inPlace } = act;
  const now = store.site.colours[colour];
  if (inPlace !== true && keepsSettings(store.site, colour, intent)) {
    await change(host, colour, { pendingEnvironment: intent.environment });
    progress(describePending(store.site, colour, intent));
    if ((await host.inspector.find(store.site, colour)) !== null) {
      await mend(host, colour, settings, caller);
    }
    return;
  }
  if (now.release === null || !isSameIntent(now.release.intent, intent)) {
    await replace(host, act, intent, settings, caller);
  } else {
    await mend(host, colour, settings, caller);
    if (now.healthy && now.pendingEnvironment === null) {
      return;
    }
  }
  await change(host, colour, { healthy: true, before: null, pendingEnvironment: null, closesSite: false });
}

/** Puts right what is not as it shall be of what a colour runs. A colour that has users is not started anew for it. */
async function mend(
  host: ReleaseHost,
  colour: Colour,
  settings: SiteSettings,
  caller: Caller,
): Promise<void> {
  const { progress } = caller;
  const { store, processes, inspector } = host;
  const { release: running, healthy, before } = store.site.colours[colour];
  if (running === null) {
    return;
  }
  await host.releases.restore(running, keeping(host, settings), caller);
  const drift = await inspector.find(store.site, colour);
  if (drift === null && healthy) {
    return;
  }
  const fault = drift ?? `${colour}: ${running.intent.version} is not healthy`;
  progress(`${fault}; starting what is down`);
  // While a change is under way, what runs may be what was before.
  const isFree = before !== null || shareNow(store.site, colour) === 0;
  await processes[isFree ? "ensure" : "mend"](colour, running, settings);
  await prove(host, colour, running, settings, progress);
}

/** Puts another release on a colour: prepare while the old one serves, withdraw, swap, prove. */
async function replace(
  host: ReleaseHost,
  { colour, inPlace }: ReleaseAct,
  intent: ReleaseIntent,
  settings: SiteSettings,
  caller: Caller,
): Promise<void> {
  const { progress, signal } = caller;
  const { store, processes } = host;
  const requireWay = (): void => {
    if (inPlace !== true) {
      requireReplaceable(store.site, colour);
    }
  };
  requireWay();
  const installed = {
    ...(await host.releases.prepare(intent, keeping(host, settings), caller)),
    instances: settings.instances,
  };
  signal.throwIfAborted();
  // Health changes while a build runs.
  requireWay();
  const closesSite = whyNotReplaceable(store.site, colour) !== null;
  if (closesSite) {
    progress(`${colour}: in place: users see the maintenance page from now on`);
  }
  await withdraw(host, colour, { closesSite }, settings, progress);
  await change(host, colour, {
    ...{ release: installed, healthy: false, wasStable: false },
    pendingEnvironment: null,
  });
  progress(`${colour}: starting ${intent.version}`);
  await processes.swap(colour, installed, settings);
  await prove(host, colour, installed, settings, progress);
}

/**
 * Proves that a colour does what it is for. A release that was proven before is held to its health only: it is mended,
 * and what the smoke tests ask for may be new.
 * @throws Failed with the fault, and the last lines of the colour's error log.
 */
async function prove(
  host: ReleaseHost,
  colour: Colour,
  running: RunningRelease,
  settings: SiteSettings,
  progress: (line: string) => void,
): Promise<void> {
  const { version, environment } = running.intent;
  let wayOut = "correct the release or its variables, or application.health where that asks for too much";
  try {
    await proveHealthy(host.prober, colour, running, settings, progress);
    if (host.store.site.colours[colour].before !== null) {
      wayOut = "correct the release, or application.smokeTests where they ask for what is not so";
      requireSmoke(await host.smokeTests.ofColour(colour, running, settings, progress), version, colour);
    }
  } catch (error) {
    if (!(error instanceof Failed)) {
      throw error;
    }
    const lines = await host.processes.errors(colour);
    const message = `${error.message}\n${describeErrors(lines)}\nWay out: ${portTaken(lines) ?? wayOut}`;
    throw new Failed(scrub(message, await host.environments.read(environment)));
  }
}

function describeErrors(lines: readonly string[]): string {
  return lines.length === 0
    ? "Its error log says nothing."
    : `The last lines of its error log:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

function requireSettings(host: ReleaseHost): SiteSettings {
  const { settings } = host.store.site;
  if (settings === null) {
    throw new Failed("the site has no settings yet; send `configure` first");
  }
  return settings;
}

/**
 * After a release that failed: puts the colour back to what it was before. Tells how that went; null where nothing
 * had been changed yet.
 */
async function takeBack(
  host: ReleaseHost,
  colour: Colour,
  settings: SiteSettings,
  progress: (line: string) => void,
): Promise<string | null> {
  const { before, release: failed } = host.store.site.colours[colour];
  if (before === null) {
    return null;
  }
  if (before.release === null) {
    await host.processes.stop(colour);
    await change(host, colour, RETIRED);
    return `${colour} runs nothing, as before`;
  }
  const version = before.release.intent.version;
  if (isDeepStrictEqual(failed, before.release)) {
    await change(host, colour, before);
  } else {
    progress(`${colour}: going back to ${version}`);
    await change(host, colour, { release: before.release, healthy: false });
    try {
      await host.processes.swap(colour, before.release, settings);
      await proveHealthy(host.prober, colour, before.release, settings, progress);
    } catch (error) {
      // No change is under way any more: the health watch gives the share back once it is well.
      await change(host, colour, { ...before, healthy: false });
      return `and ${version} did not come back on ${colour}: ${(error as Error).message}`;
    }
    await change(host, colour, { ...before, healthy: true });
  }
  return `${colour} runs ${version}, as before`;
}

async function retire(
  host: ReleaseHost,
  colour: Colour,
  settings: SiteSettings,
  progress: (line: string) => void,
): Promise<void> {
  const { release: running } = host.store.site.colours[colour];
  if (running === null) {
    if ((await host.inspector.find(host.store.site, colour)) !== null) {
      progress(`${colour}: stopping what runs on a retired colour`);
      await host.processes.stop(colour);
    }
    return;
  }
  requireReplaceable(host.store.site, colour);
  await withdraw(host, colour, {}, settings, progress);
  // Stopped before it is forgotten: after a crash in between, nobody would know that it still runs.
  await host.processes.stop(colour);
  await change(host, colour, RETIRED);
  progress(`${colour}: retired ${running.intent.version}`);
}

/** What stays on the disk: what colours run, and what they go back to. */
function keeping({ store }: ReleaseHost, settings: SiteSettings): Keeping {
  const states = COLOURS.map((colour) => store.site.colours[colour]);
  const inUse = states.flatMap(({ release: running, before }) => [running, before?.release ?? null]);
  return { inUse: inUse.flatMap((used) => used?.directory ?? []), settings };
}

/** The environments that colours run with, and the one that the next releases will. */
function environmentsInUse({ store }: ReleaseHost): string[] {
  const running = COLOURS.map((colour) => store.site.colours[colour].release?.intent.environment);
  return [...running, store.site.environment].filter((hash) => hash != null);
}

function resultOf(host: ReleaseHost, colour: Colour): ReleaseResult {
  const { release: running, pendingEnvironment } = host.store.site.colours[colour];
  return {
    colour,
    version: running?.intent.version ?? null,
    commit: running?.commit ?? null,
    directory: running?.directory ?? null,
    environment: running?.intent.environment ?? null,
    pending: pendingEnvironment !== null,
  };
}
