import Table from "cli-table3";

/** Text that a terminal shows and does not act on: but for tabs and line ends, control characters are made visible. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    /[\t\n]/.test(character)
      ? character
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}}`,
  );
}

/** Rows in aligned columns, without lines around them. Cells may be coloured. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const none = ["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"];
  const lines = [
    ...none,
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
    "middle",
  ];
  const table = new Table({
    chars: Object.fromEntries(lines.map((line) => [line, ""])),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** A number with its thousands apart. */
export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** `1 row`, `2 rows`. */
export function counted(number: number, word: string): string {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** A size, in units of thousands. */
export function bytes(size: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(size, 1)) / 3));
  const value = size / 1000 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${UNITS[power] ?? ""}`;
}

/** A time span given in seconds, in its largest fitting unit. */
export function span(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${String(Math.round(seconds))} s`;
  if (seconds < 2 * 3600) return `${String(Math.round(seconds / 60))} min`;
  if (seconds < 48 * 3600) return `${String(Math.round(seconds / 3600))} h`;
  return `${String(Math.round(seconds / 86_400))} days`;
}

/** How long ago a moment was. */
export function ago(moment: string, now: Date): string {
  return `${span(Math.max(0, (now.getTime() - Date.parse(moment)) / 1000))} ago`;
}
