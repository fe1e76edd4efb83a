import * as fs from "node:fs";
import { Agent, createServer } from "node:https";

import { ConfirmSubscriptionCommand, SNSClient } from "@aws-sdk/client-sns";

import { AWS_REGION, EMULATOR_OWNER } from "../emulator";
import type { SubscriberSettings, Told } from "./subscriber";

/** What SNS posts (https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html). */
interface Posted {
  readonly Type: string;
  readonly TopicArn: string;
  readonly Token?: string;
  readonly Message?: string;
}

/**
 * Somebody on call: an HTTPS server that says yes to every subscription of a topic to it, and writes down what it is told, a line
 * of JSON each. Takes the file with its settings, and runs until it is ended.
 */
function main(): void {
  const [, , file] = process.argv;
  if (file === undefined) throw new Error("usage: alarm-subscriber.js SETTINGS");
  const settings = JSON.parse(fs.readFileSync(file, "utf8")) as SubscriberSettings;
  const { address, port, certificate, key, emulator, authorityFile, told } = settings;
  const sns = new SNSClient({
    region: AWS_REGION,
    endpoint: emulator,
    credentials: EMULATOR_OWNER,
    requestHandler: { httpsAgent: new Agent({ ca: fs.readFileSync(authorityFile) }) },
  });
  const server = createServer(
    { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        // As SNS wants it: taken first, worked on afterwards.
        response.end();
        take(sns, told, Buffer.concat(chunks).toString()).catch((error: unknown) => {
          process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        });
      });
    },
  );
  server.listen(port, address);
}

async function take(sns: SNSClient, file: string, text: string): Promise<void> {
  const { Type, TopicArn, Token, Message = "" } = JSON.parse(text) as Posted;
  if (Type === "SubscriptionConfirmation") {
    await sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token }));
    return;
  }
  const { AlarmName, NewStateValue, NewStateReason, AlarmDescription } = JSON.parse(Message) as Record<
    string,
    string | undefined
  >;
  const line: Told = {
    topic: TopicArn.slice(TopicArn.lastIndexOf(":") + 1),
    alarm: AlarmName ?? "",
    state: NewStateValue ?? "",
    reason: NewStateReason ?? "",
    description: AlarmDescription ?? "",
  };
  fs.appendFileSync(file, `${JSON.stringify(line)}\n`);
}

main();
