/**
 * Registers a dynamic resource for each row of `table.json`: `{rows: [{name, provider, args, options}], outputs}`, with
 * `{"$output": "NAME.KEY"}` and `{"$secret": "KEY"}` as in the `table` program. The providers note in `../log` what they do.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";

interface Row {
  name: string;
  provider?: keyof typeof providers;
  args?: Record<string, unknown>;
  options?: pulumi.CustomResourceOptions;
}

interface Properties {
  kind?: string;
  weight?: number;
  secret?: string;
  /** What goes wrong. */
  fault?: string;
}

const table = JSON.parse(readFileSync("../table.json", "utf8")) as {
  rows: Row[];
  outputs: Record<string, unknown>;
};
const config = new pulumi.Config();
/** Stands in the source of the provider, but not in what it does. */
const edition = config.get("edition") ?? "first";

function note(line: string): void {
  appendFileSync("../log", `${line}\n`);
}

const full: pulumi.dynamic.ResourceProvider<Properties, Properties> = {
  configure: ({ config: own }) => {
    note(`configured ${own.get("edition") ?? "without"} ${readFileSync("note.txt", "utf8").trim()}`);
    return Promise.resolve();
  },
  check: (olds, news) => {
    if (news.fault === "check throws") throw new Error(`check of ${String(news.secret)}`);
    if (news.fault !== "check fails") return Promise.resolve({ inputs: { ...news, added: "by check" } });
    const reason = `${String(olds.weight)} to ${String(news.weight)} with ${String(news.secret)}`;
    return Promise.resolve({ inputs: news, failures: [{ property: "weight", reason }] });
  },
  diff: (_id, olds, news) => {
    if (news.fault === "diff throws") throw new Error("thrown by diff");
    const replaces = olds.kind === news.kind ? [] : ["kind"];
    return Promise.resolve({
      changes: replaces.length > 0 || olds.weight !== news.weight || olds.fault !== news.fault,
      replaces,
      deleteBeforeReplace: news.fault === "old one first",
    });
  },
  create: async (inputs) => {
    note(`create ${String(inputs.kind)} ${String(inputs.weight)}`);
    console.log(`${edition.length > 0 ? "printed" : ""} ${String(inputs.secret)}`);
    if (inputs.fault === "create hangs") await new Promise((resolve) => setTimeout(resolve, 100_000));
    if (inputs.fault === "create ends the process") process.exit(3);
    if (inputs.fault === "create throws") throw new Error(`no room for ${String(inputs.secret)}`);
    if (inputs.fault === "create stops half way") {
      const reasons = ["not ready", `without ${String(inputs.secret)}`];
      throw Object.assign(new Error("half"), { id: "half", properties: { ...inputs, half: true }, reasons });
    }
    const id = `id-${String(inputs.kind)}`;
    if (inputs.fault === "create answers no data") return { id, outs: { ...inputs, made: [undefined] } };
    return { id, outs: { ...inputs, made: String(inputs.weight), echo: `has ${String(inputs.secret)}` } };
  },
  read: (id, props = {}) => {
    note(`read ${id}`);
    if (!existsSync("../found.json")) return Promise.resolve({ id, props });
    const found = JSON.parse(readFileSync("../found.json", "utf8")) as Properties | null;
    return Promise.resolve(found === null ? {} : { id, props: { ...props, ...found } });
  },
  update: (id, olds, news) => {
    note(`update ${id} ${String(olds.weight)} ${String(news.weight)}`);
    if (news.fault === "update throws") throw new Error("thrown by update");
    return Promise.resolve({ outs: { ...news, made: String(news.weight) } });
  },
  delete: (id, props) => {
    note(`delete ${id} ${String(props.weight)}`);
    if (props.fault === "delete throws") throw new Error("thrown by delete");
    return Promise.resolve();
  },
};

/** Has nothing that it could do without. */
const plain: pulumi.dynamic.ResourceProvider<{ value?: string }, { value?: string }> = {
  create: (inputs) => Promise.resolve({ id: "plain", outs: { ...inputs, made: inputs.value } }),
};

/** Calls the SDK, which has to be found from the program's directory. */
const caller: pulumi.dynamic.ResourceProvider<object, object> = {
  configure: ({ config: own }) => {
    note(`configured ${own.require("of-nobody")}`);
    return Promise.resolve();
  },
  create: () => Promise.resolve({ id: "caller", outs: { made: pulumi.getProject() } }),
};

const providers = { full, plain, caller };

class Thing extends pulumi.dynamic.Resource {
  declare readonly made: pulumi.Output<string>;

  constructor({ name, provider = "full", args, options }: Row) {
    const inputs = { made: undefined, echo: undefined, ...(build(args) as object) };
    super(providers[provider], name, inputs, options, "table", "Thing");
  }
}

const made = new Map<string, Thing>();

function build(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const [key, argument] = Object.entries(value)[0] ?? ["", undefined];
  const [name = "", property = ""] = String(argument).split(".");
  if (key === "$output") return Reflect.get(made.get(name) ?? {}, property);
  if (key === "$secret") return config.requireSecret(String(argument));
  return Object.fromEntries(Object.entries(value).map(([each, element]) => [each, build(element)]));
}

for (const row of table.rows) made.set(row.name, new Thing(row));

export = build(table.outputs);
