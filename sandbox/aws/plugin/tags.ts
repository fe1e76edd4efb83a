import type { Cloud } from "./cloud";
import type { Values } from "./properties";
import type { Change } from "./resource-type";

/** A tag as most of AWS' APIs have it. */
export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** All tags of a resource, its own and the stack's default ones, by name. */
export function allTags(cloud: Cloud, inputs: Values): Record<string, string> {
  return { ...cloud.settings.defaultTags, ...(inputs["tags"] as Record<string, string> | undefined) };
}

/** {@link allTags} as a list. */
export function tagList(cloud: Cloud, inputs: Values): Tag[] {
  return Object.entries(allTags(cloud, inputs)).map(([Key, Value]) => ({ Key, Value }));
}

/** The outputs `tags` (the resource's own) and `tagsAll`, from what AWS tells. */
export function tagOutputs(
  cloud: Cloud,
  live: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined,
): Values {
  return tagOutputsOf(
    cloud,
    Object.fromEntries((live ?? []).map(({ Key = "", Value = "" }) => [Key, Value])),
  );
}

/** The same, from tags by name. */
export function tagOutputsOf(cloud: Cloud, tagsAll: Readonly<Record<string, string>>): Values {
  const { defaultTags } = cloud.settings;
  const own = Object.entries(tagsAll).filter(([key, value]) => defaultTags[key] !== value);
  return { tags: Object.fromEntries(own), tagsAll };
}

/** Brings tags to the new ones by the two calls that each API has. */
export async function retag(
  cloud: Cloud,
  change: Change,
  add: (tags: Tag[]) => Promise<unknown>,
  remove: (keys: string[]) => Promise<unknown>,
): Promise<void> {
  if (!change.changed.has("tags")) return;
  const wanted = tagList(cloud, change.news);
  const before = Object.keys((change.olds["tagsAll"] ?? {}) as Record<string, string>);
  const gone = before.filter((key) => !wanted.some((tag) => tag.Key === key));
  if (gone.length > 0) await remove(gone);
  if (wanted.length > 0) await add(wanted);
}
