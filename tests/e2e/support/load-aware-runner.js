// @ts-check
"use strict";

const { readFileSync } = require("node:fs");
const { default: TestRunner } = require("jest-runner");

/** What a file with the load of users that the site is promised to bear imports. */
const USERS = 'from "./support/users"';

/**
 * Which of the waiting files comes next: of those with users one at a time, as long as there are others.
 * @param {readonly boolean[]} waiting whether each one has users, in Jest's order
 * @param {boolean} underLoad whether one with users is running
 * @returns {number} its place; 0 also where none waits
 */
function nextOf(waiting, underLoad) {
  return Math.max(waiting.indexOf(!underLoad), 0);
}

/**
 * Jest's own runner, which never has two files send a thousand requests a second while there are files that do not: on two
 * processors such loads leave little to what is tested, and go on for as long as that takes.
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
      while (waiting.length > 0 && !watcher.isInterrupted()) {
        const place = nextOf(
          waiting.map(({ hasUsers }) => hasUsers),
          underLoad > 0,
        );
        for (const { test, hasUsers } of waiting.splice(place, 1)) {
          if (hasUsers) underLoad += 1;
          await super.runTests([test], watcher, options);
          if (hasUsers) underLoad -= 1;
        }
      }
    };
    await Promise.all(Array.from({ length: workers }, work));
  }
}

module.exports = LoadAwareRunner;
module.exports.nextOf = nextOf;
