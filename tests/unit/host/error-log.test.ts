import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { linesSince, markLog, portTaken } from "../../../host/conductor/processes/error-log";
import { removeDirectories, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

const newLog = (): string => join(temporaryDirectory(), "green_error.log");

it("tells what was written since, and nothing of before", async () => {
  const file = newLog();
  writeFileSync(file, "yesterday\n");
  const mark = await markLog(file);
  expect(await linesSince(mark)).toEqual([]);
  appendFileSync(file, "Error: one\n\n    at two\n");
  expect(await linesSince(mark)).toEqual(["Error: one", "    at two"]);
});

it("takes a log that is not there for an empty one", async () => {
  const file = newLog();
  const mark = await markLog(file);
  expect(await linesSince(mark)).toEqual([]);
  writeFileSync(file, "first\n");
  expect(await linesSince(mark)).toEqual(["first"]);
});

it("reads a log from its start that was cut since", async () => {
  const file = newLog();
  writeFileSync(file, "a long line of yesterday\n");
  const mark = await markLog(file);
  writeFileSync(file, "new\n");
  expect(await linesSince(mark)).toEqual(["new"]);
});

it("tells the last twenty lines, of however many", async () => {
  const file = newLog();
  const mark = await markLog(file);
  writeFileSync(file, Array.from({ length: 50_000 }, (_, line) => `line ${line}\n`).join(""));
  const lines = await linesSince(mark);
  expect(lines).toHaveLength(20);
  expect([lines.at(0), lines.at(-1)]).toEqual(["line 49980", "line 49999"]);
});

it.each([
  ["Error: listen EADDRINUSE: address already in use 127.0.0.1:3002", "3002"],
  ["Error: bind EADDRINUSE :::3001", "3001"],
  ["Error: bind EADDRINUSE null:3002", "3002"],
  ["  code: 'EADDRINUSE',\n  errno: -98,\n  port: 3003", "3003"],
])("names the port that is taken: %j", (text, port) => {
  expect(portTaken(text.split("\n"))).toContain(`port ${port} is taken`);
});

it("says nothing of ports where none is taken", () => {
  expect(portTaken(["Error: connect ECONNREFUSED 127.0.0.1:5432"])).toBeNull();
});
