import { join } from "node:path";
import type { Order } from "../../acme/order";
import { filesIn } from "./store";
import { runCommand } from "../system/command";
import { writeDurably } from "../system/durable-file";

/** Longest order, in seconds: a server may take a minute over each of its verdicts. */
const ORDER_SECONDS = 600;

/** How long a placeholder holds, in days. Users never see one: it serves until the first order is done. */
const PLACEHOLDER_DAYS = "30";

/** Where pairs come from. Each leaves its two files in a directory that is there. */
export interface CertificateSource {
  /**
   * Orders a pair.
   * @throws CommandFailed whose last lines hold step, reason and way out.
   */
  order(directory: string, order: Order, tell: (line: string) => void): Promise<void>;
  /** Makes a pair that is signed by itself. */
  placeholder(directory: string): Promise<void>;
}

/**
 * Pairs by the ACME program and by OpenSSL, which Debian's certificates depend on.
 * @param program Path of the ACME program.
 */
export function programsForCertificates(program: string): CertificateSource {
  return {
    async order(directory, order, tell) {
      await writeDurably(join(directory, "order.json"), JSON.stringify(order));
      await runCommand({ argv: [process.execPath, program, directory], timeoutSeconds: ORDER_SECONDS }, tell);
    },
    async placeholder(directory) {
      const { certificate, key } = filesIn(directory);
      await runCommand({
        argv: [
          ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"],
          ...[
            "-subj",
            "/CN=no certificate yet",
            "-days",
            PLACEHOLDER_DAYS,
            "-keyout",
            key,
            "-out",
            certificate,
          ],
        ],
        timeoutSeconds: 30,
      });
    },
  };
}
