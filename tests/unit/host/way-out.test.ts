import { wayOutOf } from "../../../host/conductor/releases/way-out";

const NETWORK = /^the network did not answer: /;

describe("the way out of an install that fails", () => {
  it.each([
    [
      "npm error code ENOTFOUND\nnpm error network request to https://packages.example.com/next failed, reason: getaddrinfo ENOTFOUND packages.example.com",
      "packages.example.com",
    ],
    ["Error: getaddrinfo EAI_AGAIN fonts.googleapis.com.", "fonts.googleapis.com"],
    ["curl: (6) Could not resolve host: binaries.prisma.sh", "binaries.prisma.sh"],
    [
      "npm error network request to https://me:hidden@npm.shop.test:8443/a?token=hidden failed, reason: connect ETIMEDOUT 192.0.2.7:8443",
      "npm.shop.test:8443",
    ],
    ["Error: connect ECONNREFUSED 192.0.2.7:443\n    at TCPConnectWrap", "192.0.2.7:443"],
    ["Error: connect ETIMEDOUT 2001:db8::7:443", "2001:db8::7:443"],
  ])("names the host that was not reached: %s", (output, host) => {
    const wayOut = wayOutOf("install", output);
    expect(wayOut).toMatch(NETWORK);
    expect(wayOut).toContain(`${host} was not reached`);
    expect(wayOut).toContain("the host needs to reach the registry");
    expect(wayOut).toContain(`curl -sSI https://${host}/`);
    expect(wayOut).not.toContain("hidden");
  });

  it.each(["Error: read ECONNRESET", "npm error network This is a problem related to network connectivity."])(
    "says what to check where no host is told: %s",
    (output) => {
      expect(wayOutOf("install", output)).toMatch(/^the network did not answer: a server .*`curl -sSI/);
    },
  );

  it.each(["type error in network.ts", "lib/network/index.js: not found", "no such compiler"])(
    "is no network for: %s",
    (output) => {
      expect(wayOutOf("install", output)).toMatch(/^the install has to pass/);
    },
  );
});

describe("the way out of a build that fails", () => {
  it("says what it does not see", () => {
    expect(wayOutOf("build", "type error")).toMatch(
      /sees no secrets and no DATABASE_URL, neither as variables .*application\.buildVariables.* nor in files/,
    );
  });

  it("says both where a network did not answer: it may have been a database", () => {
    const wayOut = wayOutOf("build", "Error: connect ECONNREFUSED 127.0.0.1:5432");
    expect(wayOut).toMatch(/^the network did not answer: 127\.0\.0\.1:5432, which is this host itself/);
    expect(wayOut).toContain("no DATABASE_URL");
    expect(wayOut).not.toContain("curl");
  });

  it.each(["EROFS: read-only file system, open '/var/www/other'", "touch: x: Read-only file system"])(
    "says where it may write: %s",
    (output) => {
      expect(wayOutOf("build", output)).toMatch(/its own directory, its HOME and the temporary directories/);
    },
  );
});
