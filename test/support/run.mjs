/**
 * What `npm test` runs: node's test runner over every test but the walks (which need the built program) and the
 * benchmarks. Words given choose tests by path: `npm test -- mail`; the word `walks` alone chooses the walks. Options go
 * through to node: `npm test -- --test-name-pattern=quarantine`.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const given = process.argv.slice(2);
const options = given.filter((word) => word.startsWith("--"));
const words = given.filter((word) => !word.startsWith("--"));
const walks = words.includes("walks");
const chosen = words.filter((word) => word !== "walks");

const files = globSync(walks ? "test/walks/**/*.test.ts" : "test/**/*.test.ts", { cwd: root })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => walks || !/^test\/(walks|bench)\//.test(file))
  .filter((file) => chosen.length === 0 || chosen.some((word) => file.includes(word)))
  .toSorted();

if (files.length === 0) {
  process.stderr.write(`No test file matches ${given.join(" ") || "test/**/*.test.ts"}.\n`);
  process.exit(1);
}
// A test that waits for ever must not keep the others from being told of. Longer ones say so themselves.
const patience = "--test-timeout=180000";
const run = spawnSync(process.execPath, ["--test", patience, ...options, ...files], { cwd: root, stdio: "inherit" });
process.exit(run.status ?? 1);
