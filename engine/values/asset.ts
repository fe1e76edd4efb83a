import { createHash } from "node:crypto";
import { lstat, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../errors";
import { TAR_END, tarHeader, tarPadding } from "./tar";
import {
  isMap,
  signatureOf,
  Signature,
  SIGNATURE_KEY,
  type PropertyMap,
  type PropertyValue,
} from "./property";

/**
 * Gives every asset and archive in the properties its hash, computed from the content as it is now, so that a changed
 * file shows as a changed input. `base` is where relative paths start: the program's directory.
 */
export async function hashAssets(properties: PropertyMap, base: string): Promise<PropertyMap> {
  const entries = await Promise.all(
    Object.entries(properties).map(async ([key, value]): Promise<[string, PropertyValue]> => [
      key,
      await hashIn(value, base),
    ]),
  );
  return Object.fromEntries(entries);
}

async function hashIn(value: PropertyValue, base: string): Promise<PropertyValue> {
  if (Array.isArray(value)) return Promise.all(value.map((element) => hashIn(element, base)));
  if (!isMap(value)) return value;
  const signature = signatureOf(value);
  if (signature === Signature.asset) return hashAsset(value, base);
  if (signature === Signature.archive) return hashArchive(value, base);
  return hashAssets(value, base);
}

async function hashAsset(asset: PropertyMap, base: string): Promise<PropertyMap> {
  const { text, path, uri } = asset;
  // The SDK sends keys of its own along, which Pulumi does not keep.
  const mark = { [SIGNATURE_KEY]: Signature.asset };
  if (typeof path === "string") return { ...mark, path, hash: digest(await read(localPath(base, path))) };
  if (typeof text === "string" && uri === undefined)
    return { ...mark, text, hash: digest(Buffer.from(text)) };
  throw new EngineError("remote assets are not supported by the embedded engine");
}

async function hashArchive(archive: PropertyMap, base: string): Promise<PropertyMap> {
  if (typeof archive["path"] !== "string") {
    throw new EngineError(
      "asset archives and remote archives are not supported by the embedded engine: use a FileArchive",
    );
  }
  const path = localPath(base, archive["path"]);
  const content = (await stat(path)).isDirectory() ? await directoryDigest(path) : digest(await read(path));
  return { [SIGNATURE_KEY]: Signature.archive, path: archive["path"], hash: content };
}

/** Where the path of an asset is; a trailing slash stays, for it has a meaning to CopyToRemote. */
export function localPath(base: string, path: string): string {
  return path.startsWith("/") ? path : join(base, path);
}

/** The digest of a directory: that of the archive which Pulumi makes of its files. */
async function directoryDigest(root: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of await filesBelow(root, "")) {
    const content = await read(join(root, name));
    hash.update(tarHeader(name, content.length)).update(content).update(tarPadding(content.length));
  }
  return hash.update(TAR_END).digest("hex");
}

/** The files of a directory and those below it, each directory's entries by name; Pulumi's own are left out. */
async function filesBelow(root: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of (await readdir(join(root, prefix))).sort()) {
    const name = prefix === "" ? entry : `${prefix}/${entry}`;
    const found = await lstat(join(root, name));
    if (entry === ".pulumi") continue;
    if (found.isDirectory()) names.push(...(await filesBelow(root, name)));
    // A link to a file counts as the file; one to a directory is left out.
    else if (!found.isSymbolicLink() || !(await stat(join(root, name))).isDirectory()) names.push(name);
  }
  return names;
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new EngineError(`an asset cannot be read: ${messageOf(error)}`);
  }
}

function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
