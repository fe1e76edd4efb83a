import { z } from "zod";
import { localFile } from "../rules/host";
import { commit, repository, tagPattern, version } from "../rules/release";
import { ruled } from "../rules/rule";

/** The group `source`: where releases come from. */

/** Every key of the group `source`. */
export const source = z.strictObject({
  /** Where the application's source is fetched from. */
  repository: repository(),
  /** How a version becomes the tag that it was published under. */
  tagPattern: tagPattern().default("{version}-production"),
  /** Commit that a version's tag has to resolve to, by version. */
  commits: ruled(
    z.record(version(), commit()),
    "commit hashes by version",
    "{ v1.0.0: 0123456789abcdef0123456789abcdef01234567 }",
  ).default({}),
  /** Local folder with a record for each release, `<version>.yaml`. Read where there is a database. */
  records: localFile("releases").default("releases"),
});
