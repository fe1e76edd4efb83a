import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { installOnce } from "../../install";
import { withLock } from "../../lock";

let cache: string;
let directory: string;
let made: string[];

beforeEach(() => {
  cache = fs.mkdtempSync(path.join(os.tmpdir(), "install-"));
  directory = path.join(cache, "tool");
  made = [];
});

afterEach(() => fs.rmSync(cache, { recursive: true }));

async function install(version: string): Promise<void> {
  await installOnce(directory, version, () => {
    made.push(version);
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory);
    return Promise.resolve();
  });
}

it("installs once, whoever comes meanwhile, and again for another version", async () => {
  await Promise.all([install("1"), install("1"), install("1")]);
  expect(made).toEqual(["1"]);
  await install("2");
  await install("1");
  expect(made).toEqual(["1", "2", "1"]);
});

it("does not wait for what others install, where it is there", async () => {
  await install("1");
  await withLock(cache, () => install("1"));
  expect(made).toEqual(["1"]);
});

it("installs again what failed, over what is there of another version, too", async () => {
  await install("1");
  const fail = (): Promise<never> => Promise.reject(new Error("no network"));
  await expect(installOnce(directory, "2", fail)).rejects.toThrow("no network");
  await install("1");
  expect(made).toEqual(["1", "1"]);
});
