import { validate } from "../../config";
import { ConfigError, nearest, type Path, shown } from "../../config/faults";
import { changed, faultsOf, machineWith, newPrivateKey, rawConfig, settings } from "./support/configuration";

describe("the message", () => {
  const messageOf = (values: Record<string, unknown>, encrypted: readonly string[] = []): string => {
    try {
      validate(rawConfig(values, encrypted), machineWith());
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    throw new Error("the configuration is valid");
  };

  it("shows key, value, rule and remedy", () => {
    expect(messageOf(changed(settings(), ["greenVersion"], "v1.0.0; rm -rf /"))).toBe(
      [
        "1 fault in the configuration of stack test; nothing was changed.",
        "",
        "  vehicleservice:greenVersion",
        '    value   "v1.0.0; rm -rf /"',
        "    rule    it has to be a version such as v1.0.0 or 1.2.3-rc.1, or empty to retire the colour",
        "    remedy  pulumi config set greenVersion v1.0.0",
        "",
      ].join("\n"),
    );
  });

  it.each<[string, Path, unknown, string]>([
    ["a value in a group", ["host", "address"], "a b", "pulumi config set --path host.address 203.0.113.10"],
    [
      "an element",
      ["site", "domains", 0],
      "a b",
      "pulumi config set --path 'site.domains[0]' www.example.com",
    ],
    [
      "a list",
      ["site", "domains"],
      [],
      "write `domains: [www.example.com]` under vehicleservice:site in Pulumi.test.yaml",
    ],
    [
      "a secret",
      ["testerSecret"],
      "short",
      'pulumi config set --secret testerSecret "$(openssl rand -hex 16)"',
    ],
    [
      "a mistyped key",
      ["site", "drainSecond"],
      3,
      "did you mean site.drainSeconds? pulumi config rm --path site.drainSecond",
    ],
    ["a mistyped lever", ["canarywheight"], "3", "did you mean canaryWeight? pulumi config rm canarywheight"],
    ["a key like no other", ["colour"], "x", "pulumi config rm colour"],
  ])("says what to type for %s", (_, path, value, remedy) => {
    expect(faultsOf(changed(settings(), path, value))[0]?.remedy).toBe(remedy);
  });

  it.each<[string, Path, string, readonly string[]]>([
    ["a secret", ["testerSecret"], "hidden'value", []],
    ["a private key", ["hostPrivateKey"], "hidden", []],
    ["a value that the stack encrypts", ["site", "domains", 0], "hidden value", ["site"]],
    ["a password in a URL", ["source", "repository"], "https://me:hidden@git.example.com/a", []],
    ["a private key in the wrong place", ["host", "privateKeyFile"], `${newPrivateKey()}hidden`, []],
  ])("shows no %s", (_, path, value, encrypted) => {
    const message = messageOf(changed(settings(), path, value), encrypted);
    expect(message).toContain("[secret]");
    expect(message).not.toContain("hidden");
  });

  it.each<[Path, string, string]>([
    [["host", "address"], "[host-address]", "[host-address]"],
    [["site", "domains", 0], "production.yourdomain.com", "yourdomain.com"],
    [["source", "repository"], "https://github.com/your-org/vehicleservice.git", "your-org"],
  ])("names the guide's placeholder in %p", (path, value, placeholder) => {
    expect(faultsOf(changed(settings(), path, value))[0]?.rule).toContain(
      `your own value in place of the guide's placeholder ${placeholder}:`,
    );
  });

  it.each<[unknown, string]>([
    ["a\u001b[31mb", '"a\\u001b[31mb"'],
    ["a\u202eb\u200b", '"a\\u202eb\\u200b"'],
    ["x".repeat(500), `"${"x".repeat(79)}... (502 characters)`],
    [undefined, "(not set)"],
    [["a"], '["a"]'],
  ])("shows %j as %s", (value, text) => {
    expect(shown(value, false)).toBe(text);
  });

  it.each([
    ["drainSecond", "drainSeconds"],
    ["GREENVERSION", "greenVersion"],
    ["zzz", undefined],
  ])("takes %s for %s", (word, meant) => {
    expect(nearest(word, ["drainSeconds", "greenVersion", "port"])).toBe(meant);
  });
});
