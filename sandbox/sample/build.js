// @ts-check
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const manifest = JSON.parse(fs.readFileSync(path.join(__dirname, "package.json"), "utf8"));
const directory = path.join(__dirname, "dist");

fs.mkdirSync(directory, { recursive: true });
// No date and no host name: two builds of one version are equal byte for byte.
fs.writeFileSync(
  path.join(directory, "build-info.json"),
  `${JSON.stringify({ name: manifest.name, version: `v${manifest.version}`, node: process.version })}\n`,
);
