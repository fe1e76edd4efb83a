import { z } from "zod";
import { hostAddress, localFile, userName } from "../rules/host";
import { integer, ruled } from "../rules/rule";
import { ec2Machine } from "./cloud";

/** The group `host`: where everything runs. */

/** Every key of the group `host`. */
export const host = z.strictObject({
  /** How the host comes about. `existing`: it is there, and reached by SSH. `ec2`: the stack makes it. */
  mode: ruled(
    z.enum(["existing", "ec2"]),
    "existing for a host that is there, or ec2 for one that the stack makes",
    "existing",
  ).default("existing"),
  /** Where SSH reaches a host that is there. */
  address: hostAddress().optional(),
  /** TCP port of SSH. */
  port: integer(1, 65535, "TCP port", 22).default(22),
  /** User that SSH logs in as on a host that is there: root, or one who may use sudo without a password. */
  user: userName().default("root"),
  /** File with the private SSH key, unless the secret `hostPrivateKey` holds the key itself. */
  privateKeyFile: localFile("~/.ssh/id_ed25519").optional(),
  /** The host's public SSH key, pinned: `<type> <base64>`. */
  hostKey: ruled(
    z.string().max(1024),
    "the host's public key, one line `ssh-ed25519 AAAA...` or `ecdsa-sha2-nistp256 AAAA...` (as in the host's " +
      "/etc/ssh/ssh_host_ed25519_key.pub)",
    '"ssh-ed25519 AAAA..."',
  ).optional(),
  /** A known_hosts file with the host's public key, instead of `hostKey`. */
  knownHostsFile: localFile("~/.ssh/known_hosts").optional(),
  /** The machine that the stack makes, where `mode` is `ec2`. */
  ec2: ec2Machine.optional(),
});
