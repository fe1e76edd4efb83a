/** Two projects: `unit` needs neither root nor network nor a booted host; `e2e` runs on booted hosts, two files at a time. */
const shared = {
  testEnvironment: "node",
  transform: {
    "^.+\\.[jt]s$": [
      "@swc/jest",
      {
        jsc: {
          parser: { syntax: "typescript" },
          target: "es2022",
          transform: { useDefineForClassFields: false },
        },
        module: { type: "commonjs" },
      },
    ],
  },
  modulePathIgnorePatterns: [
    "<rootDir>/dist/",
    "<rootDir>/.sandbox/",
    "<rootDir>/sandbox/app/node_modules/",
    "<rootDir>/sandbox/app/.next/",
  ],
};

/** @type {import("jest").Config} */
module.exports = {
  // A test that hangs ends; one that is slow on a busy machine is none the worse. Whoever takes longer says so.
  testTimeout: 120_000,
  projects: [
    {
      ...shared,
      displayName: "unit",
      testMatch: ["<rootDir>/**/tests/unit/**/*.test.ts", "<rootDir>/engine/tests/**/*.test.ts"],
    },
    {
      ...shared,
      displayName: "e2e",
      testMatch: ["<rootDir>/tests/e2e/**/*.test.ts"],
      runner: "<rootDir>/tests/e2e/support/load-aware-runner.js",
      globalSetup: "<rootDir>/tests/e2e/support/global-setup.ts",
    },
  ],
};
