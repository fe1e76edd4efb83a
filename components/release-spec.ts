import type * as pulumi from "@pulumi/pulumi";
import type { ReleaseIntent } from "../host/conductor/protocol";
import type { EnvironmentFile } from "./environment-file";

/** What a colour shall run, but for its environment, whose name is known once that is on the host. */
export type ReleaseSpec = Omit<ReleaseIntent, "environment">;

/** The whole intent of a release; null stays null: a colour that is to be retired. */
export function intentOf(
  release: ReleaseSpec | null,
  environment: EnvironmentFile,
): pulumi.Output<ReleaseIntent | null> {
  return environment.hash.apply((hash) => (release === null ? null : { ...release, environment: hash }));
}

/** How a release comes to users where the other colour could not take them over meanwhile. */
export interface Strategy {
  /** The colour is changed behind the maintenance page; default: that is refused, before anything is touched. */
  readonly inPlace?: true;
}

/** The strategy among a component's arguments. */
export function strategyOf({ inPlace }: Strategy): Strategy {
  return inPlace === undefined ? {} : { inPlace };
}
