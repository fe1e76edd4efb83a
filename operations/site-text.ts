import {
  COLOURS,
  type AbortAct,
  type AckAct,
  type Colour,
  type SiteStatus,
} from "../host/conductor/protocol";
import { siteStatus } from "./answers";
import type { Outcome, Paint } from "./command";
import type { Host } from "./host";
import { aligned, printable } from "./text";

/** Sends an act that is answered with what is in force, and tells that. */
export async function takeAndTell(at: Host, act: AbortAct | AckAct, paint: Paint): Promise<Outcome> {
  const site = await at.take(act, siteStatus);
  return { document: { app: at.app, host: at.where, site }, text: siteText(at, site, paint) };
}

/** What is in force at a site, for people: shares, an abort, what is under way, and each colour. */
export function siteText(
  { app, where }: Pick<Host, "app" | "where">,
  site: SiteStatus,
  paint: Paint,
): string {
  const title = paint("bold", `${app} on ${where}`);
  return [title, aligned(siteRows(site, paint)), aligned(colourRows(site, paint))].join("\n\n");
}

function siteRows(site: SiteStatus, paint: Paint): string[][] {
  const { traffic, effectiveWeight, aborted } = site;
  const differs = effectiveWeight !== traffic.weight;
  const effective = `${String(effectiveWeight)} % in effect`;
  return [
    ["site", site.closed ? paint("red", closedText(site)) : paint("green", "open")],
    ["stable", traffic.stable],
    [
      "canary weight",
      `${String(traffic.weight)} % asked, ${differs ? paint("yellow", effective) : effective}`,
    ],
    [
      "aborted",
      aborted === null
        ? "no"
        : paint("red", `${aborted.colour}, since ${aborted.at}: ${printable(aborted.reason)}`),
    ],
    ["under way", site.underWay === null ? "nothing" : paint("yellow", printable(site.underWay))],
    ...(site.unrecorded === undefined
      ? []
      : [
          [
            "NOT recorded",
            paint("red", `a restart would undo what is in force: ${printable(site.unrecorded)}`),
          ],
        ]),
  ];
}

function closedText({ maintenance }: SiteStatus): string {
  return maintenance ? "CLOSED: maintenance" : "CLOSED: a change in place";
}

function colourRows(site: SiteStatus, paint: Paint): string[][] {
  return [
    ["", "VERSION", "COMMIT", "SHARE", "HEALTH", "USERS", "ENVIRONMENT"],
    ...COLOURS.map((colour) => colourRow(site, colour, paint)),
  ];
}

function colourRow(site: SiteStatus, colour: Colour, paint: Paint): string[] {
  const { version, commit, healthy, admitted, pendingEnvironment } = site.colours[colour];
  if (version === null) return [colour, "retired", "", "", "", "", ""];
  const isStable = site.traffic.stable === colour;
  const share = isStable ? 100 - site.effectiveWeight : site.effectiveWeight;
  return [
    colour,
    printable(version),
    printable(commit ?? "").slice(0, 12),
    `${String(share)} %`,
    healthy ? paint("green", "healthy") : paint("red", "NOT healthy"),
    admitted || share > 0 ? "admitted" : "testers only",
    pendingEnvironment === null ? "current" : paint("yellow", "old until its next release"),
  ];
}
