import { access } from "node:fs/promises";
import { join } from "node:path";
import type { HostView } from "./drift";
import type { Account } from "../releases/enclosure";
import { ENVIRONMENT_MODE, environmentFile } from "../releases/environments";
import { routeFileText, type FrontDoor } from "../front-door/front-door";
import { findFile, markOf } from "./kept-file";
import type { Paths } from "../paths";
import type { Pm2 } from "../processes/pm2";
import { ecosystem, ecosystemPath, isRunning } from "../processes/processes";
import { effectiveConfiguration, nginxFiles } from "../front-door/site-files";
import { listens } from "../system/listens";

/** Shows the host that this runs on. */
export function thisHost(
  app: string,
  paths: Paths,
  account: Account,
  frontDoor: FrontDoor,
  pm2: Pm2,
): HostView {
  return {
    async nginxFiles({ settings, probeKey }) {
      return settings === null ? null : nginxFiles({ settings, paths, probeKey });
    },
    routeFile(site) {
      const text = routeFileText(site);
      return text === null ? null : markOf({ path: paths.trafficFallback, text, mode: 0o644 });
    },
    environmentFile({ environment, environmentDigest }) {
      return environment === null || environmentDigest === null
        ? null
        : {
            path: environmentFile(paths, environment),
            sha256: environmentDigest,
            mode: ENVIRONMENT_MODE,
            owner: account.uid,
          };
    },
    ecosystemFile({ settings }, colour, release) {
      return settings === null
        ? null
        : markOf({
            path: ecosystemPath(paths, colour),
            text: ecosystem(app, paths, colour, release, settings),
            mode: 0o644,
          });
    },
    file: findFile,
    exists: (path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    servedConfiguration: () => effectiveConfiguration(paths),
    route: () => frontDoor.read(),
    runs: (colour) => isRunning(paths, colour),
    listens: (colour, instance) => listens(join(paths.health, colour, `${instance}.sock`)),
    processes: (colour) => pm2.instances(colour),
    script: ({ directory, intent }) => join(directory, intent.script),
  };
}
