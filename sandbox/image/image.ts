import * as path from "node:path";

import { run } from "../command";
import { repositoryRoot } from "../repository";

/** Debian suites that a host may have; what each image holds says sandbox/image/layers. */
export type Suite = "forky" | "trixie";

/** An image: directories for an overlay's `lowerdir`, uppermost first. */
export interface Image {
  readonly layers: readonly string[];
}

/** Which image, and who is told. */
export interface ImageOptions {
  /** `forky` by default. */
  readonly suite?: Suite;
  /** Called with a line for each slow step. */
  readonly onProgress?: (line: string) => void;
}

/**
 * Returns a suite's image, made in the cache where it is not there yet: two minutes, once.
 * @throws CommandError with the last lines of what failed.
 */
export async function ensureImage({ suite = "forky", onProgress }: ImageOptions = {}): Promise<Image> {
  const script = path.join(repositoryRoot(), "sandbox", "image", "layers");
  const options = onProgress === undefined ? {} : { onProgress };
  const { stdout } = await run([script, suite], options);
  return { layers: stdout.trimEnd().split("\n") };
}
