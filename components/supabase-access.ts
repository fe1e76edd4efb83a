/** How a project of Supabase's is reached. */
export interface SupabaseAccess {
  /** Where its APIs are. */
  readonly url: string;
  /** URL of its database, by the direct connection. */
  readonly databaseUrl: string;
  /** Key that everybody may have. */
  readonly anonKey: string;
  /** Key that goes around row level security. */
  readonly serviceRoleKey: string;
}

/** A variable that leads the application to its project. */
export type AccessVariable =
  "NEXT_PUBLIC_SUPABASE_URL" | "NEXT_PUBLIC_SUPABASE_ANON_KEY" | "SUPABASE_SERVICE_ROLE_KEY" | "DATABASE_URL";

/** What each of these variables is of a project that the stack makes. The names are the guide's. */
export const ACCESS_VARIABLES: Readonly<Record<AccessVariable, keyof SupabaseAccess>> = {
  NEXT_PUBLIC_SUPABASE_URL: "url",
  NEXT_PUBLIC_SUPABASE_ANON_KEY: "anonKey",
  SUPABASE_SERVICE_ROLE_KEY: "serviceRoleKey",
  DATABASE_URL: "databaseUrl",
};

/** Names of {@link ACCESS_VARIABLES}. */
export const ACCESS_NAMES = Object.keys(ACCESS_VARIABLES) as readonly AccessVariable[];
