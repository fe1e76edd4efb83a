import { type RawConfig, soundAt } from "./validation";

/** How the host comes about: it is there, or the stack makes it; undefined where the key is at fault. */
export function hostMode(raw: RawConfig): "existing" | "ec2" | undefined {
  return soundAt(raw, ["host", "mode"]) as "existing" | "ec2" | undefined;
}
