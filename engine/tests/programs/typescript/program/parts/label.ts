enum Style {
  Plain = "plain",
}

/** Joins names; the enum is there because stripping types alone cannot run it. */
export function label(names: readonly string[]): string {
  return `${Style.Plain}: ${names.join(" ")}`;
}
