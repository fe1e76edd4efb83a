/** What an AWS API answered, in words: what was asked, its code and message, and what may be done. */
export class CloudError extends Error {
  override readonly name = "CloudError";

  constructor(what: string, cause: unknown) {
    super(`${what}: ${answerOf(cause)}`, { cause });
  }
}

/** Where the middleware of the clients leaves the name of the call that failed. */
export const OPERATION = Symbol("operation");

interface ApiError extends Error {
  readonly [OPERATION]?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

function answerOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { message, name, [OPERATION]: operation, $metadata } = cause as ApiError;
  if (operation === undefined) return message;
  const remedy = REMEDIES.find(([codes]) => codes.includes(name))?.[1];
  const status = $metadata?.httpStatusCode === undefined ? "" : ` (${String($metadata.httpStatusCode)})`;
  return `${operation} was answered ${name}${status}: ${message}${remedy === undefined ? "" : `; ${remedy}`}`;
}

const REMEDIES: readonly (readonly [readonly string[], string])[] = [
  [
    [
      "AccessDenied",
      "UnauthorizedOperation",
      "AccessDeniedException",
      "AuthorizationError",
      "AuthorizationErrorException",
    ],
    "the pipelines' policies, scripts/state/policies.ts, which the sandbox's deployer has, have to name that action on that resource",
  ],
  [
    [
      "InvalidClientTokenId",
      "InvalidAccessKeyId",
      "UnrecognizedClientException",
      "SignatureDoesNotMatch",
      "AuthFailure",
    ],
    "aws:accessKey and aws:secretKey are not those of a user of this emulator: run bin/sandbox up again",
  ],
  [
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired"],
    "the credentials that Pulumi was started with have ended: log in to AWS again (`aws sso login`), and run the same command again",
  ],
];
