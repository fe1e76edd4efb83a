/** The entry of `bin/ci`. */
import { runSteps } from "./program";

void runSteps(process.argv.slice(2), {
  environment: process.env,
  log: (line) => void process.stdout.write(`${line}\n`),
  now: () => new Date(),
}).then((code) => {
  process.exitCode = code;
});
