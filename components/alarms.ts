/** Which alarms a site has, as data: what they watch, when they go off, and what whoever is told shall do. */
import type { Alarm, AlarmLimits, AlarmSite, Definition, Window } from "./alarm-definition";
import { PAGES } from "./alarm-pages";
import { WARNINGS } from "./alarm-warnings";

/** Shortest period that is not a matter of values of high resolution, in seconds. */
const MINUTE = 60;

/**
 * The same time in the shortest periods that get a value each. One with a value is enough to say that there is no silence: of
 * a new site's the first whole one is over soonest, and CloudWatch, which looks some periods further back, is told of silence sooner.
 */
function inShortPeriods(window: Window, intervalSeconds: number): Window {
  const { periodSeconds, periods } = window;
  for (let short = Math.ceil(intervalSeconds / MINUTE) * MINUTE; short < periodSeconds; short += MINUTE) {
    if (periodSeconds % short !== 0) continue;
    return { periodSeconds: short, periods: (periods * periodSeconds) / short };
  }
  return window;
}

/** Whether a site has what an alarm is about. */
const IS_THERE: Readonly<Record<Definition["of"], (site: AlarmSite) => boolean>> = {
  site: () => true,
  database: ({ hasDatabase }) => hasDatabase,
  webhook: ({ webhookPath }) => webhookPath !== null,
};

/** The alarms of a site, those that page first. */
export function alarmsOf(limits: AlarmLimits, site: AlarmSite): readonly Alarm[] {
  return [...PAGES, ...WARNINGS]
    .filter(({ of }) => IS_THERE[of](site))
    .map(({ watches, wrong, remedy, name, severity, statistic, comparison, missing: ifMissing }) => {
      const { metric, threshold, window: wanted } = watches(limits);
      const window = ifMissing === "breaching" ? inShortPeriods(wanted, site.intervalSeconds) : wanted;
      return {
        ...{ name, severity, statistic, comparison, threshold, missing: ifMissing },
        metric: metric.name,
        // What all users get: one colour's share of it is on the dashboard.
        audience: metric.byColour ? "all" : null,
        periodSeconds: window.periodSeconds,
        periods: window.periods,
        description: `${wrong} What to do: ${remedy(site)}`,
      };
    });
}
