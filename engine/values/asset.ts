import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../errors";
import { isMap, signatureOf, Signature, type PropertyMap, type PropertyValue } from "./property";

/**
 * Gives every asset and archive in the properties its hash, computed from the content as it is now, so that a changed
 * file shows as a changed input. `base` is where relative paths start: the program's directory.
 */
export async function hashAssets(properties: PropertyMap, base: string): Promise<PropertyMap> {
  const entries = await Promise.all(
    Object.entries(properties).map(async ([key, value]): Promise<[string, PropertyValue]> => [key, await hashIn(value, base)]),
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
  if (typeof path === "string") return { ...asset, hash: digest(await read(localPath(base, path))) };
  if (typeof text === "string" && uri === undefined) return { ...asset, hash: digest(Buffer.from(text)) };
  throw new EngineError("remote assets are not supported by the embedded engine");
}

async function hashArchive(archive: PropertyMap, base: string): Promise<PropertyMap> {
  if (typeof archive["path"] !== "string") {
    throw new EngineError("asset archives and remote archives are not supported by the embedded engine: use a FileArchive");
  }
  const path = localPath(base, archive["path"]);
  const content = (await stat(path)).isDirectory() ? await directoryDigest(path) : digest(await read(path));
  return { ...archive, hash: content };
}

/** Where the path of an asset is; a trailing slash stays, for it has a meaning to CopyToRemote. */
export function localPath(base: string, path: string): string {
  return path.startsWith("/") ? path : join(base, path);
}

/** The digest of a directory: of all its files, each by its relative name and its content. */
async function directoryDigest(root: string): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replace(/^\/+/, ""))
    .sort();
  for (const name of names) {
    const content = await read(join(root, name));
    hash.update(`${name}\0${String(content.length)}\0`).update(content);
  }
  return hash.digest("hex");
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
