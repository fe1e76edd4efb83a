import * as fs from "node:fs";

/**
 * Writes a file of the sandbox's state in one step: who is killed in the middle leaves nothing that cannot be read.
 * @param options.mode of the file; that of any new file by default
 */
export function writeInOneStep(
  file: string,
  content: string,
  options: { readonly mode?: number } = {},
): void {
  fs.writeFileSync(`${file}.new`, content, options);
  fs.renameSync(`${file}.new`, file);
}
