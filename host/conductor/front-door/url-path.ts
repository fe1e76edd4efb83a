/** Is `path` the path `parent`, or below it? `/a` is above `/a/b`, not above `/ab`; a slash at its end does not count. */
export function isBelow(path: string, parent: string): boolean {
  const base = withoutSlash(parent);
  return path === base || path.startsWith(`${base}/`);
}

/** {@link isBelow} `parent` as a pattern of an Nginx `map`. */
export function patternBelow(parent: string): string {
  return `~^${withoutSlash(parent).replace(/[.+*?()[\]{}|^$\\]/g, "\\$&")}(/|$)`;
}

function withoutSlash(path: string): string {
  return path.replace(/\/$/, "");
}
