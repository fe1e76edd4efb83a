import type { OpsCommand } from "../command";
import { takeAndTell } from "../site-text";

/** `ops ack`. */
export const ack: OpsCommand = {
  name: "ack",
  summary: "lift an abort that somebody has looked at; the candidate stays without users until an `up`",
  touches:
    "Lifts the abort, and gives nobody to the candidate: it has 0 percent until an `up` sets another share. Without an abort it " +
    "changes nothing.",
  examples: [
    ["bin/ops ack", "after the fault was found, before the next `up` that gives the candidate users"],
    ["bin/ops ack --json | jq .site.aborted", "null: no abort is in force"],
  ],
  async run({ host, paint }) {
    return takeAndTell(await host(), { act: "ack" }, paint);
  },
};
