import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { nginxChallengeDoor } from "../../../host/acme/challenge-door";
import { removeDirectories, temporaryDirectory } from "../host/support/fixtures";

afterAll(removeDirectories);

const TOKEN = "a-token_of-128-bits-or-more";
const servers: Server[] = [];
afterEach(() =>
  Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))),
);

/** A front door that answers a request for a file of `directory`, or something else; returns its port. */
async function frontDoor(directory: string, answer?: string): Promise<{ port: number; hosts: string[] }> {
  const hosts: string[] = [];
  const server = createServer((request, response) => {
    hosts.push(request.headers.host ?? "");
    const file = join(directory, (request.url ?? "").replace("/.well-known/acme-challenge/", ""));
    if (answer !== undefined) response.end(answer);
    else if (existsSync(file)) response.end(readFileSync(file));
    else response.writeHead(404).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, hosts };
}

it("shows an answer that Nginx's workers may read, asks for it under its name, and hides it", async () => {
  const directory = join(temporaryDirectory(), "acme");
  const { port, hosts } = await frontDoor(directory);
  const door = nginxChallengeDoor(directory, port);
  await door.show("a.test", TOKEN, "the answer");
  expect(hosts).toEqual(["a.test"]);
  expect(statSync(join(directory, TOKEN)).mode & 0o777).toBe(0o644);
  await door.hide(TOKEN);
  expect(readdirSync(directory)).toEqual([]);
});

it("refuses an answer that the front door does not show", async () => {
  const directory = temporaryDirectory();
  const { port } = await frontDoor(directory, "a page of the application's");
  await expect(nginxChallengeDoor(directory, port).show("a.test", TOKEN, "the answer")).rejects.toThrow(
    "this host's own front door answers status 200 on port 80",
  );
});

it("says where no front door answers", async () => {
  const directory = temporaryDirectory();
  const { port } = await frontDoor(directory);
  await new Promise((resolve) => servers.pop()!.close(resolve));
  await expect(nginxChallengeDoor(directory, port).show("a.test", TOKEN, "x")).rejects.toThrow(
    /does not answer on port 80: .*ECONNREFUSED/,
  );
});

it.each(["", "../../../etc/cron.d/x", "a/b/c/d/e/f/g/h/i/j", "short", "a".repeat(300), `${TOKEN}\0`])(
  "writes no file for the token %j",
  async (token) => {
    const directory = temporaryDirectory();
    await expect(nginxChallengeDoor(directory).show("a.test", token, "x")).rejects.toThrow(
      "a token that is none",
    );
    await nginxChallengeDoor(directory).hide(token);
    expect(readdirSync(directory)).toEqual([]);
  },
);
