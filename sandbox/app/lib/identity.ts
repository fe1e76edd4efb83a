/** What answers. */
export interface Identity {
  /** The version that was built, as `v1.0.0`: not the one that somebody says was deployed. */
  readonly version: string;
  /** The side of the site that this process serves; `none` outside of a site. */
  readonly colour: string;
  /** The commit that the host says it was built from; `unknown` outside of a site. */
  readonly commit: string;
}

/** Returns what this process is, by what was built in and what the host says. */
export function identityOf(environment: Readonly<Record<string, string | undefined>>): Identity {
  return {
    // Spelled out, for the build puts the value in this very expression's place.
    version: process.env.BUILT_VERSION ?? "unknown",
    colour: environment["APP_COLOUR"] ?? "none",
    commit: environment["APP_COMMIT"] ?? "unknown",
  };
}
