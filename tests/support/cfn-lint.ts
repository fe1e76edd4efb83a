import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../sandbox/command";
import { installPython } from "../../sandbox/python";
import { type Inputs, templateResource } from "./cloudformation";

/** AWS' own linter of templates, which has the schema of every type of CloudFormation's with it. */
const PACKAGES = ["cfn-lint==1.58.0"];

/** A resource as a program registers it. */
export interface Made {
  readonly type: string;
  readonly name: string;
  readonly inputs: Inputs;
}

/** Installs the linter, unless it is there. */
export async function installCfnLint(): Promise<string> {
  return path.join(await installPython("cfn-lint", PACKAGES), "bin", "cfn-lint");
}

interface Match {
  readonly Level: string;
  readonly Message: string;
  readonly Rule: { readonly Id: string };
  readonly Location: { readonly Path: readonly (string | number)[] | null };
}

/**
 * Looks at resources of Pulumi's AWS provider as CloudFormation would, in one region.
 * @returns each error, `name: Property.Path: message (rule)`; no warnings, which are about templates
 * @throws Error for a type or an input that CloudFormation has no counterpart of
 */
export async function lintResources(
  program: string,
  resources: readonly Made[],
  region: string,
): Promise<readonly string[]> {
  const names = resources.map(({ name, type }) => `${name} (${type.split(":").at(-1) ?? ""})`);
  const entries = resources.map(({ type, inputs }, index) => [
    `Resource${String(index)}`,
    templateResource(type, inputs),
  ]);
  const template = {
    AWSTemplateFormatVersion: "2010-09-09",
    Resources: Object.fromEntries(entries) as object,
  };
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "cfn-lint-"));
  try {
    const file = path.join(directory, "template.json");
    fs.writeFileSync(file, JSON.stringify(template));
    const command = [program, "--format", "json", "--regions", region, "--ignore-checks", "W", "--", file];
    const { stdout, stderr, exitCode } = await run(command, { check: false });
    // 0 for nothing found; else bits of what kind of matches there are. Anything else is no answer.
    if (stdout.trim() === "") throw new Error(`cfn-lint ended with ${String(exitCode)}: ${stderr}`);
    const matches = JSON.parse(stdout) as readonly Match[];
    return matches.map(({ Message, Rule, Location }) => {
      const [, resource = "", , ...property] = (Location.Path ?? []).map(String);
      const name = names[Number(resource.replace("Resource", ""))] ?? resource;
      return `${name}: ${property.join(".")}: ${Message} (${Rule.Id})`;
    });
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
