import {
  isMap,
  isSecret,
  secret,
  Signature,
  signatureOf,
  textOf,
  UNKNOWN,
  unwrapSecrets,
  type PropertyMap,
} from "../../values/property";
import type { CheckFailure, CheckResult } from "../provider";

const LOGGING = ["none", "stdout", "stderr", "stdoutAndStderr"];

const COMMON = [
  "create",
  "update",
  "delete",
  "triggers",
  "stdin",
  "logging",
  "environment",
  "addPreviousOutputInEnv",
];
const LOCAL_ONLY = ["interpreter", "dir", "assetPaths", "archivePaths"];
const COPY_KEYS = ["connection", "triggers", "source", "remotePath"];
const CONNECTION_DEFAULTS: PropertyMap = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
const CONNECTION_KEYS = [
  ...Object.keys(CONNECTION_DEFAULTS),
  "host",
  "password",
  "privateKey",
  "privateKeyPassword",
  "agentSocketPath",
  "hostKey",
];

/** Validates the inputs of a local or a remote command, and puts the connection's defaults and secret mark in. */
export function checkCommand(inputs: PropertyMap, remote: boolean): CheckResult {
  const failures = refuseUnknownKeys(inputs, remote ? [...COMMON, "connection"] : [...COMMON, ...LOCAL_ONLY]);
  for (const key of ["create", "update", "delete", "stdin", "dir"]) failures.push(...expectText(inputs, key));
  const logging = textOf(inputs["logging"]);
  if (logging !== "" && logging !== UNKNOWN && !LOGGING.includes(logging)) {
    failures.push({ property: "logging", reason: `has to be one of ${LOGGING.join(", ")}` });
  }
  for (const key of ["assetPaths", "archivePaths"]) {
    if (inputs[key] !== undefined)
      failures.push({ property: key, reason: "not supported by the embedded engine" });
  }
  if (!remote) return { inputs, failures };
  return { inputs: { ...inputs, ...checkConnection(inputs, failures) }, failures };
}

/** Validates the inputs of a CopyToRemote. */
export function checkCopy(inputs: PropertyMap): CheckResult {
  const failures = refuseUnknownKeys(inputs, COPY_KEYS);
  failures.push(...expectText(inputs, "remotePath"));
  if (inputs["remotePath"] === undefined) failures.push({ property: "remotePath", reason: "missing" });
  const source = unwrapSecrets(inputs["source"] ?? null);
  const signature = signatureOf(source);
  const isAsset = signature === Signature.asset || signature === Signature.archive;
  if (source !== UNKNOWN && !isAsset) {
    failures.push({ property: "source", reason: "has to be a FileAsset, a StringAsset or a FileArchive" });
  } else if (
    isMap(source) &&
    typeof source["path"] !== "string" &&
    !(signature === Signature.asset && "text" in source)
  ) {
    failures.push({
      property: "source",
      reason: "has to be a file, a text or a directory; remote assets and asset archives are not supported",
    });
  }
  return { inputs: { ...inputs, ...checkConnection(inputs, failures) }, failures };
}

function refuseUnknownKeys(inputs: PropertyMap, known: readonly string[]): CheckFailure[] {
  return Object.keys(inputs)
    .filter((key) => !known.includes(key) && !key.startsWith("__"))
    .map((property) => ({ property, reason: "unknown input" }));
}

function expectText(inputs: PropertyMap, key: string): CheckFailure[] {
  const value = unwrapSecrets(inputs[key] ?? null);
  return value === null || typeof value === "string" ? [] : [{ property: key, reason: "has to be a string" }];
}

function checkConnection(inputs: PropertyMap, failures: CheckFailure[]): PropertyMap {
  const connection = inputs["connection"] ?? null;
  const bare = unwrapSecrets(connection);
  if (bare === UNKNOWN) return { connection: isSecret(connection) ? connection : secret(connection) };
  if (!isMap(bare)) {
    failures.push({ property: "connection", reason: "missing" });
    return {};
  }
  if (bare["proxy"] !== undefined) {
    failures.push({ property: "connection.proxy", reason: "not supported by the embedded engine" });
  }
  for (const key of Object.keys(bare)) {
    if (key !== "proxy" && !CONNECTION_KEYS.includes(key))
      failures.push({ property: `connection.${key}`, reason: "unknown input" });
  }
  if (bare["host"] === undefined) failures.push({ property: "connection.host", reason: "missing" });
  return { connection: secret({ ...CONNECTION_DEFAULTS, ...bare }) };
}
