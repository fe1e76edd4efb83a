import * as fs from "node:fs";
import { Agent } from "node:https";
import * as os from "node:os";
import * as path from "node:path";

import {
  AWS_REGION,
  AwsEmulator,
  EMULATOR_OWNER,
  installAws,
  type AwsKeys,
} from "../../../sandbox/aws/emulator";
import { worldNamed } from "../../../sandbox/world";

/** AWS for the tests of one file: nothing is in it. */
export class TestAws {
  private constructor(
    private readonly emulator: AwsEmulator,
    /** For files of the test; removed with it. */
    readonly directory: string,
  ) {}

  static async start(): Promise<TestAws> {
    const software = await installAws();
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "aws-"));
    const emulator = await AwsEmulator.start({
      world: worldNamed(),
      software,
      directory: path.join(directory, "emulator"),
    });
    return new TestAws(emulator, directory);
  }

  async remove(): Promise<void> {
    await this.emulator.remove();
    fs.rmSync(this.directory, { recursive: true });
  }

  /** What a program needs to find it by the AWS SDK's own means. */
  environment(keys: AwsKeys = EMULATOR_OWNER): NodeJS.ProcessEnv {
    return {
      AWS_REGION,
      AWS_ENDPOINT_URL: this.emulator.url,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
      NODE_EXTRA_CA_CERTS: this.emulator.authorityFile,
    };
  }

  /** Settings of a client of the AWS SDK. */
  client(keys: AwsKeys & { readonly sessionToken?: string } = EMULATOR_OWNER) {
    const httpsAgent = new Agent({ ca: fs.readFileSync(this.emulator.authorityFile) });
    return {
      region: AWS_REGION,
      endpoint: this.emulator.url,
      forcePathStyle: true,
      credentials: keys,
      maxAttempts: 1,
      requestHandler: { httpsAgent },
    };
  }
}
