import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { hostKeyFrom } from "../../components/host-key";
import { cloudConfig } from "../../components/user-data";
import { checkUserData, type CloudInit, installCloudInit } from "../support/cloud-init";

/*
 * What a new machine is told, read by the real cloud-init of Debian's: the sandbox obeys user data by a reading of its own
 * (sandbox/aws/instances/cloud-config.ts).
 */

jest.setTimeout(600_000);

let directory: string;
let cloudInit: CloudInit;

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "user-data-"));
  cloudInit = await installCloudInit();
});
afterAll(() => fs.rmSync(directory, { recursive: true }));

function userData(): string {
  const { privateKey, publicKey } = hostKeyFrom("a secret of this test alone");
  return cloudConfig({
    ...{ hostPrivateKey: privateKey, hostPublicKey: publicKey },
    ...{ user: "admin", authorizedKey: publicKey },
  });
}

async function check(text: string): Promise<string> {
  const file = path.join(directory, "user-data");
  fs.writeFileSync(file, text);
  return checkUserData(cloudInit, file);
}

test("cloud-init takes the user data of a machine that the stack makes", async () => {
  expect(await check(userData())).toBe("");
});

test.each([
  ["no first line", (text: string) => text.replace("#cloud-config\n", ""), /header|cloud-config/],
  [
    "a user's lock that is a word",
    (text: string) => text.replace("lock_passwd: true", "lock_passwd: lock"),
    /users/,
  ],
  [
    "keys that are no list",
    (text: string) => text.replace(/ssh_authorized_keys:\n\s+- /, "ssh_authorized_keys: "),
    /users/,
  ],
  [
    "a kind of key that there is not",
    (text: string) => text.replace("ed25519_private", "ed25520_private"),
    /ssh_keys/,
  ],
  [
    "a flag that is a list",
    (text: string) => text.replace("disable_root: true", "disable_root: [yes]"),
    /disable_root/,
  ],
])("cloud-init refuses %s", async (_what, broken, message) => {
  const text = broken(userData());
  expect(text).not.toBe(userData());
  expect(await check(text)).toMatch(message);
});
