import { UndeliveredMessages, type UndeliveredMessage } from "../language/undelivered";

function read(text: string): { lines: string[]; messages: UndeliveredMessage[] } {
  const lines: string[] = [];
  const messages: UndeliveredMessage[] = [];
  const stream = new UndeliveredMessages(
    (line) => lines.push(line),
    (message) => messages.push(message),
  );
  for (const line of text.split("\n")) stream.take(line);
  stream.end();
  return { lines, messages };
}

/** As `log` of `@pulumi/pulumi` writes it to stderr. */
function block(message: string, severity = "error"): string {
  return [
    "failed to deliver log message. ",
    "error: Error: Channel has been shut down ",
    `original message: ${message}`,
    ` message severity: ${severity}`,
  ].join("\n");
}

it("gives the message of a block, and every other line as it is", () => {
  const { lines, messages } = read(`before\n${block("one\n  at two\n  at three", "warning")}\nafter`);
  expect(lines).toEqual(["before", "after"]);
  expect(messages).toEqual([{ text: "one\n  at two\n  at three", severity: "warning" }]);
});

it("reads blocks that follow each other", () => {
  expect(read(`${block("one")}\n${block("two", "info")}`).messages).toEqual([
    { text: "one", severity: "error" },
    { text: "two", severity: "info" },
  ]);
});

it("tells a block that was cut short, or that holds no message, as it came", () => {
  const cut = "failed to deliver log message. \nerror: x";
  expect(read(cut)).toEqual({ lines: cut.split("\n"), messages: [] });
  const empty = "failed to deliver log message. \nerror: x\n message severity: error";
  expect(read(empty)).toEqual({ lines: empty.split("\n"), messages: [] });
});
