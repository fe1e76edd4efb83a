import type { Fault } from "./check";
import { SERVICE_NAMES, type CloudSettings } from "./cloud";
import { isObject, UNKNOWN, type Value, type Values } from "./properties";

/** Keys that are taken and mean nothing here: there is no real AWS to ask. */
const IDLE = [
  "s3UsePathStyle",
  "skipCredentialsValidation",
  "skipMetadataApiCheck",
  "skipRegionValidation",
  "skipRequestingAccountId",
  "maxRetries",
  "retryMode",
  "allowedAccountIds",
  "version",
  "pluginDownloadURL",
];

const REQUIRED = ["region", "accessKey", "secretKey", "endpoints"];
const KNOWN = [...REQUIRED, "customCaBundle", "defaultTags", ...IDLE];

/** What is wrong with the configuration of the provider, in the real one's keys. */
export function configFaults(values: Values): Fault[] {
  const given = Object.entries(values).filter(([name, value]) => value != null && !name.startsWith("__"));
  const names = new Set(given.map(([name]) => name));
  const unknown = [...names].filter((name) => !KNOWN.includes(name));
  return [
    ...REQUIRED.filter((name) => !names.has(name)).map((property) => ({
      property,
      reason: "the sandbox's AWS requires it; bin/sandbox sets it",
    })),
    ...unknown.map((property) => ({
      property,
      reason: `the sandbox's AWS does not know this key; it knows ${KNOWN.join(", ")}`,
    })),
    ...endpointFaults(values["endpoints"]),
  ];
}

function endpointFaults(value: Value | undefined): Fault[] {
  if (value === undefined || value === UNKNOWN) return [];
  return Object.entries(endpointsIn(value)).flatMap(([name, url]) => {
    if (!(SERVICE_NAMES as readonly string[]).includes(name))
      return [{ property: `endpoints.${name}`, reason: `not one of ${SERVICE_NAMES.join(", ")}` }];
    if (!URL.canParse(url)) return [{ property: `endpoints.${name}`, reason: "must be a URL" }];
    return [];
  });
}

/** Settings from a configuration without faults. */
export function settingsOf(values: Values): CloudSettings {
  const { customCaBundle, defaultTags } = values;
  const tags = structured(defaultTags);
  return {
    region: textOf(values["region"]),
    accessKeyId: textOf(values["accessKey"]),
    secretAccessKey: textOf(values["secretKey"]),
    endpoints: endpointsIn(values["endpoints"]),
    authorityFile: typeof customCaBundle === "string" && customCaBundle !== "" ? customCaBundle : null,
    defaultTags: (isObject(tags) ? (tags["tags"] ?? {}) : {}) as Record<string, string>,
  };
}

function textOf(value: Value | undefined): string {
  if (typeof value !== "string") throw new Error("a key of the provider's configuration is no string");
  return value;
}

/** The endpoints of all entries of the list, as the real provider merges them. */
function endpointsIn(value: Value | undefined): Record<string, string> {
  const entries = structured(value);
  return Object.assign({}, ...((Array.isArray(entries) ? entries : []) as object[])) as Record<
    string,
    string
  >;
}

/** A group of the stack's config comes as JSON text. */
function structured(value: Value | undefined): Value | undefined {
  return typeof value === "string" && /^[[{]/.test(value) ? (JSON.parse(value) as Value) : value;
}
