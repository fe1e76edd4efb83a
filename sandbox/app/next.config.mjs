// @ts-check
// Not TypeScript: `next start` reads this file as well, after TypeScript has been pruned.
import { readFileSync } from "node:fs";

/** @type {{ version: string }} */
const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

/** @type {import("next").NextConfig} */
export default {
  // Built in, on the server and in the browser: an answer proves which code gave it.
  env: { BUILT_VERSION: `v${version}` },
  // A build of the same version on another machine has the same paths.
  generateBuildId: () => `v${version}`,
  poweredByHeader: false,
};
