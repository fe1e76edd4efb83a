import { parse } from "yaml";
import { z } from "zod";

import type { Fault } from "../plugin/check";

/*
 * User data as cloud-init reads it (https://cloudinit.readthedocs.io/en/latest/reference/modules.html), as far as a host of the sandbox
 * obeys it. Strict: a key that would do something on a real machine and nothing here is a fault.
 */

const publicKey = z
  .string()
  .regex(/^(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+( .*)?$/, "must be a public SSH key");
const command = z.union([z.string(), z.array(z.string()).min(1)]);

const user = z.strictObject({
  name: z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/),
  shell: z.string().startsWith("/").default("/bin/bash"),
  lock_passwd: z.literal(true).default(true),
  sudo: z.union([z.string(), z.array(z.string()), z.literal(false)]).optional(),
  ssh_authorized_keys: z.array(publicKey).default([]),
});

const writeFile = z.strictObject({
  path: z.string().startsWith("/"),
  content: z.string().default(""),
  encoding: z.enum(["text/plain", "b64", "base64"]).default("text/plain"),
  permissions: z
    .string()
    .regex(/^0?[0-7]{3,4}$/)
    .default("0644"),
  owner: z.literal(["root", "root:root"]).default("root:root"),
});

const cloudConfig = z.strictObject({
  ssh_deletekeys: z.boolean().default(true),
  ssh_keys: z.strictObject({ ed25519_private: z.string(), ed25519_public: publicKey }),
  ssh_pwauth: z.literal(false, "must be false: a host of the sandbox takes no passwords").default(false),
  disable_root: z.boolean().default(true),
  users: z.array(user),
  ssh_authorized_keys: z.array(publicKey).default([]),
  hostname: z.string().optional(),
  write_files: z.array(writeFile).default([]),
  runcmd: z.array(command).default([]),
});

/** A cloud-config, with cloud-init's defaults. */
export type CloudConfig = z.infer<typeof cloudConfig>;

/** Reads user data. Throws with everything that is wrong with it, and nothing of what is in it. */
export function readUserData(userData: string): CloudConfig {
  const faults = userDataFaults(userData);
  if (faults.length > 0)
    throw new Error(faults.map(({ property, reason }) => `${property}: ${reason}`).join("; "));
  return cloudConfig.parse(parse(userData));
}

/** What is wrong with user data, by the key in question. */
export function userDataFaults(userData: string): Fault[] {
  if (!/^#cloud-config\s*\n/.test(userData))
    return [
      {
        property: "userData",
        reason: "must begin with the line #cloud-config: the sandbox's hosts obey no other kind of user data",
      },
    ];
  const text = parsed(userData);
  if (text === undefined) return [{ property: "userData", reason: "must be YAML after its first line" }];
  const result = cloudConfig.safeParse(text);
  if (result.success) return [];
  return result.error.issues.flatMap(faultsOfIssue);
}

function faultsOfIssue(issue: z.core.$ZodIssue): Fault[] {
  const at = ["userData", ...issue.path.map(String)].join(".");
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      property: `${at}.${key}`,
      reason: "no host of the sandbox obeys this key of cloud-init: add it to sandbox/aws/instances",
    }));
  return [{ property: at, reason: issue.message }];
}

/** Undefined where it is no YAML; an error's own text would show what is in it. */
function parsed(userData: string): unknown {
  try {
    return parse(userData) as unknown;
  } catch {
    return undefined;
  }
}
