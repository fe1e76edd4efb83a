import type { RawConfig } from "./validation";

/** The application's variables as texts, be they at fault; those that are no texts, and empty ones, are left out. */
export function variablesIn(raw: RawConfig): Readonly<Record<string, string>> {
  const given = raw.values["variables"];
  if (typeof given !== "object" || given === null || Array.isArray(given)) return {};
  const texts = Object.entries(given)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([name, value]) => [name, String(value)] as const);
  return Object.fromEntries(texts.filter(([, value]) => value !== ""));
}
