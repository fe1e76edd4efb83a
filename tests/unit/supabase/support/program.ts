import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { SupabaseProject, type SupabaseSpec } from "../../../../components/supabase-project";

/**
 * A program with a project of Supabase's and a stand-in for the schema, which waits for it: what is made of it is in
 * `../spec.json`, but for the secrets `token`, `smtp` and `anonKey` of the config.
 */

/** What a test says about it. */
export interface Wanted {
  readonly supabase: Omit<SupabaseSpec, "accessToken" | "smtpPassword" | "api">;
  readonly api: Omit<NonNullable<SupabaseSpec["api"]>, "anonKey"> | null;
  readonly migrations: readonly string[];
}

const { supabase: spec, api, migrations } = JSON.parse(readFileSync("../spec.json", "utf8")) as Wanted;
const config = new pulumi.Config();
const supabase = new SupabaseProject("supabase", {
  supabase: {
    ...spec,
    accessToken: config.requireSecret("token"),
    smtpPassword: config.getSecret("smtp") ?? null,
    api: api === null ? null : { ...api, anonKey: config.requireSecret("anonKey") },
  },
  database: {
    migrations: migrations.map((version) => {
      return { version, name: "one", sha256: version, sql: "", contract: false };
    }),
  },
});

const schema = new random.RandomId("schema", {
  byteLength: 2,
  keepers: { after: supabase.verified, migrations: migrations.join() },
});
const tried = supabase.tryPublicApi({ ready: schema.hex.apply(() => "ready") });
new random.RandomId("release", { byteLength: 2, keepers: { after: tried } });

export const { ref, url, access, findings, variables } = supabase;
