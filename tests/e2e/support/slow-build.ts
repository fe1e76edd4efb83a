import { appendFileSync } from "node:fs";
import { join } from "node:path";

/** An edit of the plain sample whose build takes at least so many milliseconds, so that it is met before it has ended. */
export function slowBuild(milliseconds: number): (directory: string) => void {
  const wait = `\nAtomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${String(milliseconds)});\n`;
  return (directory) => appendFileSync(join(directory, "build.js"), wait);
}
