import { z } from "zod";
import { variableName } from "../rules/release";
import { integer, ruled } from "../rules/rule";

/** The group `secrets`: keys of the application that this stack makes itself, one of each for every stack. */

const secretForm = () =>
  ruled(
    z.enum(["base64-32", "hex-32"]),
    "base64-32 or hex-32: 32 bytes in base64, or in hexadecimal",
    "base64-32",
  );

/** Every key of the group `secrets`. A variable of the group `variables` goes before one that is generated. */
export const secrets = z.strictObject({
  /** How the value of each generated variable is written, by name; empty for none. */
  generate: ruled(
    z.record(variableName(), secretForm()).refine((all) => Object.keys(all).length <= 50),
    "names of at most 50 variables, each with base64-32 or hex-32; {} for none",
    "{ ENCRYPTION_KEY: base64-32 }",
  ).default({
    ENCRYPTION_KEY: "base64-32",
    STATE_SECRET: "hex-32",
    NEXT_SERVER_ACTIONS_ENCRYPTION_KEY: "base64-32",
  }),
  /**
   * Which of its values a generated variable has, by name; 1 where it is not named. Another number is another value, and
   * the same number the same one again. What was encrypted with the value before cannot be read with it.
   */
  generations: ruled(
    z.record(variableName(), integer(1, 1000, "", 2)),
    "names of generated variables, each with a number",
    "{ STATE_SECRET: 2 }",
  ).default({}),
});

/** Its values. */
export type SecretsValues = z.infer<typeof secrets>;
