import {
  amount,
  base64Key,
  connectClientId,
  databaseUrlText,
  flagText,
  type Form,
  hexKey,
  label,
  mail,
  oneOf,
  present,
  resendKey,
  sentryDsn,
  siteOrigin,
  stripeKey,
  webhookSecret,
  wholeNumberText,
} from "./variable-forms";

/** A variable of the application, as the guide's environment file has it. */
export interface Variable {
  readonly name: string;
  /** Who may know the value: everybody, for it is in what browsers load; whoever reads the config; or the application alone. */
  readonly known: "public" | "plain" | "secret";
  /** When the application reads it. What is `public` is put into its files by the build, and read by the server as well. */
  readonly readAt: "build" | "run" | "both";
  /** Is a site without it at fault? */
  readonly required: boolean;
  /** Who gives it: the config; this stack, unless the config does; or the launcher on the host, and then the config may not. */
  readonly givenBy: "config" | "stack" | "launcher";
  /** What it has to be. */
  readonly form: Form;
  /** The guide's value where it has one, else what a user types behind `config set`. */
  readonly example: string;
}

/** From a file, for an argument can be read by every user of a machine. */
const FROM_FILE = "< value-file";

const given = (
  name: string,
  form: Form,
  example: string,
  more: Partial<Pick<Variable, "known" | "readAt" | "required" | "givenBy">> = {},
): Variable => ({
  name,
  form,
  example,
  known: "plain",
  readAt: "run",
  required: true,
  givenBy: "config",
  ...more,
});

const open = (name: string, form: Form, example: string) =>
  given(name, form, example, { known: "public", readAt: "both" });

const secret = (name: string, form: Form, givenBy: "config" | "stack" = "config") =>
  given(name, form, FROM_FILE, { known: "secret", givenBy });

/**
 * The guide's environment file, in its order. There are no defaults: what the application is told is what stands in the
 * config, and `Pulumi.production.yaml` has the guide's values. The three of Supabase are looked at by
 * `supabaseKeyFaults`, which knows them together.
 */
export const VARIABLES: readonly Variable[] = [
  given("NODE_ENV", oneOf("production"), "production", { givenBy: "launcher", readAt: "both" }),
  open("NEXT_PUBLIC_SITE_URL", siteOrigin, "https://www.example.com"),

  open("NEXT_PUBLIC_SUPABASE_URL", present("the URL of the project, https://PROJECT.supabase.co"), FROM_FILE),
  open("NEXT_PUBLIC_SUPABASE_ANON_KEY", present("the project's publishable or anon key"), FROM_FILE),
  secret("SUPABASE_SERVICE_ROLE_KEY", present("the project's secret or service_role key")),
  secret("DATABASE_URL", databaseUrlText),

  open("NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY", stripeKey("a publishable key", "pk"), FROM_FILE),
  secret("STRIPE_SECRET_KEY", stripeKey("a secret or restricted key", "sk", "rk")),
  given("STRIPE_CONNECT_CLIENT_ID", connectClientId, FROM_FILE),
  secret("STRIPE_WEBHOOK_SECRET", webhookSecret),

  secret("ENCRYPTION_KEY", base64Key, "stack"),
  secret("STATE_SECRET", hexKey, "stack"),
  // Not in the guide: without it each build makes its own, and a server action of one colour fails on the other.
  {
    ...secret("NEXT_SERVER_ACTIONS_ENCRYPTION_KEY", base64Key, "stack"),
    ...{ readAt: "build", required: false },
  },

  secret("RESEND_API_KEY", resendKey),
  open("NEXT_PUBLIC_FROM_EMAIL", mail, "noreply@example.com"),

  given("DEFAULT_WALLET_BALANCE", amount(0), "0"),
  given("AUTO_RECHARGE_ENABLED", flagText, "false"),
  given("AUTO_RECHARGE_THRESHOLD", amount(0), "100"),
  given("AUTO_RECHARGE_AMOUNT", amount(1), "1000"),

  given("ENABLE_CUSTOM_DOMAINS", flagText, "true"),
  given("ENABLE_AUTO_RECHARGE", flagText, "true"),
  given("ENABLE_MULTI_CURRENCY", flagText, "true"),

  given("LOG_LEVEL", oneOf("trace", "debug", "info", "warn", "error", "fatal"), "warn"),
  given("ENABLE_PERFORMANCE_MONITORING", flagText, "true"),
  // A DSN lets everybody send errors, and nobody read them: Sentry has it in browsers.
  given("SENTRY_DSN", sentryDsn, FROM_FILE),
  given("SENTRY_ENVIRONMENT", label, "production"),

  given("RATE_LIMIT_REQUESTS_PER_MINUTE", wholeNumberText(1, 1_000_000, "requests a minute"), "100"),
  given("RATE_LIMIT_BURST", wholeNumberText(1, 1_000_000, "requests"), "200"),
];

/** Those whose values only the application may know. */
export const SECRET_VARIABLES: readonly Variable[] = VARIABLES.filter(({ known }) => known === "secret");
