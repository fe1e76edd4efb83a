import { join } from "node:path";
import { run } from "../../../sandbox/command";
import { ensureImage } from "../../../sandbox/image/image";
import { repositoryRoot } from "../../../sandbox/repository";
import { installS3 } from "../../../sandbox/s3";
import { installStripeMock } from "../../../sandbox/stripe/stripe-mock";

/**
 * Brings what nearly every end-to-end suite needs and a new machine has not: the build, the hosts' image, the emulator of AWS, the
 * mock of Stripe. Here no suite's limit counts, for how long that takes is the network's to say; and nothing that one file
 * runs is made anew for another beside it.
 */
export default async function setUp(): Promise<void> {
  await run(["bash", "-c", '. "$1"; setup_node', "bash", join(repositoryRoot(), "bin", "lib", "setup")]);
  await ensureImage();
  await installS3();
  await installStripeMock();
}
