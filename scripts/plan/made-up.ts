import { randomBytes } from "node:crypto";
import { hostKeyFrom } from "../../components/host-key";

/**
 * What stands in for an operator's own values where a plan is made, or tested, without an operator. Names and ids are fixed, so
 * that two plans are the same; keys are made when they are asked for, so that none stands in the repository.
 */

/** The project that a made-up config is about, where it names none of its own. */
export const PROJECT_REF = "abcdefghijklmnopqrst";

/** The hosted zone of Route 53. */
export const ZONE_ID = "Z0123456789ABCDEFGHIJ";

/** The site's name. */
export const DOMAIN = "shop.example.com";

/** Values in the place of the placeholders of `Pulumi.production.yaml`. */
const OPERATOR: Readonly<Record<string, string>> = {
  "[office-network]": "203.0.113.7/32",
  "[permissions-boundary]": "arn:aws:iam::123456789012:policy/vehicleservice-boundary",
  "[image-id]": "ami-0123456789abcdef0",
  "[backup-bucket]": "example-production-backups",
  "[production-ref]": PROJECT_REF,
  "[on-call-email]": "oncall@example.com",
  "[team-email]": "team@example.com",
};

/** A text with the operator's values in the place of placeholders; one that is not known stays. */
export function withOperatorValues(text: string, domain = DOMAIN): string {
  return Object.entries(OPERATOR)
    .reduce((filled, [placeholder, value]) => filled.replaceAll(placeholder, value), text)
    .replaceAll("production.yourdomain.com", domain)
    .replaceAll("your-org", "example");
}

/** A key as its maker writes it. */
const key = (beginning: string, length = 32) =>
  beginning + randomBytes(length).toString("hex").slice(0, length);

function supabaseKey(ref: string, role: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: "supabase", ref, role, iat: 1_700_000_000, exp: 2_000_000_000 };
  return `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}.${randomBytes(32).toString("base64url")}`;
}

/** A private key in OpenSSH's format, another one at each call. */
export function madeUpPrivateKey(): string {
  return hostKeyFrom(randomBytes(32).toString("hex")).privateKey;
}

/** The keys of other makers that docs/production.md has in files, by the files' names: well-formed, and nobody's. */
export function madeUpKeys(ref = PROJECT_REF): Readonly<Record<string, string>> {
  // Sixteen characters with the 1 before them: what newer keys hold of their account.
  const account = randomBytes(8).toString("hex").slice(1);
  const databaseUrl = (port: number) =>
    `postgres://postgres.${ref}:${key("", 24)}@aws-0-eu-central-1.pooler.supabase.com:${String(port)}/postgres`;
  return {
    supabaseAccessToken: key("sbp_", 40),
    databaseUrl: databaseUrl(5432),
    NEXT_PUBLIC_SUPABASE_URL: `https://${ref}.supabase.co`,
    NEXT_PUBLIC_SUPABASE_ANON_KEY: supabaseKey(ref, "anon"),
    SUPABASE_SERVICE_ROLE_KEY: supabaseKey(ref, "service_role"),
    NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key(`pk_live_51${account}`, 80),
    STRIPE_SECRET_KEY: key(`sk_live_51${account}`, 80),
    DATABASE_URL: databaseUrl(6543),
    STRIPE_CONNECT_CLIENT_ID: key("ca_"),
    stripeApiKey: key(`rk_live_51${account}`, 80),
    RESEND_API_KEY: key("re_"),
    SENTRY_DSN: `https://${key("")}@o1.ingest.sentry.io/1`,
  };
}
