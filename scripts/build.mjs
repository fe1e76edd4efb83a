/**
 * Builds everything that runs without the TypeScript sources beside it, into `dist/`:
 *   engine.js, ops.js, sandbox.js, load.js, ci.js, bootstrap-state.js   programs of this machine
 *   offline-values.js                what an offline plan shows in the place of the config's placeholders
 *   drift-provider.js, stripe-provider.js, supabase-provider.js   what Pulumi's process for dynamic providers loads
 *   aws-plugin.js                    the sandbox's stand-in for Pulumi's AWS provider
 *   alarm-evaluator.js               evaluates the alarms of the sandbox's AWS
 *   alarm-subscriber.js              is told of them
 *   instance-metadata.js             metadata service of the sandbox's instances
 *   stripe-stand-in.js               the sandbox's stand-in for Stripe's API
 *   supabase-stand-in.js             the sandbox's stand-in for Supabase's APIs
 *   host/, host.tar                  what a host gets; the archive is the same for the same sources
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { buildEngine } from "../engine/build.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const common = { bundle: true, platform: "node", format: "cjs", logLevel: "warning", sourcemap: "linked" };

await buildEngine(resolve("dist"));

/** Programs of this machine find their packages in node_modules. */
for (const [name, entry] of Object.entries({
  "bootstrap-state": "scripts/state/main.ts",
  ci: "scripts/ci/main.ts",
  load: "sandbox/load/main.ts",
  ops: "operations/main.ts",
  sandbox: "sandbox/main.ts",
  "stripe-stand-in": "sandbox/stripe/main.ts",
  "supabase-stand-in": "sandbox/supabase/main.ts",
})) {
  await build({
    ...common,
    entryPoints: [entry],
    outfile: `dist/${name}.js`,
    target: "node24",
    packages: "external",
  });
}

/** The providers of the program's own, and what an offline plan asks. Runs wait for them: one file each is loaded quicker than its packages' hundreds. */
for (const [name, entry] of Object.entries({
  "drift-provider": "components/drift-provider.ts",
  "offline-values": "scripts/plan/values.ts",
  "stripe-provider": "components/stripe-provider.ts",
  "supabase-provider": "components/supabase-provider.ts",
})) {
  await build({
    ...common,
    entryPoints: [entry],
    outfile: `dist/${name}.js`,
    target: "node24",
    // It comes with a binary of its own.
    external: ["ssh2"],
  });
}

/** The sandbox's AWS. Its clients are large, and required as they are published, each is one file. */
for (const [name, entry] of Object.entries({
  "alarm-evaluator": "sandbox/aws/alarms/main.ts",
  "alarm-subscriber": "sandbox/aws/subscriber/main.ts",
  "instance-metadata": "sandbox/aws/instances/metadata-main.ts",
})) {
  await build({
    ...common,
    entryPoints: [entry],
    outfile: `dist/${name}.js`,
    target: "node24",
    packages: "external",
    supported: { "dynamic-import": false },
  });
}

/** Every run waits for its start: it holds of its packages what it uses, and no more. */
await build({
  ...common,
  entryPoints: ["sandbox/aws/plugin/main.ts"],
  outfile: "dist/aws-plugin.js",
  target: "node24",
  mainFields: ["module", "main"],
  external: ["esbuild", "ssh2"],
});

/** A host has nothing but Node: its programs hold everything. */
rmSync("dist/host", { recursive: true, force: true });
mkdirSync("dist/host", { recursive: true });
for (const [name, entry] of Object.entries({
  acme: "host/acme/main.ts",
  conductor: "host/conductor/main.ts",
  database: "host/database/main.ts",
  launcher: "host/launcher/launcher.ts",
  monitoring: "host/monitoring/main.ts",
})) {
  await build({
    ...common,
    entryPoints: [entry],
    outfile: `dist/host/${name}.js`,
    target: "node22",
    sourcemap: false,
  });
}
// The parser of SQL; its program looks for it beside itself.
cpSync("node_modules/libpg-query/wasm/libpg-query.wasm", "dist/host/libpg-query.wasm");
for (const folder of ["bin", "bootstrap", "pm2", "systemd"]) {
  cpSync(`host/${folder}`, `dist/host/${folder}`, { recursive: true });
}
mkdirSync("dist/host/nginx");
for (const file of ["control.js", "front-door.js", "metrics.js", "nginx.conf", "refusal.js", "split.js"]) {
  cpSync(`host/nginx/${file}`, `dist/host/nginx/${file}`);
}
const deterministic = [
  "--sort=name",
  "--mtime=@0",
  "--owner=0",
  "--group=0",
  "--numeric-owner",
  "--mode=u=rwX,go=rX",
];
execFileSync("tar", ["--create", "--file=dist/host.tar", ...deterministic, "--directory=dist/host", "."]);
writeFileSync("dist/.built", "");
