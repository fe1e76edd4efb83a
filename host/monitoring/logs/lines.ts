/**
 * When a line was written, by what it begins with: the access log's JSON, PM2's `YYYY-MM-DD HH:mm:ss +00:00:`, Nginx'
 * `YYYY/MM/DD HH:mm:ss` in the host's own time. Null for a line without, which belongs to the one before.
 */
export function timeOf(line: string): number | null {
  const iso = /^\{"time":"([^"]+)"/.exec(line)?.[1];
  if (iso !== undefined) return known(Date.parse(iso));
  const pm2 = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d:\d\d): /.exec(line);
  if (pm2 !== null) return known(Date.parse(`${pm2[1] ?? ""}T${pm2[2] ?? ""}${pm2[3] ?? ""}`));
  const nginx = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d) /.exec(line);
  return nginx === null
    ? null
    : known(Date.parse(`${nginx[1] ?? ""}-${nginx[2] ?? ""}-${nginx[3] ?? ""}T${nginx[4] ?? ""}`));
}

function known(time: number): number | null {
  return Number.isNaN(time) ? null : time;
}

/**
 * Blanks what stands behind the `?` of the URLs in a line of Nginx' error log: links in e-mails and callbacks of others
 * carry tokens there. The access log has no such part of a URL in the first place.
 */
export function withoutQueries(line: string): string {
  return line.replace(/\?[^\s"]*/g, "?[...]");
}
