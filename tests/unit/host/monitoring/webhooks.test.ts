import { appendFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { webhookFigures, type WebhookCounts } from "../../../../host/monitoring/figures/webhooks";
import { removeDirectories, temporaryDirectory } from "../support/fixtures";

/* What becomes of Stripe's events, read off the front door's log of signed requests. */

afterAll(removeDirectories);

const PATH = "/api/hook";
const line = (status: number, { method = "POST", uri = PATH } = {}): string =>
  `${JSON.stringify({ time: "2026-05-05T05:05:00+00:00", method, uri, status, request: "ab" })}\n`;

function logOf(...lines: readonly string[]): string {
  const file = join(temporaryDirectory(), "webhooks.json");
  writeFileSync(file, lines.join(""));
  return file;
}

/** The figures of an interval by name, and where the next one begins. */
async function read(log: string, before: WebhookCounts | null) {
  const { figures, counts } = await webhookFigures(log, PATH, before);
  return { values: Object.fromEntries(figures.map(({ name, value }) => [name, value])), counts };
}

it("begins at the end of the log: what was before is nobody's news", async () => {
  const log = logOf(line(400), line(400));
  const { values, counts } = await read(log, null);
  expect(values).toEqual({ WebhooksRefusedInARow: 0 });
  expect((await read(log, counts)).values).toEqual({ WebhooksRefused: 0, WebhooksRefusedInARow: 0 });
});

it("counts on from interval to interval, at any rate, until one is accepted", async () => {
  const log = logOf();
  let { counts } = await read(log, null);
  let values: Readonly<Record<string, number>>;
  for (const wanted of [1, 2, 3, 4]) {
    appendFileSync(log, line(400));
    ({ values, counts } = await read(log, counts));
    expect(values).toEqual({ WebhooksRefused: 1, WebhooksRefusedInARow: wanted });
  }
  ({ values, counts } = await read(log, counts));
  expect(values).toEqual({ WebhooksRefused: 0, WebhooksRefusedInARow: 4 });
  appendFileSync(log, line(400) + line(200) + line(400));
  expect((await read(log, counts)).values).toEqual({ WebhooksRefused: 2, WebhooksRefusedInARow: 1 });
});

it.each([200, 202, 204])("takes %d for an accepted event", async (status) => {
  const log = logOf();
  const { counts } = await read(log, null);
  appendFileSync(log, line(400) + line(status));
  expect((await read(log, counts)).values).toEqual({ WebhooksRefused: 1, WebhooksRefusedInARow: 0 });
});

it.each([307, 400, 404, 429, 499, 500, 503])(
  "takes %d for a refused one: Stripe does, whoever answers",
  async (status) => {
    const log = logOf();
    const { counts } = await read(log, null);
    appendFileSync(log, line(status));
    expect((await read(log, counts)).values).toEqual({ WebhooksRefused: 1, WebhooksRefusedInARow: 1 });
  },
);

it.each([
  ["another path", line(400, { uri: "/" })],
  ["another method", line(405, { method: "GET" })],
  ["a line that was cut", '{"time":"2026-05-05\n'],
  ["an answer on another path", line(200, { uri: "/api/health" })],
])("does not count %s, and lets it end nothing", async (_, other) => {
  const log = logOf();
  const { counts } = await read(log, null);
  appendFileSync(log, line(400) + other);
  expect((await read(log, counts)).values).toEqual({ WebhooksRefused: 1, WebhooksRefusedInARow: 1 });
});

it("loses nothing over a rotation", async () => {
  const log = logOf(line(200));
  const { counts } = await read(log, null);
  appendFileSync(log, line(400));
  renameSync(log, `${log}.1`);
  // Nobody has written to it for long.
  utimesSync(`${log}.1`, 0, 0);
  writeFileSync(log, line(400));
  expect((await read(log, counts)).values).toEqual({ WebhooksRefused: 2, WebhooksRefusedInARow: 2 });
});

it("reads more than one chunk", async () => {
  const log = logOf();
  const { counts } = await read(log, null);
  writeFileSync(log, line(400).repeat(25_000));
  expect((await read(log, counts)).values.WebhooksRefused).toBe(25_000);
});

it.each([
  ["at first", null],
  ["later", { position: null, refusedInARow: 2 }],
])("says what to do where there is no log, %s, and does not call that well", async (_, before) => {
  const log = join(temporaryDirectory(), "webhooks.json");
  await expect(webhookFigures(log, PATH, before)).rejects.toThrow(
    /webhooks\.json is not there: .*`pulumi up --refresh`/,
  );
});
