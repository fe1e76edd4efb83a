import {
  fromProgram,
  isMap,
  mapValue,
  Signature,
  signatureOf,
  unwrapMap,
  type PropertyMap,
} from "../../values/property";

/** What a plugin says it takes. */
export interface PluginProtocol {
  readonly acceptSecrets: boolean;
  readonly acceptResources: boolean;
  /** Whether it can be asked for a create or an update that does nothing. */
  readonly supportsPreview: boolean;
}

/** Properties in the form in which a plugin takes them: without the marks that it does not know. */
export function outgoing(properties: PropertyMap, protocol: PluginProtocol): PropertyMap {
  const marked = protocol.acceptSecrets ? properties : unwrapMap(properties);
  return protocol.acceptResources ? marked : withoutReferences(marked);
}

/** Properties that a plugin answered with, in the form in which they are kept. */
export function incoming(properties: PropertyMap): PropertyMap {
  return fromProgram(properties) as PropertyMap;
}

/** With a resource's id, or a component's URN, where the resource itself is referred to. */
function withoutReferences(properties: PropertyMap): PropertyMap {
  return mapValue(properties, (element) => {
    if (!isMap(element) || signatureOf(element) !== Signature.resource) return undefined;
    return element["id"] ?? element["urn"] ?? null;
  }) as PropertyMap;
}
