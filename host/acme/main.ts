/**
 * Orders one certificate. Started by the conductor as `node acme.js DIRECTORY`: reads `order.json` there, and leaves
 * `privkey.pem` and `fullchain.pem` beside it. Tells progress, and at last a fault, on standard error.
 *
 * A program of its own: the ACME client is several times the conductor's size and is needed a few times a year, and
 * whatever happens to it does not happen to the conductor.
 */
import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { crypto } from "acme-client";
import { writePair } from "../conductor/certificates/store";
import { readIfThere, writeDurably } from "../conductor/system/durable-file";
import { nginxChallengeDoor } from "./challenge-door";
import { acmeServer } from "./client";
import { obtain, type Order } from "./order";

/** A new private key, ECDSA P-256, in PEM. */
function newKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

async function accountKeyIn(file: string): Promise<string> {
  const present = await readIfThere(file);
  if (present !== null) {
    return present;
  }
  const made = newKey();
  await writeDurably(file, made);
  return made;
}

async function main(directory: string): Promise<void> {
  const order = JSON.parse(await readFile(join(directory, "order.json"), "utf8")) as Order;
  const key = newKey();
  const [, request] = await crypto.createCsr({ altNames: [...order.domains] }, key);
  const server = acmeServer(order.directory, await accountKeyIn(order.accountKey), order.authority);
  const door = nginxChallengeDoor(order.challenges);
  const chain = await obtain(order, server, door, request.toString(), (line) => console.error(line));
  await writePair(directory, { chain, key });
}

main(process.argv[2] ?? "").catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
