import { stringify } from "yaml";

/** What a new machine is told. */
export interface UserData {
  /** The machine's own key, in OpenSSH's format. A secret. */
  readonly hostPrivateKey: string;
  /** Its public half, `<type> <base64>`. */
  readonly hostPublicKey: string;
  /** User that is made; may use sudo without a password. */
  readonly user: string;
  /** Public key that logs in as the user, `<type> <base64>`. */
  readonly authorizedKey: string;
}

/**
 * User data for cloud-init (https://cloudinit.readthedocs.io/en/latest/reference/modules.html): lets SSH in, with a host key
 * that the stack knows, and does nothing else. All else is the bootstrap's, which can be run again.
 */
export function cloudConfig({ hostPrivateKey, hostPublicKey, user, authorizedKey }: UserData): string {
  const config = {
    // The image's own keys go; with a key given, no other ones are made.
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: hostPrivateKey, ed25519_public: hostPublicKey },
    ssh_pwauth: false,
    disable_root: true,
    // Without `default` in it the image's own user is not made.
    users: [
      {
        name: user,
        shell: "/bin/bash",
        lock_passwd: true,
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: [authorizedKey],
      },
    ],
  };
  return `#cloud-config\n${stringify(config)}`;
}
