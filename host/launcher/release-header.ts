/** Header of every answer on an instance's private socket: version and commit of what runs there, a space between. */
export const RELEASE_HEADER = "x-conductor-release";
