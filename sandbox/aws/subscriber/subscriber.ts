import * as fs from "node:fs";
import * as path from "node:path";

import { waitFor } from "../../processes";
import { freePorts, listens } from "../../reachable";
import { repositoryRoot } from "../../repository";
import { serviceLog, startService } from "../../services";
import type { World } from "../../world";
import type { AwsEmulator } from "../emulator";

/** What the subscriber's program is told. */
export interface SubscriberSettings {
  readonly address: string;
  readonly port: number;
  /** Files with its certificate and key, in PEM. */
  readonly certificate: string;
  readonly key: string;
  /** URL of the emulator, where subscriptions are confirmed, and the authority behind its certificate. */
  readonly emulator: string;
  readonly authorityFile: string;
  /** File that it writes what it is told to. */
  readonly told: string;
}

/** What somebody on call was told: an alarm that changed its state. */
export interface Told {
  /** Name of the topic that it came by. */
  readonly topic: string;
  readonly alarm: string;
  /** `ALARM`, `OK` or `INSUFFICIENT_DATA`. */
  readonly state: string;
  /** Why the state changed, as CloudWatch says it. */
  readonly reason: string;
  /** The alarm's own description. */
  readonly description: string;
}

/** Longest wait for it to listen, in seconds. */
const LISTEN_SECONDS = 60;

/** Name of its service. */
const SERVICE = "aws-subscriber";

/** Somebody who is told of alarms by HTTPS, and confirms every subscription. */
export class Subscriber {
  private constructor(private readonly settings: SubscriberSettings) {}

  /**
   * Starts one beside an emulator, which trusts it by its own certificate. What an earlier one was told is forgotten.
   * @param directory for its settings and what it is told; made
   * @param address one of the emulator's certificate
   */
  static async start(
    world: World,
    { directory, address, emulator }: { directory: string; address: string; emulator: AwsEmulator },
  ): Promise<Subscriber> {
    const { chain, key, authority } = emulator.certificates;
    const [port = 0] = await freePorts(address, 1);
    const settings: SubscriberSettings = {
      ...{ address, port, certificate: chain, key },
      ...{ emulator: emulator.url, authorityFile: authority },
      told: path.join(directory, "told.jsonl"),
    };
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = path.join(directory, "settings.json");
    fs.writeFileSync(file, JSON.stringify(settings));
    const program = path.join(repositoryRoot(), "dist", "alarm-subscriber.js");
    startService(world, SERVICE, [process.execPath, program, file]);
    const log = serviceLog(world, SERVICE);
    await waitFor(`somebody to be told of alarms (see ${log})`, LISTEN_SECONDS, async () =>
      (await listens(address, port)) ? true : undefined,
    );
    return new Subscriber(settings);
  }

  /** Where a severity's alarms are sent to, for a subscription of the protocol https. */
  url(severity: string): string {
    return `https://${this.settings.address}:${String(this.settings.port)}/${severity}`;
  }

  /** What it has been told, oldest first. */
  told(): readonly Told[] {
    if (!fs.existsSync(this.settings.told)) return [];
    // Behind the last line's end there may be a part of one that is being written.
    const lines = fs.readFileSync(this.settings.told, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Told);
  }
}
