import * as pulumi from "@pulumi/pulumi";
import { label } from "./parts/label";
import { fail } from "./parts/fail.js";

const config = new pulumi.Config();

/** The sum says whether numbers and lists come through as what they are. */
export const sum = config.requireNumber("count") + config.requireObject<string[]>("names").length;
export const named = label(config.requireObject<string[]>("names"));
export const token = config.requireSecret("token");
export const stack = pulumi.getStack();

if (process.env["FAIL"] === "throw") fail("thrown on purpose");
if (process.env["FAIL"] === "exit") process.exit(0);
if (process.env["FAIL"] === "linger") {
  console.log("lingering");
  setInterval(() => undefined, 1000);
}
