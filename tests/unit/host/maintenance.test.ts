import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { MaintenanceAct, SiteStatus } from "../../../host/conductor/protocol";
import { encodeRoute, routeOf } from "../../../host/conductor/site";
import { FakeHost, outline } from "./support/fake-host";
import { pathsUnder, removeDirectories, serving, siteOf } from "./support/fixtures";

afterAll(removeDirectories);

const maintenance = (on: boolean): MaintenanceAct => ({ act: "maintenance", on });
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });

it("closes the door in the truth and in Nginx, and opens it, without touching anything else", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  const open = host.route;
  const progress: string[] = [];
  const tell = (line: string): void => void progress.push(line);
  expect(await conductor.take(maintenance(true), tell)).toEqual({ maintenance: true });
  expect(host.route).toBe(encodeRoute({ ...routeOf(canary), closed: true }));
  expect((await conductor.take({ act: "status" }, tell)) as SiteStatus).toMatchObject({
    maintenance: true,
    closed: true,
  });
  expect(await conductor.take(maintenance(false), tell)).toEqual({ maintenance: false });
  expect(host.route).toBe(open);
  expect(store.site.maintenance).toBe(false);
  expect(outline(host.events)).toEqual(["route blue 75 green 25"]);
  expect(progress).toEqual([
    "the site is closed to users",
    "the site is open, as far as the conductor is asked",
  ]);
});

it("does nothing where all is as asked, and tells a front door again that does something else", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become({ ...canary, maintenance: true });
  const { generation } = store.site;
  await conductor.take(maintenance(true), () => undefined);
  expect(outline(host.events)).toEqual([]);
  host.route = "blue 2500 1 1 1 0";
  await conductor.take(maintenance(true), () => undefined);
  expect(host.route).toBe(encodeRoute(routeOf(store.site)));
  expect(store.site.generation).toBe(generation);
});

it("holds over a start of the conductor, and over every other act", async () => {
  const host = new FakeHost();
  const first = await host.become(canary);
  await first.conductor.take(maintenance(true), () => undefined);
  host.route = null;
  const { conductor, store } = await host.start();
  host.route = "blue 0 0 0 0 0";
  await conductor.recover(() => undefined);
  expect(host.route).toMatch(/ 1$/);
  await conductor.take({ act: "traffic", stable: "blue", weight: 50 }, () => undefined);
  await conductor.take({ act: "abort", reason: "payments fail" }, () => undefined);
  expect(host.route).toMatch(/ 1$/);
  expect(store.site.maintenance).toBe(true);
});

it("is recorded, and says so, where no Nginx runs", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  host.route = null;
  await expect(conductor.take(maintenance(true), () => undefined)).rejects.toThrow(
    "Nginx does not run; maintenance on is recorded and holds from its start (`systemctl start nginx`)",
  );
  expect(store.site.maintenance).toBe(true);
});

it("tells that the file keeps the site closed", async () => {
  const host = new FakeHost();
  const { conductor } = await host.become({ ...canary, maintenance: true });
  const { maintenanceFile } = pathsUnder(host.directory);
  mkdirSync(dirname(maintenanceFile), { recursive: true });
  writeFileSync(maintenanceFile, "");
  const progress: string[] = [];
  await conductor.take(maintenance(false), (line) => progress.push(line));
  expect(progress).toEqual([
    "the site is open, as far as the conductor is asked",
    `and yet it is closed, by the file ${maintenanceFile}; remove that to open it`,
  ]);
});

it("closes nothing where nobody serves yet, and holds from the first traffic on", async () => {
  const host = new FakeHost();
  const { conductor } = await host.become(siteOf({ blue: serving("v1") }, null));
  const progress: string[] = [];
  await conductor.take(maintenance(true), (line) => progress.push(line));
  expect(progress).toEqual(["nobody serves yet; this holds from the first traffic on"]);
  await conductor.take({ act: "traffic", stable: "blue", weight: 0 }, () => undefined);
  expect(host.route).toMatch(/^blue 0 \d+ 0 0 1$/);
});
