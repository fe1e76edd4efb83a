// @ts-check
"use strict";

const { readFileSync } = require("node:fs");
const { default: TestRunner } = require("jest-runner");

/** What a file with the load of users that the site is promised to bear imports. */
const USERS = 'from "./support/users"';

/**
 * Jest's own runner, which never has two files send a thousand requests a second while there are files that do not: on two
 * processors such loads leave little to what is tested, and go on for as long as that takes. The order is Jest's otherwise.
 */
class LoadAwareRunner extends TestRunner {
  /** @type {TestRunner["runTests"]} */
  async runTests(tests, watcher, options) {
    if (options.serial) return super.runTests(tests, watcher, options);
    const workers = this._globalConfig.maxWorkers;
    // Each file gets a process of its own.
    Object.assign(this, { _globalConfig: { ...this._globalConfig, maxWorkers: 1 } });
    const waiting = tests.map((test) => ({
      test,
      hasUsers: readFileSync(test.path, "utf8").includes(USERS),
    }));
    let underLoad = 0;
    const work = async () => {
      while (!watcher.isInterrupted()) {
        const fitting = waiting.findIndex(({ hasUsers }) => hasUsers === (underLoad === 0));
        const [next] = waiting.splice(Math.max(fitting, 0), 1);
        if (next === undefined) return;
        if (next.hasUsers) underLoad += 1;
        await super.runTests([next.test], watcher, options);
        if (next.hasUsers) underLoad -= 1;
      }
    };
    await Promise.all(Array.from({ length: workers }, work));
  }
}

module.exports = LoadAwareRunner;
