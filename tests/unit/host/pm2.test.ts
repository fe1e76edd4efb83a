import { parseInstances } from "../../../host/conductor/processes/pm2";

const list = JSON.stringify([
  { pm_id: 0, pid: 11, pm2_env: { status: "online", PORT: "3002" } },
  { pm_id: 1, pid: 0, pm2_env: { status: "stopped", NODE_APP_INSTANCE: 1 } },
]);

it.each([
  ["alone", list],
  ["behind words for people", `[PM2] Spawning PM2 daemon\n[PM2] PM2 Successfully daemonized\n${list}`],
])("reads the list of instances, %s", (_, output) => {
  expect(parseInstances(output, "shop-pm2 blue jlist")).toEqual([
    { id: 0, number: 0, status: "online" },
    { id: 1, number: 1, status: "stopped" },
  ]);
});

it("takes an empty list for none", () => {
  expect(parseInstances("[]\n", "shop-pm2 blue jlist")).toEqual([]);
});

it.each(["", "no list", "[{}]", "[PM2] nothing else"])("names %j as no list", (output) => {
  expect(() => parseInstances(output, "shop-pm2 blue jlist")).toThrow(
    "PM2 does not list its instances; see `shop-pm2 blue jlist`",
  );
});
