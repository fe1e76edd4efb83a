import { z } from "zod";
import { endpointOrNone } from "../rules/database";
import { localFile } from "../rules/host";
import { flag, integer, placeholderIn, ruled } from "../rules/rule";
import { plainNetwork } from "../networks";
import { mailOrNone } from "../rules/web";

/** The group `supabase`: the project that the product's database, logins and REST API live in. */

/** Where Supabase manages projects. */
const MANAGEMENT_API = "https://api.supabase.com";

const apiUrl = () =>
  ruled(
    z.string().refine((value) => value !== "" && endpointOrNone().safeParse(value).success),
    "an https:// URL without path, or an http:// one of a private IPv4 address",
    MANAGEMENT_API,
  );

/** Personal access token of the Management API, or nothing. */
export const accessTokenOrNone = () =>
  ruled(
    z.string().regex(/^(sbp_[A-Za-z0-9_-]{16,200})?$/),
    "a personal access token of Supabase's (sbp_..., dashboard, Account, Access Tokens); no key of a project",
    "< token-file",
  );

/** Password of the mail server, or nothing. */
export const smtpPasswordOrNone = () =>
  ruled(
    z.string().regex(/^\P{Cc}{0,500}$/u),
    "the password of the mail server, one line; empty for variables.RESEND_API_KEY",
    "< password-file",
  );

const projectRef = () =>
  ruled(
    z.string().regex(/^([a-z]{20})?$/),
    "the project's reference, 20 of a-z (it is in the URL of its dashboard), or empty for a stack without Supabase",
    "abcdefghijklmnopqrst",
  );

const slug = (rule: string, example: string) =>
  ruled(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), rule, example);

/** A URL of the site, or a pattern of such: Supabase takes `*` and `**` for parts of it. */
const siteUrl = (wildcards: boolean, example: string) =>
  ruled(
    z
      .string()
      .max(255)
      .refine((value) => {
        const characters = wildcards ? /^[A-Za-z0-9.:/_~*?=&%-]+$/ : /^[A-Za-z0-9.:/_~-]+$/;
        return (
          /^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1)[:/])[A-Za-z0-9*]/.test(value) &&
          characters.test(value) &&
          !value.split("/").includes("..") &&
          placeholderIn(value) === undefined
        );
      }),
    `an https:// URL${wildcards ? ", with * and ** where any text may stand" : ""}, or one of http://localhost`,
    example,
  );

const smtp = z.strictObject({
  /** The server that sends. */
  host: ruled(
    z.string().regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/),
    "the name of a mail server, in lower case",
    "smtp.resend.com",
  ).default("smtp.resend.com"),
  /** Its TCP port; Resend's takes 25, 465, 587, 2465 and 2587. */
  port: integer(1, 65535, "TCP port", 465).default(465),
  /** Who logs in there. The password is the secret `supabaseSmtpPassword`, or else `variables.RESEND_API_KEY`. */
  user: ruled(
    z.string().regex(/^[A-Za-z0-9_.@+-]{1,128}$/),
    "1 to 128 of A-Z, a-z, 0-9 and _ . @ + -",
    "resend",
  ).default("resend"),
  /** Whom the mails come from; default `variables.NEXT_PUBLIC_FROM_EMAIL`. */
  sender: mailOrNone().default(""),
  /** The sender's name as people see it; left as it is where it is not set. */
  senderName: ruled(
    z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} .,_-]{0,99}$/u),
    "1 to 100 letters, digits, blanks and . , _ -, a letter or digit first",
    "'Vehicle Service'",
  ).optional(),
});

const password = z.strictObject({
  /** Fewest characters of a user's password; left as it is where it is not set. */
  minLength: integer(6, 72, "characters", 8).optional(),
  /** What every password has to hold; left as it is where it is not set. */
  requiredCharacters: ruled(
    z.enum(["none", "letters-digits", "lower-upper-digits", "lower-upper-digits-symbols"]),
    "none, letters-digits, lower-upper-digits or lower-upper-digits-symbols",
    "letters-digits",
  ).optional(),
  /** Refuses passwords that are known from leaks (Supabase's plan Pro and above); left as it is where it is not set. */
  refuseLeaked: flag(true).optional(),
});

const template = z.strictObject({
  /** Subject of the mail; left as it is where it is not set. */
  subject: ruled(
    z.string().regex(/^[^\p{Cc}]{1,200}$/u),
    "a line of 1 to 200 characters",
    "'Confirm your address'",
  ).optional(),
  /** Local file with its text in HTML; left as it is where it is not set. */
  html: localFile("templates/confirmation.html").optional(),
});

const auth = z.strictObject({
  /** Where logins lead to, and what is in mails; default `https://` and the first of site.domains. */
  siteUrl: siteUrl(false, "https://www.example.com").optional(),
  /** Other URLs that a login may lead to, with wildcards; left as they are where it is not set. */
  redirectUrls: ruled(
    z.array(siteUrl(true, "https://www.example.com/auth/callback")).max(100),
    "a list of at most 100 URLs",
    "[https://www.example.com/auth/callback]",
  ).optional(),
  /** How long a login's token is valid, in seconds. */
  jwtExpirySeconds: integer(300, 604_800, "seconds", 3600).default(3600),
  /** Who sends mails to users; left as it is where it is not set. */
  smtp: smtp.optional(),
  password: password.prefault({}),
  /** Mails to users, by kind. */
  templates: z
    .strictObject({
      confirmation: template.optional(),
      invite: template.optional(),
      recovery: template.optional(),
      magicLink: template.optional(),
      emailChange: template.optional(),
      reauthentication: template.optional(),
    })
    .prefault({}),
});

const restrictions = z.strictObject({
  /** Networks that may connect to the database; all else is a fault. The host's own has to be among them. */
  allow: ruled(z.array(plainNetwork()).min(1).max(100), "a list of 1 to 100 networks", "[203.0.113.10/32]"),
  /** Whether `up` sets them where they differ, rather than only say so. */
  set: flag(true).default(false),
});

const create = z.strictObject({
  /** Slug of the organization that the project is to belong to. */
  organization: slug("the slug of an organization, as in the URL of its dashboard", "my-company"),
  /** Region that it is to be in: near the users, and near the host. */
  region: slug("a region of Supabase's", "eu-central-1"),
  /** Its name; default `<name>-<stack>`. */
  name: slug("1 to 64 of A-Z, a-z, 0-9, _ and -", "vehicleservice-production").optional(),
  /** Size of its machine, of a paying organization; Supabase's own default where it is not set. */
  size: slug("a size of Supabase's", "small").optional(),
});

const apiFunction = z.strictObject({
  /** Name of the function in schema public. */
  name: ruled(
    z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/),
    "the name of a function: a-z, 0-9 and _, no digit first",
    "get_business_by_custom_domain",
  ),
  /** What it is called with, value by name. */
  arguments: ruled(
    z.record(
      ruled(z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/), "the name of an argument", "domain_name"),
      ruled(z.string().regex(/^[^\p{Cc}]{0,200}$/u), "a text of at most 200 characters", "x"),
    ),
    "texts by name",
    "{ domain_name: example.com }",
  ).default({}),
});

/** Every key of the group `supabase`. A stack with neither `projectRef` nor `create` has no Supabase. */
export const supabase = z.strictObject({
  /** The project that is adopted: its settings become the config's, its password stays whoever's it is. */
  projectRef: projectRef().default(""),
  /** Has the stack make the project, where there is no `projectRef`: with a password of its own, and protected. */
  create: create.optional(),
  /** URL of the Management API. */
  apiUrl: apiUrl().default(MANAGEMENT_API),
  auth: auth.prefault({}),
  /** Where logins have to be recorded: in the `database` (auth.audit_log_entries), or by the `platform`, which always does. */
  auditLog: ruled(z.enum(["database", "platform"]), "database or platform", "database").default("database"),
  /** What Supabase has to keep: every moment (`pitr`), a `daily` backup, or `none`, for there are the stack's own. */
  backups: ruled(z.enum(["pitr", "daily", "none"]), "pitr, daily or none", "pitr").default("pitr"),
  /** Who may connect to the database; not looked at where it is not set. */
  network: restrictions.optional(),
  /** Whether the database has to refuse connections without TLS. */
  requireSsl: flag(true).default(true),
  /** What a fault of Supabase's security advisors does: `stop` an `up` before migrations, `tell`, or nothing (`off`). */
  advisors: ruled(z.enum(["stop", "tell", "off"]), "stop, tell or off", "stop").default("stop"),
  /** Functions that have to answer whoever has the public key, after migrations. */
  apiFunctions: ruled(
    z.array(apiFunction).max(50),
    "a list of at most 50 functions",
    "[{ name: get_business_by_custom_domain, arguments: { domain_name: example.com } }]",
  ).default([{ name: "get_business_by_custom_domain", arguments: { domain_name: "example.com" } }]),
});

/** Its values. */
export type SupabaseValues = z.infer<typeof supabase>;
