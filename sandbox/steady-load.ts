import { once } from "node:events";

import { formatShares } from "./demo/story";
import { SteadyTraffic } from "./demo/traffic";
import { findHost } from "./hosts/host";
import { formatReport } from "./load/report";
import { forgetSelf, recordSelf } from "./services";
import { Site, type SiteOptions } from "./site";

/** Pause between two lines, in milliseconds. */
const LINE_MS = 2000;

/** Sends the demo's load to a site that is up, with a line every two seconds, until Ctrl-C; then prints the reports. */
export async function loadUntilInterrupted(
  options: SiteOptions,
  print: (line: string) => void,
): Promise<void> {
  if (findHost(options.name) === null)
    throw new Error(`host ${options.name} is not up: boot it with bin/sandbox`);
  const site = await Site.open(options);
  const interrupted = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  const traffic = await SteadyTraffic.start({
    address: site.host.address,
    domain: site.domain,
    authority: site.authority(),
  });
  const record = `load-${process.pid}`;
  recordSelf(site.world, record);
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
  forgetSelf(site.world, record);
  for (const report of (await traffic.stop()).reports) print(formatReport(report));
}
