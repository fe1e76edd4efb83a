import type { SiteStatus } from "../../../host/conductor/protocol";
import { site } from "./support/answers";
import { ops } from "./support/surroundings";

const aborted: SiteStatus = {
  ...site,
  effectiveWeight: 0,
  aborted: { colour: "green", reason: "payments fail", at: "2026-03-01T12:00:00Z" },
  colours: { ...site.colours, green: { ...site.colours.green, admitted: false } },
};
/** After `ack` the candidate's share is nobody. */
const acknowledged: SiteStatus = {
  ...aborted,
  aborted: null,
  traffic: { ...site.traffic, weight: 0 },
};
const host = { abort: { result: aborted }, ack: { result: acknowledged } };

it("sends the abort with its reason, waits for no build, and shows what is in force", async () => {
  const { code, sent, stdout, stderr } = await ops(["abort", "--reason", "payments fail"], { host });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(sent).toMatchObject([{ act: { act: "abort", reason: "payments fail" }, isPatient: false }]);
  expect(stdout).toBe(`vehicleservice on root@10.77.1.2:22

site           open
stable         blue
canary weight  5 % asked, 0 % in effect
aborted        green, since 2026-03-01T12:00:00Z: payments fail
under way      nothing

       VERSION  COMMIT        SHARE  HEALTH   USERS         ENVIRONMENT
blue   v0.9.9   ab12ab12ab12  100 %  healthy  admitted      current
green  v1.0.0   cd34cd34cd34  0 %    healthy  testers only  current
`);
});

it("needs no reason: in the night there is none yet", async () => {
  const { code, sent } = await ops(["abort"], { host });
  expect(code).toBe(0);
  expect(sent).toMatchObject([{ act: { act: "abort", reason: "by `ops abort`, without a reason" } }]);
});

it("hands on a reason as it is, whatever a shell would make of it, and in no argument", async () => {
  const reason = `it's "$(down)"; \\ \`x\``;
  const { sent } = await ops(["abort", "--reason", reason], { host });
  expect(sent[0]!.act).toEqual({ act: "abort", reason });
  expect(sent[0]!.command).not.toContain("down");
});

it("lifts it, and shows that the candidate has nobody", async () => {
  const { code, sent, stdout } = await ops(["ack"], { host });
  expect(code).toBe(0);
  expect(sent).toMatchObject([{ act: { act: "ack" }, isPatient: false }]);
  expect(stdout).toContain("canary weight  0 % asked, 0 % in effect\naborted        no\n");
});

it.each([
  [["abort"], aborted],
  [["ack"], acknowledged],
])("prints one document for %j with --json", async (argv, result) => {
  const { stdout } = await ops([...argv, "--json"], { host });
  expect(JSON.parse(stdout)).toEqual({ app: "vehicleservice", host: "root@10.77.1.2:22", site: result });
});
