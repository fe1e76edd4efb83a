import * as fs from "node:fs";

import { metadataServer } from "./metadata-server";
import { METADATA_ADDRESS, type MetadataSettings } from "./metadata-settings";
import { roleCredentials } from "./role-credentials";

/** The metadata service of one instance. Runs in a network beside its host's; takes the path of its settings. */
const [, , file] = process.argv;
if (file === undefined) throw new Error("usage: instance-metadata.js SETTINGS");
const settings = JSON.parse(fs.readFileSync(file, "utf8")) as MetadataSettings;
metadataServer(settings, roleCredentials(settings)).listen(80, METADATA_ADDRESS);
