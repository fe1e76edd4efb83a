import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { StepError } from "./faults";

/** What a job is for; each has a role of its own in AWS, but for the way back, which is a deployment. */
export const PURPOSES = ["preview", "deploy", "rollback"] as const;

/** One of {@link PURPOSES}. */
export type Purpose = (typeof PURPOSES)[number];

/** A key of a settings file, and what its value has to look like. */
interface Rule {
  readonly form: RegExp;
  readonly example: string;
}

const ROLE: Rule = {
  form: /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/,
  example: "arn:aws:iam::<account>:role/<name>",
};

const RULES: Readonly<Record<string, Rule>> = {
  AWS_REGION: { form: /^[a-z]{2}(-[a-z]+)+-\d$/, example: "eu-central-1" },
  PULUMI_BACKEND_URL: {
    form: /^(s3|https):\/\/[^\s[\]]+$/,
    example: "s3://<bucket>?region=<region>&awssdk=v2",
  },
  PREVIEW_ROLE_ARN: ROLE,
  DEPLOY_ROLE_ARN: ROLE,
  SSH_SECURITY_GROUP_ID: { form: /^(sg-[0-9a-f]+)?$/, example: "sg-0123456789abcdef0, or empty" },
  SSH_PORT: { form: /^\d{1,5}$/, example: "22" },
};

/** Where the settings of a stack are, relative to the project. */
export function settingsFile(stack: string): string {
  return join(".github", "environments", `${stack}.env`);
}

/**
 * Reads what the pipelines need to know of a stack.
 * @param directory Directory of the project.
 * @returns variables for the job's environment, by name
 * @throws StepError naming every fault of the file at once
 */
export function readSettings(directory: string, stack: string, purpose: Purpose): Map<string, string> {
  const name = settingsFile(stack);
  const file = join(directory, name);
  if (!/^[a-zA-Z0-9_-]+$/.test(stack) || !existsSync(file)) {
    throw new StepError(`stack ${JSON.stringify(stack)} has no file ${name}; see docs/production.md`);
  }
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const values = new Map(lines.map((line) => [keyOf(line), line.slice(keyOf(line).length + 1)]));
  const faults = [
    ...[...values.keys()].filter((key) => !(key in RULES)).map((key) => `${key} is no key of it`),
    ...Object.entries(RULES).flatMap(([key, rule]) => faultOf(key, rule, values.get(key))),
  ];
  if (faults.length > 0) throw new StepError(`${name}:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
  const role = values.get(purpose === "preview" ? "PREVIEW_ROLE_ARN" : "DEPLOY_ROLE_ARN") ?? "";
  const given = ["AWS_REGION", "PULUMI_BACKEND_URL", "SSH_SECURITY_GROUP_ID", "SSH_PORT"];
  return new Map([["AWS_ROLE_ARN", role], ...given.map((key) => [key, values.get(key) ?? ""] as const)]);
}

function keyOf(line: string): string {
  return line.split("=", 1)[0] ?? line;
}

function faultOf(key: string, { form, example }: Rule, value: string | undefined): string[] {
  if (value === undefined) return [`${key} is missing: ${example}`];
  if (form.test(value)) return [];
  const what = value.startsWith("[") ? "is still a placeholder" : `cannot be ${JSON.stringify(value)}`;
  return [`${key} ${what}: ${example}`];
}
