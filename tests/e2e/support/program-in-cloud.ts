import * as pulumi from "@pulumi/pulumi";
import { plain } from "../../unit/support/registrations";
import type { Made, PluginClient } from "./plugin-client";

/** How resources of a program are made that {@link makeInCloud} runs. */
export interface Making {
  /** Makes those of AWS. */
  readonly plugin: PluginClient;
  /** Gives what a resource of AWS is made with: what the program gave, or what the emulator can do in its place. */
  readonly adapted?: (type: string, inputs: Readonly<Record<string, unknown>>) => Record<string, unknown>;
  /** Outputs of what is not AWS', beside its inputs. */
  readonly others?: Readonly<Record<string, unknown>>;
}

/**
 * Runs a program without an engine whose resources of AWS are really made, through the plugin, each once what it waits for is
 * there.
 * @returns what was made, by the resource's name
 */
export async function makeInCloud(
  program: () => void,
  { plugin, adapted = (_, inputs) => ({ ...inputs }), others = {} }: Making,
): Promise<ReadonlyMap<string, Made>> {
  const made = new Map<string, Made>();
  await pulumi.runtime.setMocks(
    {
      call: () => ({}),
      newResource: async ({ type, name, inputs }) => {
        const open = Object.fromEntries(
          Object.entries(inputs as Record<string, unknown>).map(([key, input]) => [key, plain(input)]),
        );
        if (!type.startsWith("aws:")) return { id: name, state: { ...open, ...others } };
        const resource = await plugin.create(type, name, adapted(type, open));
        made.set(name, resource);
        return { id: resource.id, state: { ...resource.outputs } };
      },
    },
    "vehicleservice",
    "test",
    false,
  );
  program();
  await pulumi.runtime.disconnect();
  return made;
}
