/** The entry of `bin/bootstrap-state`. */
import { Command, InvalidArgumentError, Option } from "commander";
import { bootstrap, type Backend } from "./bootstrap";
import { StateError } from "./surroundings";

interface Options {
  readonly name: string;
  readonly region: string;
  readonly bucket?: string;
  readonly github?: string;
  readonly stacks: string;
}

const ABOUT = `
Makes, in the account of the AWS credentials around it: a KMS key with rotation and an alias, a bucket for the state
(versions, encryption with that key, private, TLS only, old versions go after 90 days), the policy <name>-boundary, above which no
role of a stack can be given a right, and, with --github, GitHub as an identity provider and the roles <name>-preview and
<name>-deploy for the pipelines. What is there already is put right where it differs; nothing is removed. A second run changes nothing.

Examples:
  bin/bootstrap-state --region eu-central-1
      a state that people work with, by their own credentials
  bin/bootstrap-state --region eu-central-1 --github your-org/vehicleservice-production --stacks staging,production
      and the pipelines`;

function matching(form: RegExp, example: string): (text: string) => string {
  return (text) => {
    if (!form.test(text)) throw new InvalidArgumentError(`it looks like this: ${example}`);
    return text;
  };
}

const program = new Command("bootstrap-state")
  .description("Makes what a shared state of Pulumi's takes in AWS, once an account.")
  .option(
    "--name <name>",
    "what all names begin with: the application's",
    matching(/^[a-z][a-z0-9-]{0,30}$/, "vehicleservice"),
    "vehicleservice",
  )
  .addOption(
    new Option("--region <region>", "where it is made")
      .env("AWS_REGION")
      .argParser(matching(/^[a-z]{2}(-[a-z]+)+-\d$/, "eu-central-1"))
      .makeOptionMandatory(),
  )
  .option(
    "--bucket <name>",
    "name of the bucket; default: <name>-pulumi-state-<account>",
    matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "vehicleservice-pulumi-state"),
  )
  .option(
    "--github <repository>",
    "repository whose pipelines get roles; its page Settings, Actions, OIDC shows how tokens name it",
    matching(/^[\w.-]+(@\d+)?\/[\w.-]+(@\d+)?$/, "your-org/vehicleservice-production"),
  )
  .option(
    "--stacks <names>",
    "stacks that the pipelines look after",
    matching(/^[\w-]+(,[\w-]+)*$/, "staging,production"),
    "production",
  )
  .addHelpText("after", ABOUT);

function told({ region, stacks }: Options, { url, secretsProvider, boundary, roles }: Backend): string {
  const [stack = ""] = stacks.split(",").slice(-1);
  const settings =
    roles === undefined
      ? []
      : [
          "",
          `In .github/environments/${stack}.env:`,
          `  AWS_REGION=${region}`,
          `  PULUMI_BACKEND_URL=${url}`,
          `  PREVIEW_ROLE_ARN=${roles.preview}`,
          `  DEPLOY_ROLE_ARN=${roles.deploy}`,
        ];
  return [
    "Next:",
    `  pulumi login '${url}'`,
    `  pulumi stack init ${stack} --secrets-provider='${secretsProvider}'`,
    `  pulumi config set permissionsBoundary ${boundary}`,
    ...settings,
  ].join("\n");
}

async function main(): Promise<void> {
  const options = program.parse().opts<Options>();
  const { name, region, bucket, github, stacks } = options;
  let changes = 0;
  const backend = await bootstrap(
    {
      ...{ name, region, bucket },
      pipelines: github === undefined ? undefined : { repository: github, stacks: stacks.split(",") },
    },
    (what) => {
      changes += 1;
      console.log(what);
    },
  );
  console.log(
    `${changes === 0 ? "nothing to change" : `${String(changes)} changes`}\n\n${told(options, backend)}`,
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof StateError ? `bootstrap-state: ${error.message}` : error);
  process.exitCode = 1;
});
