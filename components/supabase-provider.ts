/**
 * The providers of {@link SupabaseProject}. They run in a process of Pulumi's own, which loads them from
 * `dist/supabase-provider.js`.
 */
import { project } from "./supabase-origin";
import { publicApi } from "./supabase-public-api";
import { settings } from "./supabase-settings";
import { verification } from "./supabase-verification";

/** By the name that the resource asks for. */
export const providers = { project, settings, verification, publicApi };
