import * as fs from "node:fs";
import * as path from "node:path";
import * as ts from "typescript";

import type { Properties, Property } from "../../aws/plugin/properties";
import { propertiesOf } from "../../aws/plugin/provider";
import { FUNCTIONS, RESOURCE_TYPES } from "../../aws/types/table";
import { repositoryRoot } from "../../repository";

const PACKAGE = path.join(repositoryRoot(), "node_modules", "@pulumi", "aws");

/** A property as `@pulumi/aws` declares it. */
interface Declared {
  readonly required: boolean;
  /** Name of the interface of its value, `s3.BucketCorsRule`, where it is an object or a list of some. */
  readonly nested: string | undefined;
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, fs.readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
}

function membersOf(declaration: ts.InterfaceDeclaration): ReadonlyMap<string, Declared> {
  const entries = declaration.members.filter(ts.isPropertySignature).map((member) => {
    const nested = /inputs\.([\w.]+)/.exec(member.type?.getText() ?? "")?.[1];
    return [member.name.getText(), { required: member.questionToken === undefined, nested }] as const;
  });
  return new Map(entries);
}

/** Interfaces of nested values by `service.Name`. */
const nestedInputs = ((): ReadonlyMap<string, ReadonlyMap<string, Declared>> => {
  const found = new Map<string, ReadonlyMap<string, Declared>>();
  for (const namespace of parse(path.join(PACKAGE, "types", "input.d.ts")).statements) {
    if (
      !ts.isModuleDeclaration(namespace) ||
      namespace.body === undefined ||
      !ts.isModuleBlock(namespace.body)
    )
      continue;
    for (const one of namespace.body.statements.filter(ts.isInterfaceDeclaration))
      found.set(`${namespace.name.text}.${one.name.text}`, membersOf(one));
  }
  return found;
})();

/** `aws:s3/bucket:Bucket` -> its inputs and outputs as `@pulumi/aws` declares them. */
function declarationOf(token: string): { inputs: ReadonlyMap<string, Declared>; outputs: readonly string[] } {
  const [, module = "", name = ""] = token.split(":");
  const source = parse(path.join(PACKAGE, `${module}.d.ts`));
  const args = source.statements.find(
    (one): one is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(one) && one.name.text === `${name}Args`,
  );
  const declaration = source.statements.find(
    (one): one is ts.ClassDeclaration => ts.isClassDeclaration(one) && one.name?.text === name,
  );
  if (args === undefined || declaration === undefined) throw new Error(`@pulumi/aws declares no ${token}`);
  const outputs = declaration.members.filter(ts.isPropertyDeclaration).map((member) => member.name.getText());
  return { inputs: membersOf(args), outputs };
}

/** Where our table says something else than `@pulumi/aws`. */
function differences(ours: Properties, declared: ReadonlyMap<string, Declared>, at: string): string[] {
  const unknown = Object.keys(ours).filter((name) => !declared.has(name));
  const missing = [...declared].filter(([name, { required }]) => required && ours[name]?.required !== true);
  return [
    ...unknown.map((name) => `${at}${name}: @pulumi/aws has no such input`),
    ...missing.map(([name]) => `${at}${name}: @pulumi/aws requires it`),
    ...Object.entries(ours).flatMap(([name, property]) => {
      const inner = innerOf(property);
      const nested = declared.get(name)?.nested;
      if (inner === undefined || nested === undefined) return [];
      return differences(inner, nestedInputs.get(nested) ?? new Map<string, Declared>(), `${at}${name}.`);
    }),
  ];
}

function innerOf(property: Property): Properties | undefined {
  if (property.kind === "list") return innerOf(property.of);
  return property.kind === "object" ? property.properties : undefined;
}

it.each([...RESOURCE_TYPES.values()])("$token has the inputs and outputs of @pulumi/aws", (type) => {
  const { inputs, outputs } = declarationOf(type.token);
  expect(differences(propertiesOf(type), inputs, "")).toEqual([]);
  // Of outputs all are told: a program that waits for one would get undefined.
  const told = [...Object.keys(propertiesOf(type)), ...type.computed, "tagsAll"];
  expect(type.computed.filter((name) => !outputs.includes(name))).toEqual([]);
  expect(told.filter((name) => name !== "tagsAll" && !outputs.includes(name) && !inputs.has(name))).toEqual(
    [],
  );
});

it.each([...RESOURCE_TYPES.values(), ...FUNCTIONS.values()])(
  "$token cites the API that it follows",
  (one) => {
    expect(one.reference).toMatch(/^https:\/\/docs\.aws\.amazon\.com\/.*\.html$/);
  },
);

/** Tokens of all that the program takes from `@pulumi/aws`, by the file that does. */
function tokensUsed(): { file: string; token: string }[] {
  const root = repositoryRoot();
  const files = fs
    .readdirSync(path.join(root, "components"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.join("components", file));
  return [...files, "index.ts"].flatMap((file) =>
    usesIn(parse(path.join(root, file))).map((token) => ({ file, token })),
  );
}

/** What a file makes (`new ec2.Instance`) and looks up (`ec2.getAmi`) of the modules that it imports as a whole. */
function usesIn(source: ts.SourceFile): string[] {
  const modules = new Map<string, string>();
  const tokens: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const { text } = node.moduleSpecifier;
      const bindings = node.importClause?.namedBindings;
      if (text.startsWith("@pulumi/aws")) {
        if (bindings === undefined || !ts.isNamespaceImport(bindings))
          throw new Error(
            `${source.fileName}: import * as <module> from "${text}", so that its uses are found`,
          );
        modules.set(bindings.name.text, text.replace(/^@pulumi\/aws\/?/, ""));
      }
    }
    const callee = ts.isNewExpression(node) || ts.isCallExpression(node) ? node.expression : undefined;
    if (callee !== undefined && ts.isPropertyAccessExpression(callee)) {
      const module = modules.get(callee.expression.getText());
      if (module !== undefined) tokens.push(tokenOf(module, callee.name.text, ts.isNewExpression(node)));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return tokens;
}

function tokenOf(module: string, name: string, isResource: boolean): string {
  const bare = name.replace(/Output$/, "");
  const file = bare.charAt(0).toLowerCase() + bare.slice(1);
  return `aws:${module === "" ? "index" : module}/${file}:${isResource ? name : bare}`;
}

it("has everything that the program takes from AWS' provider", () => {
  const known = (token: string): boolean => RESOURCE_TYPES.has(token) || FUNCTIONS.has(token);
  expect(tokensUsed().filter(({ token }) => !known(token))).toEqual([]);
});

it("sees what a program takes", () => {
  const text = `
    import * as aws from "@pulumi/aws";
    import * as lambda from "@pulumi/aws/lambda";
    new lambda.Function("f", {});
    aws.getRegionOutput({});
  `;
  const source = ts.createSourceFile("program.ts", text, ts.ScriptTarget.Latest, true);
  expect(usesIn(source)).toEqual(["aws:lambda/function:Function", "aws:index/getRegion:getRegion"]);
});
