import { isIPv4, isIPv6 } from "node:net";
import { hasOddSegment, placeholderIn, text } from "./rule";
import { HOST_NAME } from "./web";

/** What a host, its users and its files may be called. */

/** Name of the application; part of the names of directories, services and processes on the host. */
export const applicationName = () =>
  text(
    31,
    (value) => /^[a-z][a-z0-9-]*$/.test(value),
    "1 to 31 of a-z, 0-9 and -, a letter first",
    "vehicleservice",
  );

/** Where a host is reached: IPv4, IPv6 (without a zone) or a DNS name. */
export const hostAddress = () =>
  text(
    253,
    (value) =>
      (isIPv4(value) || (isIPv6(value) && !value.includes("%")) || HOST_NAME.test(value)) &&
      placeholderIn(value) === undefined,
    "an IPv4 address, an IPv6 address without zone, or a DNS name in lower case",
    "203.0.113.10",
  );

/** Login name of a user of the host. */
export const userName = () =>
  text(
    32,
    (value) => /^[a-z_][a-z0-9_-]*$/.test(value),
    "a login name: a-z, 0-9, _ and -, a letter or _ first",
    "root",
  );

/** File on the machine that runs Pulumi. It is only ever opened, so that it may hold spaces and the like. */
export const localFile = (example: string) =>
  text(
    1024,
    (value) => /^\P{Cc}+$/u.test(value) && !value.split("/").includes(".."),
    "a path from the root, from ~/ or from the directory of Pulumi.yaml, without .. and control characters",
    example,
  );

/** File on the host, from its root. Stands in Nginx's configuration. */
export const hostFile = (example: string) =>
  text(
    255,
    (value) => /^\/[A-Za-z0-9._/-]+$/.test(value) && !hasOddSegment(value.slice(1)),
    "an absolute path of A-Z, a-z, 0-9, '.', '_', '-' and '/', without .. in it",
    example,
  );
