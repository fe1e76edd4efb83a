import type { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type { PropertyMap } from "../../values/property";

/** Properties out of a message; none where it has none. */
export function mapOf(struct: Struct | undefined): PropertyMap {
  return struct?.toJavaScript() ?? {};
}
