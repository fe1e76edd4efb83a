import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { run, type CommandResult } from "../../command";
import { repositoryRoot } from "../../repository";
import { DEFAULT_WORLD } from "../../world";

/* What becomes of an image that cannot be made. That one can be made, all end-to-end tests show. */

let scratch: string;

beforeEach(() => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), "image-"));
});

afterEach(() => fs.rmSync(scratch, { recursive: true }));

/** Asks for an image, with a program of another kind in the place of one that makes it. */
function layers(suite: string, cache: string, mmdebstrap = "exit 0"): Promise<CommandResult> {
  const programs = path.join(scratch, "bin");
  fs.mkdirSync(programs, { recursive: true });
  fs.writeFileSync(path.join(programs, "mmdebstrap"), `#!/bin/sh\n${mmdebstrap}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${programs}:${process.env["PATH"] ?? ""}`, XDG_CACHE_HOME: cache };
  return run([path.join(repositoryRoot(), "sandbox/image/layers"), suite], { env, check: false });
}

it.each([
  ["a suite that is not known", "sid", "cache", /suite sid: forky and trixie are known/],
  ["a cache that an overlay cannot take", "forky", "a cache", /takes no path with .* set XDG_CACHE_HOME/],
])("refuses %s", async (_, suite, cache, told) => {
  const { exitCode, stderr } = await layers(suite, path.join(scratch, cache));
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(told);
  expect(fs.existsSync(path.join(scratch, cache))).toBe(false);
});

it("shows what failed, and takes half a layer for none: the next try begins anew", async () => {
  const cache = path.join(scratch, "cache");
  // As mmdebstrap is called, the directory comes last.
  const half =
    'for target; do :; done; [ ! -e "$target/half" ] || echo "not empty"; touch "$target/half"; echo "E: no archive" >&2; exit 3';
  for (const attempt of [1, 2]) {
    const { exitCode, stdout, stderr } = await layers("trixie", cache, half);
    expect({ attempt, exitCode, stdout }).toEqual({ attempt, exitCode: 3, stdout: "" });
    expect(stderr).toMatch(/making a minimal Debian trixie[^]*E: no archive/);
    expect(stderr).not.toContain("not empty");
    const left = fs.readdirSync(path.join(cache, DEFAULT_WORLD, "layers"));
    expect(left).toEqual([expect.stringMatching(/^base-[0-9a-f]{16}\.unfinished$/)]);
  }
});
