import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { StripeStandIn } from "./stand-in";
import { StripeMock } from "./stripe-mock";

/*
 * The stand-in as a program: stripe-stand-in.js <settings file>. It listens until it is ended, and keeps its endpoints in a
 * file, so that they outlive it. The settings hold a key, which so does not stand in its arguments.
 */

/** What the file holds, as JSON. */
export interface StandInSettings {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** Program and socket of stripe-mock. */
  readonly mock: { readonly program: string; readonly socket: string };
  /** File that account and endpoints are kept in. */
  readonly state: string;
}

async function main(): Promise<void> {
  const [, , file] = process.argv;
  if (file === undefined) throw new Error("usage: stripe-stand-in.js <settings file>");
  const settings = JSON.parse(readFileSync(file, "utf8")) as StandInSettings;
  const { key, address, port, state: kept } = settings;
  const mock = await StripeMock.start(settings.mock.program, settings.mock.socket);
  const save = () => {
    const next = `${kept}.next`;
    writeFileSync(next, standIn.state.text(), { mode: 0o600 });
    renameSync(next, kept);
  };
  const standIn = await StripeStandIn.start({ key, address, port, mock, onAnswer: save });
  if (existsSync(kept)) standIn.state.read(readFileSync(kept, "utf8"));
  process.once("SIGTERM", () => {
    void Promise.all([standIn.stop(), mock.stop()]);
  });
}

main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exitCode = 1;
});
