import * as fs from "node:fs";
import * as path from "node:path";

import { writeInOneStep } from "../../one-step";
import type { World } from "../../world";
import type { Values } from "./properties";

/*
 * What the emulator does not keep of a resource (IPv6 blocks, metadata options, disks, termination protection) and what it
 * cannot know (which network of the sandbox an address is in) is kept beside it: a file a resource, in the world's
 * state, which goes with the world.
 */

/** What is kept of the resource; empty for one that nothing is kept of. */
export function factsOf(world: World, id: string): Values {
  const file = fileOf(world, id);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Values) : {};
}

/** Keeps facts of the resource, over those that are there. Readable by root alone: user data may hold a key. */
export function keepFacts(world: World, id: string, facts: Values): void {
  const file = fileOf(world, id);
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeInOneStep(file, JSON.stringify({ ...factsOf(world, id), ...facts }), { mode: 0o600 });
}

/** Forgets the resource. */
export function dropFacts(world: World, id: string): void {
  fs.rmSync(fileOf(world, id), { force: true });
}

function fileOf(world: World, id: string): string {
  return path.join(world.stateDirectory, "aws", `${id.replaceAll(/[^\w.-]/g, "_")}.json`);
}
