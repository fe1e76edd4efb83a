import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { diffOf, NO_DIFF, type DiffKind, type DiffResult } from "../../values/diff";
import type { PropertyMap } from "../../values/property";
import type { CheckFailure } from "../provider";

const { Kind } = proto.PropertyDiff;

const KINDS: Readonly<Record<proto.PropertyDiff.Kind, DiffKind>> = {
  [Kind.ADD]: "add",
  [Kind.ADD_REPLACE]: "add-replace",
  [Kind.DELETE]: "delete",
  [Kind.DELETE_REPLACE]: "delete-replace",
  [Kind.UPDATE]: "update",
  [Kind.UPDATE_REPLACE]: "update-replace",
};

/** What a provider's answer to `diff` says. Where it has no opinion, `before` and `after` are compared. */
export function diffOfResponse(
  response: proto.DiffResponse,
  before: PropertyMap,
  after: PropertyMap,
): DiffResult {
  const { DIFF_NONE, DIFF_SOME } = proto.DiffResponse.DiffChanges;
  if (response.getChanges() === DIFF_NONE) return NO_DIFF;
  const answer = {
    replaceKeys: response.getReplacesList(),
    deleteBeforeReplace: response.getDeletebeforereplace(),
  };
  if (response.getChanges() === DIFF_SOME)
    return { changed: true, changedKeys: response.getDiffsList(), ...detailsOf(response), ...answer };
  const diff = diffOf(before, after);
  return diff.changed ? { ...diff, ...answer } : NO_DIFF;
}

function detailsOf(response: proto.DiffResponse): Pick<DiffResult, "detailed"> {
  if (!response.getHasdetaileddiff()) return {};
  const entries = [...response.getDetaileddiffMap().entries()];
  return { detailed: Object.fromEntries(entries.map(([path, each]) => [path, KINDS[each.getKind()]])) };
}

/** The inputs that a provider rejects; `mask` takes secrets out of its reasons. */
export function failuresOf(
  list: readonly proto.CheckFailure[],
  mask: (text: string) => string,
): CheckFailure[] {
  return list.map((each) => ({ property: each.getProperty(), reason: mask(each.getReason()) }));
}
