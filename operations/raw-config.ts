import { SECRETS } from "../config/schema/stack";
import type { RawConfig } from "../config/validation";

/** Puts what an engine knows of a stack's config into the words of `config.ts`; keys come as `namespace:name`. */
export function rawConfigOf(
  project: string,
  stack: string,
  values: Iterable<readonly [string, { readonly text: string; readonly secret: boolean }]>,
): RawConfig {
  const prefix = `${project}:`;
  const all = [...values];
  const own = all
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => ({ key: key.slice(prefix.length), ...value }));
  return {
    namespace: project,
    stack,
    values: Object.fromEntries(own.map(({ key, text }) => [key, text])),
    encrypted: new Set(own.filter(({ key, secret }) => secret || SECRETS.has(key)).map(({ key }) => key)),
    awsRegion: all.find(([key]) => key === "aws:region")?.[1].text,
  };
}
