import { open } from "node:fs/promises";
import { join } from "node:path";
import { Failed } from "../faults";
import { filesBelow } from "./assets";
import { isPublicVariable } from "./variables";

/** A finished build, and where in it the files are that browsers load. */
export interface ClientFiles {
  readonly version: string;
  /** Directory of the release. */
  readonly directory: string;
  /** Directory of those files, relative to it; where it is not there, there are none. */
  readonly assets: string;
}

/** Shortest value that is looked for, in characters: a shorter one stands somewhere by chance. */
const SHORTEST = 16;

/** Bytes that are read at once. */
const CHUNK_BYTES = 1024 * 1024;

/** Findings that a message names; the rest are counted. */
const SHOWN = 10;

/** What its maker means for everybody: Sentry's DSN, Stripe's publishable keys and client ids, Supabase's publishable keys. */
const MEANT_FOR_EVERYBODY =
  /^(https:\/\/[0-9a-f]{32}@[a-z0-9.-]+\/\d+|pk_(live|test)_\w+|ca_\w+|sb_publishable_[\w-]+)$/;

/** A value in one of the ways in which a build may write it. */
interface Needle {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * Looks into every file that browsers load for the values that only the server may know: as they are, as a text in
 * JavaScript, in a URL, and in base64.
 * @param variables the release's whole environment; what is in a NEXT_PUBLIC_ variable is everybody's, whatever else holds it
 * @throws Failed that names the variables and the files, never a value
 */
export async function requireNoSecrets(
  { version, directory, assets }: ClientFiles,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const needles = needlesOf(variables);
  if (needles.length === 0) {
    return;
  }
  const found: string[] = [];
  for (const file of await filesBelow(join(directory, assets))) {
    const names = await namesIn(join(directory, assets, file), needles);
    found.push(...names.map((name) => `${name} in ${join(assets, file)}`));
  }
  if (found.length > 0) {
    const more = found.length > SHOWN ? `, and ${String(found.length - SHOWN)} more` : "";
    throw new Failed(
      `${version}: what browsers load holds values that only the server may know: ` +
        `${found.slice(0, SHOWN).join(", ")}${more}\n` +
        "Way out: read such a variable in code of the server only, and take the value out of the source; where everybody may " +
        "know it, give it to a variable whose name begins with NEXT_PUBLIC_",
    );
  }
}

function needlesOf(variables: Readonly<Record<string, string>>): Needle[] {
  const entries = Object.entries(variables);
  const open = entries.filter(([name]) => isPublicVariable(name)).map(([, value]) => value);
  return entries
    .filter(([name]) => !isPublicVariable(name))
    .map(([name, value]) => [name, value.trim()] as const)
    .filter(([, value]) => value.length >= SHORTEST && !MEANT_FOR_EVERYBODY.test(value))
    .filter(([, value]) => !open.some((text) => text.includes(value)))
    .flatMap(([name, value]) => formsOf(value).map((form) => ({ name, bytes: Buffer.from(form) })));
}

function formsOf(value: string): string[] {
  const base64 = Buffer.from(value).toString("base64").replace(/=+$/, "");
  const forms = [
    value,
    JSON.stringify(value).slice(1, -1),
    base64,
    base64.replace(/\+/g, "-").replace(/\//g, "_"),
  ];
  return [...new Set(value.isWellFormed() ? [...forms, encodeURIComponent(value)] : forms)];
}

/** Names of the variables whose values a file holds. Reads it piece by piece: a build may write files of any size. */
async function namesIn(path: string, needles: readonly Needle[]): Promise<string[]> {
  const longest = Math.max(...needles.map(({ bytes }) => bytes.length));
  const names = new Set<string>();
  const buffer = Buffer.alloc(longest + CHUNK_BYTES);
  const file = await open(path, "r");
  try {
    for (let kept = 0; ;) {
      const { bytesRead } = await file.read(buffer, kept, CHUNK_BYTES);
      if (bytesRead === 0) {
        return [...names];
      }
      const piece = buffer.subarray(0, kept + bytesRead);
      for (const { name, bytes } of needles) {
        if (piece.includes(bytes)) {
          names.add(name);
        }
      }
      // What begins here may end in the next piece.
      kept = Math.min(piece.length, longest - 1);
      buffer.copy(buffer, 0, piece.length - kept, piece.length);
    }
  } finally {
    await file.close();
  }
}
