import type { MonitoringSettings } from "./protocol";

/** What an API, or the network before it, answered. */
export interface ApiFailure {
  /** What was asked, what was answered, and the way out; without any key. */
  readonly reason: string;
  /** What makes two failures the same one. */
  readonly kind: string;
  /** The API refuses what was sent for what it is: sent again it would be refused again. */
  readonly refused: boolean;
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
  const said = withoutKeys(text.split("\n")[0]?.slice(0, TOLD) ?? "", settings);
  const words = [name === "Error" ? "" : name, said, status === null ? "" : `status ${String(status)}`];
  const answered = words.filter((word) => word !== "").join(": ");
  return {
    reason: `${asked}: ${answered}. ${wayOut(name, status, text, settings)}`,
    kind: `${name} ${String(status)}`,
    refused: NEVER.includes(name) && status !== null && status < 500,
  };
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

function wayOut(
  name: string,
  status: number | null,
  text: string,
  { credentials, region, endpoint }: MonitoringSettings,
): string {
  const whose = credentials === null ? "the host's role" : "monitoring's access key";
  if (name === "CredentialsProviderError" || /could not load credentials/i.test(text)) {
    return "Give the host a role, or monitoring an access key";
  }
  if (UNKNOWN_KEYS.includes(name)) return `Check ${whose}, and that it belongs to the region ${region}`;
  if (/^ExpiredToken|RequestExpired/.test(name)) return `Renew ${whose}, and check the host's clock`;
  if (name === "ResourceNotFoundException") return "Check monitoring's log groups: the stack makes them";
  if (/certificate|self-signed|altnames/i.test(text)) {
    return "Its certificate is not trusted: give monitoring the authority behind it";
  }
  if (status === 401 || status === 403) {
    return `Let ${whose} do cloudwatch:PutMetricData, logs:CreateLogStream and logs:PutLogEvents`;
  }
  if (status === null) {
    const where = endpoint === null ? `the region ${region}` : "the endpoint and the region";
    return `Check ${where}, and that the host reaches it`;
  }
  return status >= 500 || status === 429 ? "It is tried again" : "Check monitoring's settings";
}
