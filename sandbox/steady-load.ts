import { once } from "node:events";

import { formatShares } from "./demo/story";
import { SteadyTraffic } from "./demo/traffic";
import { formatReport } from "./load/report";
import { forgetSelf, recordSelf } from "./services";
import type { SiteAddress } from "./demo/visitor";
import type { World } from "./world";

/** Pause between two lines, in milliseconds. */
const LINE_MS = 2000;

/** A site that is up, and the world that it is in. */
export interface LoadedSite extends SiteAddress {
  readonly world: World;
}

/** Sends the demo's load to a site that is up, with a line every two seconds, until Ctrl-C; then prints the reports. */
export async function loadUntilInterrupted(
  { world, ...site }: LoadedSite,
  print: (line: string) => void,
): Promise<void> {
  const interrupted = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  const traffic = await SteadyTraffic.start(site);
  const record = `load-${process.pid}`;
  recordSelf(world, record);
  print("steady load; Ctrl-C ends it");
  const timer = setInterval(() => {
    void traffic.glance().then(
      (seen) => print(`${seen.sent} requests, ${seen.lost} lost; ${formatShares(seen.shares)}`),
      () => undefined, // Ended between the tick and the question.
    );
    void traffic.mark("").catch(() => undefined);
  }, LINE_MS);
  await interrupted;
  clearInterval(timer);
  forgetSelf(world, record);
  for (const report of (await traffic.stop()).reports) print(formatReport(report));
}
