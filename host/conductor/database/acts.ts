import { z } from "zod";

/**
 * The rules of the acts about the database; see `../acts.ts`. SQL is not judged here: it runs as the role that the stack
 * names, and with no more rights.
 */
const whole = z.number().int().min(0);
const version = z.string().regex(/^[0-9]{1,20}$/);
const migrationName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const identifier = z
  .string()
  .min(1)
  .max(63)
  .regex(/^\P{Cc}*$/u);
const line = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^\P{Cc}*$/u);
const url = line.regex(/^postgres(ql)?:\/\//);

const bucket = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  region: z
    .string()
    .max(32)
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  endpoint: line.regex(/^https?:\/\/[A-Za-z0-9.[\]:-]+(\/[A-Za-z0-9._~/-]*)?$/).nullable(),
  prefix: z.string().regex(/^([A-Za-z0-9._-]+\/)*$/),
  credentials: z.strictObject({ accessKeyId: line, secretAccessKey: line }).nullable(),
  authority: z.string().max(65_536).nullable(),
});

const database = z.strictObject({
  url,
  schemas: z.array(identifier).max(100),
  limits: z.strictObject({
    lockTimeoutMs: whole.min(1),
    lockWaitSeconds: whole,
    statementTimeoutSeconds: whole.min(1),
  }),
  bucket,
  rehearsal: z.strictObject({ url: url.nullable() }),
  rowTolerancePercent: z.number().min(0).max(100),
});

const text = z.string().regex(/^[^\0]*$/);
const file = z.strictObject({ version, name: migrationName, sha256, sql: text, contract: z.boolean() });
const check = z.strictObject({ name: migrationName, sql: text });
const acceptance = z.strictObject({ version, sha256: sha256.nullable(), reason: line });

/** The acts about the database. */
export const databaseActs = [
  z.strictObject({ act: z.literal("database"), database: database.nullable() }),
  z.strictObject({
    act: z.literal("migrations"),
    epoch: whole,
    baseline: version.nullable(),
    files: z.array(file).max(10_000),
    checks: z.array(check).max(1000),
    accept: z.array(acceptance).max(1000),
  }),
  z.strictObject({
    act: z.literal("backup"),
    reason: z.enum(["migrations", "asked", "daily", "restore"]),
    generation: whole,
  }),
  z.strictObject({ act: z.literal("rehearse") }),
  z.strictObject({
    act: z.literal("migrate"),
    version,
    name: migrationName,
    sha256,
    epoch: whole,
    after: version.nullable(),
  }),
  z.strictObject({ act: z.literal("check"), epoch: whole, content: line }),
  z.strictObject({
    act: z.literal("restore"),
    backup: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$/),
    confirmed: z.boolean(),
  }),
  z.strictObject({ act: z.literal("database-status"), details: z.boolean() }),
] as const;
