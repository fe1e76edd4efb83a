import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { requireHostName } from "../../hosts/registry";
import { writeSeed } from "../../hosts/seed";
import { cacheDirectory, worldNamed } from "../../world";

it.each(["web", "a", "web-2", "x".repeat(31)])("%j can be a host's name", (name) => {
  expect(() => requireHostName(name)).not.toThrow();
});

it.each(["", "Web", "2web", "-web", "..", "a/b", "a b", "x".repeat(32), "web\n", "$(id)"])(
  "%j cannot",
  (name) => {
    expect(() => requireHostName(name)).toThrow(JSON.stringify(name));
  },
);

it.each(["", "A", "../x", "a b", "a_b", "a;b"])("%j cannot be a world's name", (name) => {
  expect(() => worldNamed(name)).toThrow(JSON.stringify(name));
});

it("keeps two worlds apart in everything that has a name", () => {
  const [one, two] = [worldNamed("one"), worldNamed("two")];
  for (const key of Object.keys(one) as (keyof typeof one)[]) expect(one[key]).not.toBe(two[key]);
});

it.each([
  [{ XDG_CACHE_HOME: "/var/cache/x" }, "/var/cache/x/vehicleservice-sandbox"],
  [{ XDG_CACHE_HOME: "" }, path.join(os.homedir(), ".cache/vehicleservice-sandbox")],
])("with %j the cache is %s", (environment, expected) => {
  const before = process.env["XDG_CACHE_HOME"];
  Object.assign(process.env, environment);
  try {
    expect(cacheDirectory()).toBe(expected);
  } finally {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
  }
});

describe("files for a host", () => {
  let directory: string;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "seed-"));
  });

  afterEach(() => fs.rmSync(directory, { recursive: true }));

  it.each(["relative", "/etc/../../outside", "/etc/./x", "/etc//x"])("%s is refused", async (file) => {
    await expect(writeSeed(directory, "web", { [file]: { content: "" } })).rejects.toThrow(
      JSON.stringify(file),
    );
  });

  it("keep their mode whatever the umask", async () => {
    const before = process.umask(0o077);
    try {
      await writeSeed(directory, "web", {
        "/etc/ssl/key.pem": { content: "k", mode: 0o600 },
        "/etc/motd": { content: "m" },
      });
    } finally {
      process.umask(before);
    }
    const mode = (file: string): string =>
      (fs.statSync(path.join(directory, "seed", file)).mode & 0o777).toString(8);
    expect([mode("etc/ssl/key.pem"), mode("etc/motd"), mode("root/.ssh")]).toEqual(["600", "644", "700"]);
  });

  it("leave the host's private key nowhere else", async () => {
    const hostKey = await writeSeed(directory, "web", {});
    expect(hostKey).toMatch(/^ssh-ed25519 [A-Za-z0-9+/=]+$/);
    expect(fs.readdirSync(directory).sort()).toEqual(["id_ed25519", "id_ed25519.pub", "seed"]);
  });
});
