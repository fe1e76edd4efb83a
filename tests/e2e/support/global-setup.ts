import { ensureImage } from "../../../sandbox/image/image";
import { installS3 } from "../../../sandbox/s3";

/**
 * Brings what nearly every end-to-end suite needs and a new machine has not: the hosts' image, and the AWS emulator. Here no
 * suite's limit counts, for how long that takes is the network's to say.
 */
export default async function setUp(): Promise<void> {
  await ensureImage();
  await installS3();
}
