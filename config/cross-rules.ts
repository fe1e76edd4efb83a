import { isBelow } from "../host/conductor/front-door/url-path";
import { bucketFaults } from "./cloud-bucket";
import { machineFaults } from "./cloud-machine";
import { regionFaults } from "./cloud-region";
import { configCommand, type Fault, type Path } from "./faults";
import { hostMode } from "./host-mode";
import { boundaryFaults } from "./permissions-boundary";
import { faultAt, isSet, type RawConfig, soundAt } from "./validation";

/**
 * Rules between values. Each looks only at values that keep their own rule, so that one mistake is one fault, and a
 * mistake elsewhere hides none of these.
 */

type Colour = "blue" | "green";

function versionOf(raw: RawConfig, colour: Colour): string | undefined {
  return soundAt(raw, [`${colour}Version`]) as string | undefined;
}

function stableNeedsVersion(raw: RawConfig): Fault[] {
  const stable = soundAt(raw, ["stable"]) as Colour | undefined;
  if (stable === undefined || versionOf(raw, stable) !== "") return [];
  return [faultAt(raw, [`${stable}Version`], `a version, for ${stable} is stable and serves everyone`)];
}

function weightNeedsCandidate(raw: RawConfig): Fault[] {
  const stable = soundAt(raw, ["stable"]) as Colour | undefined;
  const weight = soundAt(raw, ["canaryWeight"]) as number | undefined;
  if (stable === undefined || weight === undefined || weight === 0) return [];
  const candidate = stable === "blue" ? "green" : "blue";
  if (versionOf(raw, candidate) !== "") return [];
  return [
    faultAt(
      raw,
      ["canaryWeight"],
      `0 as long as ${candidate}, the candidate, has no version to serve a share with`,
      `${configCommand("set", ["canaryWeight"])} 0, or ${configCommand("set", [`${candidate}Version`])} <version>`,
    ),
  ];
}

/** Two keys for one thing: one of them has to be there, and not both, for then it is not clear which one holds. */
function exactlyOne(raw: RawConfig, preferred: Path, other: Path, what: string): Fault[] {
  const given = [preferred, other].filter((path) => isSet(raw, path));
  if (given.length === 1) return [];
  const names = [preferred, other].map((path) => `${raw.namespace}:${path.join(".")}`).join(" or ");
  if (given.length === 0) return [faultAt(raw, preferred, `${what}, in ${names}`)];
  return [faultAt(raw, other, `${what}, in ${names}, not in both`, configCommand("rm", other))];
}

/** Of a machine that the stack makes it knows the key itself. */
function hostKeyIsPinned(raw: RawConfig): Fault[] {
  if (hostMode(raw) === "ec2") return [];
  return exactlyOne(raw, ["host", "hostKey"], ["host", "knownHostsFile"], "the pinned key of the host");
}

function portsDoNotClash(raw: RawConfig): Fault[] {
  const ssh = soundAt(raw, ["host", "port"]);
  return (["blue", "green"] as const)
    .filter((colour) => soundAt(raw, ["application", "ports", colour]) === ssh)
    .map((colour) =>
      faultAt(raw, ["application", "ports", colour], `another port than ${String(ssh)}, where SSH listens`),
    );
}

function healthCanBeReached(raw: RawConfig): Fault[] {
  const [passes, intervalMs, deadlineSeconds] = ["passes", "intervalMs", "deadlineSeconds"].map(
    (key) => soundAt(raw, ["application", "health", key]) as number | undefined,
  );
  if (passes === undefined || intervalMs === undefined || deadlineSeconds === undefined) return [];
  const needed = Math.ceil((passes * intervalMs) / 1000);
  if (deadlineSeconds >= needed) return [];
  const rule = `${String(needed)} or more: ${String(passes)} passes, ${String(intervalMs)} ms apart, take that long`;
  const key = ["application", "health", "deadlineSeconds"];
  return [faultAt(raw, key, rule, `${configCommand("set", key)} ${String(needed)}`)];
}

/** Either somebody keeps files on the host, or the host gets its certificate itself. */
function oneSourceOfCertificates(raw: RawConfig): Fault[] {
  if (!isSet(raw, ["site", "tls", "acme"])) return [];
  return ["certificate", "key"]
    .map((key) => ["site", "tls", key])
    .filter((path) => isSet(raw, path))
    .map((path) =>
      faultAt(
        raw,
        path,
        "not set beside site.tls.acme: the host keeps its own files then",
        configCommand("rm", path),
      ),
    );
}

/** A candidate's share is proven by asking its health path as one of its users: stable must not answer in its place. */
function healthIsNotPinned(raw: RawConfig): Fault[] {
  const health = soundAt(raw, ["application", "health", "path"]) as string | undefined;
  const pinned = (soundAt(raw, ["site", "stablePaths"]) as readonly string[] | undefined) ?? [];
  const over = pinned.find((path) => health !== undefined && isBelow(health, path));
  if (health === undefined || over === undefined) return [];
  return [
    faultAt(
      raw,
      ["application", "health", "path"],
      `a path that is not below ${over}, one of site.stablePaths`,
    ),
  ];
}

/** Pattern and version keep their rules and can still give a tag that Git does not take. */
function tagsAreRefs(raw: RawConfig): Fault[] {
  const pattern = soundAt(raw, ["source", "tagPattern"]) as string | undefined;
  if (pattern === undefined) return [];
  return (["blue", "green"] as const)
    .filter((colour) => pattern.replace("{version}", versionOf(raw, colour) ?? "").endsWith(".lock"))
    .map((colour) =>
      faultAt(raw, [`${colour}Version`], `a version whose tag does not end in .lock, which Git refuses`),
    );
}

/** Checks what values have to be to one another. Returns every fault. */
export function checkAgreement(raw: RawConfig): Fault[] {
  return [
    ...machineFaults(raw),
    ...stableNeedsVersion(raw),
    ...weightNeedsCandidate(raw),
    ...hostKeyIsPinned(raw),
    ...exactlyOne(raw, ["host", "privateKeyFile"], ["hostPrivateKey"], "the private key for SSH"),
    ...portsDoNotClash(raw),
    ...healthCanBeReached(raw),
    ...healthIsNotPinned(raw),
    ...oneSourceOfCertificates(raw),
    ...tagsAreRefs(raw),
    ...bucketFaults(raw),
    ...regionFaults(raw),
    ...boundaryFaults(raw),
  ];
}
