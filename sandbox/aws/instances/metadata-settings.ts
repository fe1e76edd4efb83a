/** Where every instance finds its metadata service. */
export const METADATA_ADDRESS = "169.254.169.254";

/** What the metadata service of an instance knows. Holds keys. */
export interface MetadataSettings {
  readonly instanceId: string;
  readonly imageId: string;
  readonly region: string;
  readonly availabilityZone: string;
  /** The instance's private IPv4 address. */
  readonly address: string;
  /** Whether a request needs a session token. */
  readonly tokens: "required" | "optional";
  /** Name of the instance's profile; null for none. */
  readonly profile: string | null;
  /** Keys of the emulator's owner, by which roles are taken. */
  readonly owner: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** URL of IAM and STS. */
  readonly endpoint: string;
  /** Authority behind the endpoint's certificate, in PEM; null for a public one. */
  readonly authority: string | null;
}
