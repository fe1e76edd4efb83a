/**
 * Runs the checks and the test suites, and sums them up in one last line: `N passed, N failed, N skipped`.
 * Arguments: none for everything, `--quick` for what needs no booted host, or patterns of test files.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

const CHECKS = ["check:types", "check:lint", "check:format", "check:shell"];
const sum = { passed: 0, failed: 0, skipped: 0 };
/** What failed, a line each: told again at the end, for what a suite prints on the way can be long. */
const failures = [];

/** Runs a program with its output shown; true where it ended well. */
function run(program, args) {
  const started = Date.now();
  console.log(`\n> ${program} ${args.join(" ")}`);
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  console.log(`  ${((Date.now() - started) / 1000).toFixed(1)} s`);
  if (error !== undefined) {
    console.error(error.message);
  }
  return status === 0;
}

/** One check is one test. They run side by side; each one's output is shown when it ends. */
function check(name) {
  return new Promise((resolve) => {
    execFile("npm", ["run", "--silent", name], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      console.log(`\n> ${name}: ${error === null ? "passed" : "FAILED"}\n${stdout}${stderr}`.trimEnd());
      sum[error === null ? "passed" : "failed"] += 1;
      if (error !== null) failures.push(name);
      resolve();
    });
  });
}

/** The failed tests of one file, or the file itself where it could not be run. */
function failuresOf({ name, status, assertionResults }) {
  const file = relative(process.cwd(), name);
  const failed = assertionResults.filter((result) => result.status === "failed");
  if (failed.length === 0) return status === "failed" ? [file] : [];
  return failed.map(({ fullName, failureMessages: [message = ""] }) => {
    const [reason] = stripVTControlCharacters(message).split("\n");
    return `${file}: ${fullName}: ${reason}`;
  });
}

/** A suite counts its own tests; one that cannot be run, or has none, is a failure. */
function suite(args) {
  const folder = mkdtempSync(join(tmpdir(), "tests-"));
  const report = join(folder, "report.json");
  try {
    const passed = run("jest", [...args, "--json", `--outputFile=${report}`]);
    const counts = JSON.parse(readFileSync(report, "utf8"));
    failures.push(...counts.testResults.flatMap(failuresOf));
    sum.passed += counts.numPassedTests;
    sum.failed += counts.numFailedTests + counts.numRuntimeErrorTestSuites;
    sum.skipped += counts.numPendingTests + counts.numTodoTests;
    if (
      (!passed && counts.numFailedTests + counts.numRuntimeErrorTestSuites === 0) ||
      counts.numTotalTests === 0
    ) {
      sum.failed += 1;
    }
  } catch (error) {
    console.error(`no report of jest ${args.join(" ")}: ${error.message}`);
    failures.push(`jest ${args.join(" ")}`);
    sum.failed += 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === undefined || first === "--quick") {
  await Promise.all(CHECKS.map(check));
  suite(["--selectProjects", "unit", "--maxWorkers=100%"]);
  if (first === undefined) {
    // What looks at the whole machine runs alone; the others mostly wait for their hosts, and need no more than half of it.
    suite(["tests/e2e/machine/", "--runInBand"]);
    suite(["--selectProjects", "e2e", "--testPathIgnorePatterns", "tests/e2e/machine/", "--maxWorkers=2"]);
  }
} else {
  suite([first, ...rest, "--runInBand"]);
}
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join("\n")}`);
console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exit(sum.failed === 0 ? 0 : 1);
