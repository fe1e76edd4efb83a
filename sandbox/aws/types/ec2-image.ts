/** The one machine image: the sandbox's Debian, under an id that no account has. */
export const IMAGE = {
  imageId: "ami-0f0d0eb1a00000001",
  name: "debian-forky-sandbox",
  architecture: "x86_64",
  rootDeviceName: "/dev/xvda",
  rootDeviceType: "ebs",
  virtualizationType: "hvm",
  ownerId: "136693071363",
} as const;
