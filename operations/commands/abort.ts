import { InvalidArgumentError, Option } from "commander";
import { parseAct } from "../../host/conductor/acts";
import { InvalidAct } from "../../host/conductor/faults";
import type { OpsCommand } from "../command";
import { takeAndTell } from "../site-text";

/** Why, where nobody says it: whoever looks at it later sees at least which way it came. */
const DEFAULT_REASON = "by `ops abort`, without a reason";

/** `ops abort`. */
export const abort: OpsCommand = {
  name: "abort",
  summary: "take all users off the candidate, at once, until `ops ack`",
  touches:
    "Takes the candidate's users to stable within a second, by share and by failover, and waits for nothing that is under way. " +
    "Until `ops ack` no `up` gives the candidate users: one that asks for as many or more is refused with the reason. " +
    "Of two aborts the first one's reason is kept. Not after a promotion: the candidate is the old release then, and the " +
    "way back to it would be shut.",
  examples: [
    ["bin/ops abort --reason 'payments fail'", "the fastest way back, before the promotion"],
    ["bin/ops abort --json | jq .site.effectiveWeight", "the share that the candidate has now: 0"],
  ],
  options: [
    new Option("--reason <text>", "why, for whoever looks at it later: one line")
      .default(DEFAULT_REASON)
      .argParser(reasonText),
  ],
  async run({ host, paint }, { reason = DEFAULT_REASON }) {
    return takeAndTell(await host(), { act: "abort", reason }, paint);
  },
};

/** Takes what the host takes. */
function reasonText(reason: string): string {
  try {
    parseAct(JSON.stringify({ act: "abort", reason }));
    return reason;
  } catch (error) {
    if (!(error instanceof InvalidAct)) throw error;
    throw new InvalidArgumentError("It has to be one line of 1 to 4096 characters.");
  }
}
