import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Document, isMap as isYamlMap, isScalar, parseDocument, Scalar } from "yaml";
import { EngineError, ExitCode } from "../errors";
import { writeAtomically } from "../state/backend";
import type { PathElement } from "../values/path";
import type { Project } from "./project";

/** A config value as a stack config file holds it: a scalar, or a tree, with `{secure: CIPHERTEXT}` for secrets. */
export type StoredValue = string | number | boolean | null | StoredValue[] | { [key: string]: StoredValue };

/** The path of a stack's config file. */
export function stackConfigPath(project: Project, stack: string): string {
  return join(project.stackConfigDirectory, `Pulumi.${stack}.yaml`);
}

/** A stack's config file. Edits keep comments, order and what the engine does not know. */
export class StackConfigFile {
  private constructor(
    readonly path: string,
    private readonly document: Document,
  ) {}

  /** Opens the file; a missing one counts as empty. Fails where it is not YAML or holds what the engine lacks. */
  static open(path: string): StackConfigFile {
    const document = existsSync(path) ? parseDocument(readFileSync(path, "utf8")) : new Document({});
    const [fault] = document.errors;
    if (fault) throw new EngineError(`${path} is not YAML: ${fault.message}`, ExitCode.configuration);
    // An empty file, or one with comments alone, has no contents to set anything in.
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      document.contents = document.createNode({});
    }
    if (!isYamlMap(document.contents))
      throw new EngineError(`${path}: expected a mapping`, ExitCode.configuration);
    const file = new StackConfigFile(path, document);
    file.refuseUnsupported();
    return file;
  }

  private refuseUnsupported(): void {
    const provider = this.document.get("secretsprovider");
    if (provider !== undefined && provider !== "passphrase") {
      this.refuse("secretsprovider", 'only "passphrase" is supported');
    }
    if (this.document.has("environment")) this.refuse("environment", "Pulumi ESC is not supported");
    if (this.document.has("encryptedkey"))
      this.refuse("encryptedkey", "cloud secrets providers are not supported");
  }

  private refuse(key: string, reason: string): never {
    throw new EngineError(
      `${this.path}: ${key}: ${reason} by the embedded engine; use the Pulumi CLI`,
      ExitCode.configuration,
    );
  }

  /** The salt of the file's secrets, if it has one. */
  get salt(): string | undefined {
    const salt = this.document.get("encryptionsalt");
    return typeof salt === "string" ? salt : undefined;
  }

  /** Puts the salt into the file. */
  setSalt(salt: string): void {
    this.document.set("encryptionsalt", salt);
  }

  /** All values by full key (`namespace:name`), in the file's order. */
  values(): Map<string, StoredValue> {
    const config = (this.document.toJS() as { config?: Record<string, StoredValue> | null }).config ?? {};
    return new Map(Object.entries(config).map(([key, value]) => [normalKey(key), value]));
  }

  /** Sets the value of a key, or with a path the value inside it. Fails where the path leads through a scalar. */
  set(key: string, path: readonly PathElement[], value: StoredValue): void {
    if (!isYamlMap(this.document.get("config"))) this.document.set("config", this.document.createNode({}));
    const full = ["config", this.storedKey(key), ...path];
    for (let length = 2; length < full.length; length++) {
      const parent = this.document.getIn(full.slice(0, length), true);
      if (parent !== undefined && isScalar(parent)) {
        throw new EngineError(
          `${key}: cannot set inside ${full.slice(1, length).join(".")}, which is a plain value`,
        );
      }
      if (parent === undefined)
        this.document.setIn(
          full.slice(0, length),
          this.document.createNode(typeof full[length] === "number" ? [] : {}),
        );
    }
    const node = this.nodeOf(value);
    const before = this.document.getIn(full, true);
    if (isScalar(before) && isScalar(node))
      Object.assign(node, { comment: before.comment, commentBefore: before.commentBefore });
    this.document.setIn(full, node);
  }

  /** Removes a key, or with a path the value inside it. Returns whether it was there. */
  remove(key: string, path: readonly PathElement[]): boolean {
    return this.document.deleteIn(["config", this.storedKey(key), ...path]);
  }

  /** Writes the file. */
  async save(): Promise<void> {
    // The CLI reads a block of blank lines otherwise than it is written here.
    await writeAtomically(this.path, this.document.toString({ lineWidth: 0, blockQuote: false }));
  }

  /** The key as the file spells it: older files have `namespace:config:name`. */
  private storedKey(key: string): string {
    const old = key.replace(":", ":config:");
    return this.document.hasIn(["config", old]) ? old : key;
  }

  private nodeOf(value: StoredValue): unknown {
    if (typeof value !== "string") return this.document.createNode(value);
    const node = new Scalar(value);
    // A string that reads like a number or a boolean has to stay a string for every reader of YAML.
    if (/^(?:[-+.\d].*|true|false|yes|no|on|off|null|~|)$/i.test(value) && !value.includes("\n"))
      node.type = "QUOTE_DOUBLE";
    return node;
  }
}

function normalKey(key: string): string {
  const parts = key.split(":");
  return parts.length === 3 && parts[1] === "config" ? `${parts[0] ?? ""}:${parts[2] ?? ""}` : key;
}
