import * as http from "node:http";
import type { AddressInfo } from "node:net";

import { ConfirmSubscriptionCommand, type SNSClient } from "@aws-sdk/client-sns";

/** Somebody who is told: an HTTP server that says yes to a subscription, and keeps what it gets. */
export class Subscriber {
  /** What it was told, in order; a topic by its name. */
  readonly messages: { readonly topic: string; readonly alarm: string; readonly state: string }[] = [];
  private readonly server: http.Server;

  constructor(private readonly sns: SNSClient) {
    this.server = http.createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        response.end();
        void this.take(JSON.parse(text) as Record<string, string>);
      });
    });
  }

  /** Starts it. Returns its URL. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async take({
    Type,
    TopicArn,
    Token,
    Message,
    SubscribeURL,
  }: Record<string, string>): Promise<void> {
    const topic = TopicArn!.slice(TopicArn!.lastIndexOf(":") + 1);
    if (Type === "SubscriptionConfirmation") {
      // The link leads to where this subscriber can come from.
      expect(SubscribeURL).toMatch(/^https:/);
      await this.sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token }));
      return;
    }
    const { AlarmName, NewStateValue } = JSON.parse(Message!) as Record<string, string>;
    this.messages.push({ topic, alarm: AlarmName!, state: NewStateValue! });
  }
}
