import * as fs from "node:fs";
import { Agent } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";

import { AWS_REGION, EMULATOR_OWNER } from "../emulator";
import { evaluateAlarms } from "./evaluator";

/** How often alarms are looked at, in milliseconds; the shortest period of one is 10 seconds. */
const EVERY_MS = 2000;

/** Evaluates the emulator's alarms until it is ended. Takes the emulator's URL and its authority's file. */
async function main(): Promise<void> {
  const [, , endpoint, authorityFile] = process.argv;
  if (endpoint === undefined || authorityFile === undefined)
    throw new Error("usage: alarm-evaluator.js URL AUTHORITY");
  const httpsAgent = new Agent({ ca: fs.readFileSync(authorityFile), keepAlive: true });
  const client = new CloudWatchClient({
    region: AWS_REGION,
    endpoint,
    // As Amazon's own evaluation, it needs nobody's leave.
    credentials: EMULATOR_OWNER,
    requestHandler: { httpsAgent },
  });
  const told = new Set<string>();
  for (;;) {
    for (const fault of await evaluateAlarms(client, Date.now()).catch((error: unknown) => [String(error)])) {
      if (!told.has(fault)) process.stderr.write(`${fault}\n`);
      told.add(fault);
    }
    await sleep(EVERY_MS);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
