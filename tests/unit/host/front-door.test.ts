import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname } from "node:path";
import { nginxFrontDoor, type FrontDoor } from "../../../host/conductor/front-door/front-door";
import { NotRecorded } from "../../../host/conductor/faults";
import type { Paths } from "../../../host/conductor/paths";
import { encodeRoute, routeOf, type Site } from "../../../host/conductor/site";
import { writeDurably } from "../../../host/conductor/system/durable-file";
import type { WriteDurably } from "../../../host/conductor/system/reserve";
import { pathsUnder, removeDirectories, serving, siteOf, temporaryDirectory } from "./support/fixtures";
import { UnixServers } from "./support/unix-server";

const servers = new UnixServers();
afterEach(() => servers.close());
afterAll(removeDirectories);

const canary = (weight: number): Site =>
  siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight });
const route = (site: Site): string => encodeRoute(routeOf(site));

/** What Nginx's control socket does, with its state in sight. */
class Control {
  state = "";
  readonly seen: string[] = [];
  counts: Record<string, number> = {};
  /** What it answers in place of what it took. */
  lie: string | null = null;
  /** What the Nginx starts with that comes after the one that is told first. */
  next: string | null = null;
  /** How many questions it does not answer, first. */
  silence = 0;

  async listen(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true });
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        if (request.method === "PUT") {
          this.seen.push(body);
          this.state = body;
        }
        if (request.method === "GET" && this.silence-- > 0) return;
        const told = { "/counters": JSON.stringify(this.counts), "/metrics": "some_total 1\n" };
        if (request.method === "GET" && this.next !== null) {
          this.state = this.next;
          this.next = null;
        }
        response.end(
          Object.hasOwn(told, request.url ?? "")
            ? told[request.url as keyof typeof told]
            : (this.lie ?? this.state),
        );
      });
    });
    await servers.listen(server, path);
  }
}

it("touches nothing where nobody has said who serves", async () => {
  const { frontDoor, fallback } = make();
  await frontDoor.set(canary(5));
  const before = fallback();
  expect(await frontDoor.set({ ...canary(50), traffic: null })).toBe(true);
  expect(fallback()).toBe(before);
});

function make(isStarting = () => Promise.resolve(false)): {
  paths: Paths;
  frontDoor: FrontDoor;
  control: Control;
  fallback: () => string;
} {
  const paths = pathsUnder(temporaryDirectory());
  mkdirSync(dirname(paths.trafficFallback), { recursive: true });
  return {
    paths,
    frontDoor: nginxFrontDoor(paths, isStarting),
    control: new Control(),
    fallback: () => readFileSync(paths.trafficFallback, "utf8"),
  };
}

it("tells the route to Nginx, and to the file that Nginx starts with", async () => {
  const { paths, frontDoor, control, fallback } = make();
  await control.listen(paths.frontDoor);
  expect(await frontDoor.set(canary(5))).toBe(true);
  expect(control.seen).toEqual([route(canary(5))]);
  expect(fallback()).toBe(`default "${route(canary(5))}";\n`);
  expect(await frontDoor.read()).toBe(route(canary(5)));
});

it("writes the file where no Nginx runs, and says that nobody was told", async () => {
  const { frontDoor, fallback } = make();
  expect(await frontDoor.set(canary(5))).toBe(false);
  expect(fallback()).toContain(route(canary(5)));
  expect(await frontDoor.read()).toBeNull();
});

it("tells the running Nginx what its file has no room for, says so, and writes it as soon as it can", async () => {
  const paths = pathsUnder(temporaryDirectory());
  const control = new Control();
  mkdirSync(dirname(paths.trafficFallback), { recursive: true });
  await control.listen(paths.frontDoor);
  let write: WriteDurably = writeDurably;
  const frontDoor = nginxFrontDoor(
    paths,
    () => Promise.resolve(false),
    (...file) => write(...file),
  );
  await frontDoor.set(canary(50));
  write = () => Promise.reject(new Error("ENOSPC: no space left on device, write"));
  await expect(frontDoor.set(canary(5))).rejects.toThrow(NotRecorded);
  expect(control.state).toBe(route(canary(5)));
  expect(frontDoor.unrecorded).toMatch("ENOSPC");
  // The file holds this one already.
  expect(await frontDoor.set(canary(50))).toBe(true);
  expect(frontDoor.unrecorded).toBeNull();
  write = writeDurably;
  expect(await frontDoor.set(canary(5))).toBe(true);
  expect(readFileSync(paths.trafficFallback, "utf8")).toContain(route(canary(5)));
});

it("tells a Nginx that read the file before, and does not listen yet", async () => {
  const control = new Control();
  control.state = route(canary(50));
  let asked = 0;
  const { paths, frontDoor, fallback } = make(async () => {
    if (++asked === 3) await control.listen(paths.frontDoor);
    return asked < 3;
  });
  expect(await frontDoor.set(canary(5))).toBe(true);
  expect(asked).toBe(3);
  expect(control.state).toBe(route(canary(5)));
  expect(fallback()).toContain(route(canary(5)));
});

it("tells a Nginx again that started after the one that was told had died", async () => {
  const { paths, frontDoor, control } = make();
  await control.listen(paths.frontDoor);
  control.next = route(canary(50));
  expect(await frontDoor.set(canary(5))).toBe(true);
  expect(control.state).toBe(route(canary(5)));
});

it("takes one that is killed while it answers for one that is not there", async () => {
  const { paths, frontDoor } = make();
  mkdirSync(dirname(paths.frontDoor), { recursive: true });
  await servers.listen(
    createServer((request) => request.socket.destroy()),
    paths.frontDoor,
  );
  expect(await frontDoor.set(canary(5))).toBe(false);
});

it("asks a Nginx again that did as it was told, and was too slow to say so", async () => {
  const { paths, frontDoor, control } = make();
  await control.listen(paths.frontDoor);
  control.silence = 1;
  expect(await frontDoor.set(canary(5))).toBe(true);
  expect(control.seen).toEqual([route(canary(5))]);
});

it("fails where Nginx does something else than it was told", async () => {
  const { paths, frontDoor, control } = make();
  await control.listen(paths.frontDoor);
  control.lie = "blue 0 0 0 0";
  await expect(frontDoor.set(canary(5))).rejects.toThrow('and answers "blue 0 0 0 0"');
});

it("tells routes one after the other, so that the last one holds, in both places", async () => {
  const { paths, frontDoor, control, fallback } = make();
  await control.listen(paths.frontDoor);
  const weights = Array.from({ length: 20 }, (_, i) => i * 5);
  await Promise.all(weights.map((weight) => frontDoor.set(canary(weight))));
  expect(control.seen).toEqual(weights.map((weight) => route(canary(weight))));
  expect(control.state).toBe(route(canary(95)));
  expect(fallback()).toContain(route(canary(95)));
});

const open = (pool: string, worker = 7): string => `open|${pool}|${worker}`;

it("counts what has not ended, over all workers", async () => {
  const { paths, frontDoor, control } = make();
  await control.listen(paths.frontDoor);
  expect(await frontDoor.inFlight("green")).toBe(0);
  control.counts = {
    [open("app_green")]: 2,
    [open("app_green", 8)]: 3,
    "app_green|2|0.004": 2,
    "door|d4|0.000": 9,
  };
  expect(await frontDoor.inFlight("green")).toBe(5);
  expect(await frontDoor.inFlight("blue")).toBe(0);
});

it("counts for a colour what may have failed over to it, too", async () => {
  const { paths, frontDoor, control } = make();
  await control.listen(paths.frontDoor);
  control.counts = {
    [open("app_blue")]: 1,
    [open("app_blue_or_green")]: 20,
    [open("app_green_or_blue")]: 300,
    "app_green_or_blue|2|seconds": 5000.5,
  };
  expect(await frontDoor.inFlight("green")).toBe(320);
  expect(await frontDoor.inFlight("blue")).toBe(321);
});

it("hands on what the front door counted", async () => {
  const { paths, frontDoor, control } = make();
  await control.listen(paths.frontDoor);
  expect(await frontDoor.metrics()).toBe("some_total 1\n");
});

it("proves nothing about a site without settings", async () => {
  await expect(make().frontDoor.prove({ ...canary(5), settings: null })).rejects.toThrow("no settings yet");
});
