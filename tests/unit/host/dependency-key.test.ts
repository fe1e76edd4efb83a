import { dependencyKey, type DependencyInputs } from "../../../host/conductor/releases/dependency-key";

const manifest = (change: object = {}): string =>
  JSON.stringify({
    name: "shop",
    version: "1.0.0",
    scripts: { build: "next build" },
    dependencies: { next: "16.0.0" },
    ...change,
  });

const lock = (version = "1.0.0", packages: object = {}): string =>
  JSON.stringify({
    name: "shop",
    version,
    lockfileVersion: 3,
    packages: { "": { name: "shop", version }, "node_modules/next": { version: "16.0.0" }, ...packages },
  });

const INPUTS: DependencyInputs = {
  install: ["npm", "ci"],
  node: "v24.1.0 linux x64",
  manifest: manifest(),
  lock: lock(),
  files: new Map([
    ["package.json", "a1"],
    ["package-lock.json", "b1"],
    ["app/page.tsx", "c1"],
  ]),
};

const keyWith = (change: Partial<DependencyInputs> = {}): string | null =>
  dependencyKey({ ...INPUTS, ...change });
const withFile = (path: string, hash: string): Partial<DependencyInputs> => ({
  files: new Map([...INPUTS.files, [path, hash]]),
});

it("is a name for a directory", () => {
  expect(keyWith()).toMatch(/^[0-9a-f]{16}$/);
});

it.each<[string, Partial<DependencyInputs>]>([
  ["the application's own version", { manifest: manifest({ version: "1.1.0" }), lock: lock("1.1.0") }],
  ["its source", withFile("app/page.tsx", "c2")],
  ["its build", { manifest: manifest({ scripts: { build: "next build --turbopack" } }) }],
  ["its description", { manifest: manifest({ description: "A shop" }) }],
])("stays the same whatever is new about %s", (_, change) => {
  expect(keyWith(change)).toBe(keyWith());
});

it.each<[string, Partial<DependencyInputs>]>([
  ["a locked package", { lock: lock("1.0.0", { "node_modules/next": { version: "16.0.1" } }) }],
  ["the dependencies", { manifest: manifest({ dependencies: { next: "16.0.1" } }) }],
  ["the development's", { manifest: manifest({ devDependencies: { typescript: "6.0.0" } }) }],
  ["the overrides", { manifest: manifest({ overrides: { next: "16.0.1" } }) }],
  ["Node", { node: "v24.2.0 linux x64" }],
  ["the machine", { node: "v24.1.0 linux arm64" }],
  ["the install", { install: ["npm", "ci", "--omit=dev"] }],
  ["npm's settings", withFile(".npmrc", "d1")],
  ["a patch", withFile("patches/next+16.0.0.patch", "d1")],
  ["the schema that Prisma's install script reads", withFile("prisma/schema.prisma", "d1")],
])("is another one where %s changed", (_, change) => {
  expect(keyWith(change)).not.toBeNull();
  expect(keyWith(change)).not.toBe(keyWith());
});

it.each<[string, Partial<DependencyInputs>]>([
  ["there is no lock file", { lock: null }],
  ["there is no package.json", { manifest: null }],
  ["package.json is none", { manifest: "{" }],
  [
    "the root has an install script, which reads and writes what it likes",
    { manifest: manifest({ scripts: { postinstall: "x" } }) },
  ],
  ["the root has a prepare script", { manifest: manifest({ scripts: { prepare: "husky" } }) }],
  ["npm would compile the root", withFile("binding.gyp", "d1")],
  ["there are workspaces", { manifest: manifest({ workspaces: ["packages/*"] }) }],
  [
    "a package is a folder of the release",
    { lock: lock("1.0.0", { "node_modules/ui": { resolved: "ui", link: true } }) },
  ],
  [
    "a package is an archive of the release",
    { lock: lock("1.0.0", { "node_modules/ui": { resolved: "file:ui.tgz" } }) },
  ],
  ["yarn links a folder", { lock: 'ui@link:./ui:\n  version "0.0.0"\n' }],
  ["the install is a program of its own", { install: ["make", "dependencies"] }],
  ["the install is one of npm's scripts", { install: ["npm", "run", "setup"] }],
  ["pnpm shares by itself", { install: ["pnpm", "install", "--frozen-lockfile"] }],
])("is none where %s", (_, change) => {
  expect(keyWith(change)).toBeNull();
});

it("takes yarn's lock file as it is", () => {
  const yarn = { install: ["yarn", "install", "--frozen-lockfile"] };
  const one = keyWith({ ...yarn, lock: 'next@16.0.0:\n  version "16.0.0"\n' });
  expect(one).not.toBeNull();
  expect(keyWith({ ...yarn, lock: 'next@16.0.0:\n  version "16.0.1"\n' })).not.toBe(one);
});
