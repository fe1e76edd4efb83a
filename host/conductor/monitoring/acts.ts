import { z } from "zod";
import { METRICS } from "../../monitoring/protocol";

/** The rules of the act about monitoring; see `../acts.ts`. */
const line = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^\P{Cc}*$/u);
const own = new Set<string>(Object.values(METRICS).map(({ name }) => name));
const logGroup = z.string().regex(/^[A-Za-z0-9._/#-]{1,512}$/);

const settings = z.strictObject({
  namespace: z
    .string()
    .regex(/^[A-Za-z0-9._/#:-]{1,255}$/)
    .refine((namespace) => !namespace.startsWith("AWS/")),
  stack: z.string().regex(/^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/),
  intervalSeconds: z.number().int().min(1).max(3600),
  region: z
    .string()
    .max(32)
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  endpoint: line.regex(/^https?:\/\/[A-Za-z0-9.[\]:-]+(\/[A-Za-z0-9._~/-]*)?$/).nullable(),
  authority: z.string().max(65_536).nullable(),
  credentials: z.strictObject({ accessKeyId: line, secretAccessKey: line }).nullable(),
  business: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z][A-Za-z0-9._/#-]{0,254}$/)
        .refine((name) => !own.has(name)),
      z
        .string()
        .min(1)
        .max(20_000)
        .regex(/^[^\0]*$/),
    )
    .refine((queries) => Object.keys(queries).length <= 50),
  payments: z.strictObject({ failed: line, processed: line }).exactOptional(),
  webhookPath: line.regex(/^\/[^?#]*$/).exactOptional(),
  logGroups: z.strictObject({
    access: logGroup.exactOptional(),
    error: logGroup.exactOptional(),
    application: logGroup.exactOptional(),
    conductor: logGroup.exactOptional(),
  }),
});

/** The acts about monitoring. */
export const monitoringActs = [
  z.strictObject({
    act: z.literal("monitoring"),
    settings: settings.nullable(),
    seenForSeconds: z.number().int().min(0).max(100_000).exactOptional(),
  }),
] as const;
