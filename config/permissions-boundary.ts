import { boundaryName } from "../components/role-names";
import type { Fault, Path } from "./faults";
import { hostMode } from "./host-mode";
import { faultAt, isSet, type RawConfig, soundAt } from "./validation";

/** The policy above which no role of the stack can be given a right. */
const BOUNDARY: Path = ["permissionsBoundary"];

/**
 * Checks that production's roles have one. Pipelines may not make a role without it, nor give one a right: here it is told before AWS refuses
 * that, and holds for people, too.
 */
export function boundaryFaults(raw: RawConfig): Fault[] {
  if (soundAt(raw, ["environment"]) !== "production" || isSet(raw, BOUNDARY) || !makesRoles(raw)) return [];
  const name = boundaryName((soundAt(raw, ["name"]) as string | undefined) ?? "");
  const rule =
    `the ARN of the policy ${name}, where environment is production and the stack makes roles: without it whoever deploys could give ` +
    "them any right. `bin/bootstrap-state` makes it, also where the state is there already, and says which it is";
  return [faultAt(raw, BOUNDARY, rule)];
}

/** The machine's, and those of the bot that tells Slack of alarms. */
function makesRoles(raw: RawConfig): boolean {
  const monitored = soundAt(raw, ["monitoring", "enabled"]) === true;
  const toSlack = ["page", "warn"].some((severity) => isSet(raw, ["monitoring", severity, "slack"]));
  return hostMode(raw) === "ec2" || (monitored && toSlack);
}
