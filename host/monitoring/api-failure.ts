import type { MonitoringSettings } from "./protocol";

/** What an API, or the network before it, answered. */
export interface ApiFailure {
  /** What was asked, what was answered, and the way out; without any key. */
  readonly reason: string;
  /** What makes two failures the same one. */
  readonly kind: string;
  /** The API refuses what was sent for what it is: sent again it would be refused again. */
  readonly refused: boolean;
  /** Who asks is known, and may not do it; what was allowed a moment ago is not known everywhere yet. */
  readonly denied: boolean;
}

/** Longest answer that is told, in characters: some repeat all that they were sent. */
const TOLD = 300;

/** Names by which AWS' APIs say that they do not know who asks. */
const UNKNOWN_KEYS = [
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "InvalidSignatureException",
  "IncompleteSignature",
  "IncompleteSignatureException",
  "AuthFailure",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
];

/** Names by which they say that who asks was known once. */
const EXPIRED = /^ExpiredToken|RequestExpired/;

/** Names by which they say that what was sent can never be taken. */
const NEVER = [
  "InvalidParameterValue",
  "InvalidParameterValueException",
  "InvalidParameterCombination",
  "InvalidParameterCombinationException",
  "MissingRequiredParameter",
  "MissingRequiredParameterException",
  "InvalidParameterException",
  "ValidationError",
  "ValidationException",
  "SerializationException",
];

/**
 * Tells a failure in words.
 * @param asked What was asked of whom, such as `putting values into the namespace Shop`.
 */
export function failureOf(asked: string, error: unknown, settings: MonitoringSettings): ApiFailure {
  const { name, status, text } = facts(error);
  const denied = isDenial(name, status);
  const said = withoutKeys(text.split("\n")[0]?.slice(0, TOLD) ?? "", settings);
  const words = [name === "Error" ? "" : name, said, status === null ? "" : `status ${String(status)}`];
  const answered = words.filter((word) => word !== "").join(": ");
  return {
    reason: `${asked}: ${answered}. ${denied ? rightsOf(settings) : wayOut(name, status, text, settings)}`,
    kind: `${name} ${String(status)}`,
    refused: NEVER.includes(name) && status !== null && status < 500,
    denied,
  };
}

/** Whether somebody is known who lacks a right; by its name, for some APIs answer so with the status 400. */
function isDenial(name: string, status: number | null): boolean {
  if (UNKNOWN_KEYS.includes(name) || EXPIRED.test(name)) return false;
  return /^AccessDenied/.test(name) || status === 401 || status === 403;
}

const whose = ({ credentials }: MonitoringSettings): string =>
  credentials === null ? "the host's role" : "monitoring's access key";

function rightsOf(settings: MonitoringSettings): string {
  return `Let ${whose(settings)} do cloudwatch:PutMetricData, logs:CreateLogStream and logs:PutLogEvents`;
}

interface Facts {
  readonly name: string;
  readonly status: number | null;
  readonly text: string;
}

function facts(error: unknown): Facts {
  const { name, message, code, $metadata } = error as Error & {
    code?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const inner = error instanceof AggregateError ? (error.errors.at(0) as Error | undefined) : undefined;
  return {
    name: name === "Error" && typeof code === "string" ? code : name,
    status: $metadata?.httpStatusCode ?? null,
    text: message === "" || message === "UnknownError" ? (inner?.message ?? "") : message,
  };
}

/** An answer may repeat the request, and that names a key. */
function withoutKeys(text: string, { credentials }: MonitoringSettings): string {
  if (credentials === null) return text;
  return text
    .replaceAll(credentials.secretAccessKey, "[secretAccessKey]")
    .replaceAll(credentials.accessKeyId, "[accessKeyId]");
}

function wayOut(name: string, status: number | null, text: string, settings: MonitoringSettings): string {
  const { region, endpoint } = settings;
  if (name === "CredentialsProviderError" || /could not load credentials/i.test(text)) {
    return "Give the host a role, or monitoring an access key";
  }
  if (UNKNOWN_KEYS.includes(name))
    return `Check ${whose(settings)}, and that it belongs to the region ${region}`;
  if (EXPIRED.test(name)) return `Renew ${whose(settings)}, and check the host's clock`;
  if (name === "ResourceNotFoundException") return "Check monitoring's log groups: the stack makes them";
  if (/certificate|self-signed|altnames/i.test(text)) {
    return "Its certificate is not trusted: give monitoring the authority behind it";
  }
  if (status === null) {
    const where = endpoint === null ? `the region ${region}` : "the endpoint and the region";
    return `Check ${where}, and that the host reaches it`;
  }
  return status >= 500 || status === 429 ? "It is tried again" : "Check monitoring's settings";
}
