/**
 * Makes `dist/candor`, the whole program in one executable file: esbuild bundles it, pkg (SEA mode) puts the bundle, the
 * SQLite addon and the assets into the Node binary that the npm platform package brought. Nothing is fetched, and nothing
 * is written but dist/ and a temporary folder. It builds for the machine it runs on.
 *
 * The program runs without code generation from strings, so everything that would compile at run time is made here:
 * `src/embedded.ts` is replaced by a module that holds migrations and precompiled templates, Handlebars by its runtime
 * half, and better-sqlite3's row factory by one that doesn't write source text.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";
import Handlebars from "handlebars";
import pkg from "pkg/lib-es5/sea.js";
import { asset, assetNames, migrations, templateNames, templateSource, version } from "./src/embedded.ts";
import { compileOptions } from "./src/render.ts";

const root = import.meta.dirname;
const noCodeFromStrings = "--disallow-code-generation-from-strings";
const require = createRequire(import.meta.url);

export async function buildExecutable(input: { entry: string; output: string }): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "candor-build-"));
  try {
    const bundle = join(work, "candor.cjs");
    await bundleProgram(input.entry, bundle);
    refuseEval(readFileSync(bundle, "utf8"));
    const assets: Record<string, string> = { "sqlite.node": sqliteAddon() };
    for (const name of assetNames()) {
      const file = join(work, `asset-${Object.keys(assets).length}`);
      writeFileSync(file, asset(name));
      assets[`assets/${name}`] = file;
    }
    mkdirSync(dirname(input.output), { recursive: true });
    const unfinished = `${input.output}.unfinished`;
    await packExecutable({ bundle, assets, output: unfinished, home: work });
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, input.output);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function bundleProgram(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node26",
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 200,
    legalComments: "none",
    absWorkingDir: root,
    logLevel: "warning",
    plugins: [embedded, handlebarsRuntime, rowsWithoutEval, authorityClientAlone, metadataWithoutEval],
  });
}

/** One Node binary is generator and base alike, so pkg has nothing to choose and nothing to download. */
async function packExecutable(input: {
  bundle: string;
  assets: Record<string, string>;
  output: string;
  home: string;
}): Promise<void> {
  const platforms: Partial<Record<NodeJS.Platform, "linux" | "macos" | "win">> = {
    linux: "linux",
    darwin: "macos",
    win32: "win",
  };
  const platform = platforms[process.platform];
  if (!platform) throw new Error(`There is no executable for ${process.platform}.`);
  const before = { HOME: process.env.HOME, NODE_OPTIONS: process.env.NODE_OPTIONS };
  process.env.HOME = input.home;
  // V8 rejects a code cache that was made under other flags, so the generator runs under the program's.
  process.env.NODE_OPTIONS = noCodeFromStrings;
  try {
    await pkg.default(input.bundle, {
      nodePath: process.execPath,
      signature: true,
      targets: [{ nodeRange: "node26", platform, arch: process.arch, output: input.output }],
      seaConfig: {
        disableExperimentalSEAWarning: true,
        useSnapshot: false,
        useCodeCache: true,
        execArgv: [noCodeFromStrings, "--disable-proto=delete"],
        execArgvExtension: "none",
        assets: input.assets,
      } as Parameters<typeof pkg.default>[1]["seaConfig"] & object,
    });
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

const embedded: Plugin = {
  name: "embedded",
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]src[\\/]embedded\.ts$/ }, () => ({ contents: embeddedModule(), loader: "js" }));
  },
};

const handlebarsRuntime: Plugin = {
  name: "handlebars-runtime",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^handlebars$/ }, () => ({ path: require.resolve("handlebars/runtime.js") }));
  },
};

/** better-sqlite3 writes the source of a function for each set of columns and evaluates it; a closure does as well. */
const rowsWithoutEval: Plugin = {
  name: "rows-without-eval",
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]better-sqlite3[\\/]lib[\\/]database\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const start = source.indexOf("\tif (!keys.includes('__proto__')) {");
      const end = source.indexOf("\treturn (...values) => {", start);
      if (start < 0 || end < 0) throw new Error("better-sqlite3's row factory changed; look at rowsWithoutEval again.");
      return { contents: source.slice(0, start) + source.slice(end), loader: "js" };
    });
  },
};

/**
 * acme-client's second implementation of its cryptography, and multipart forms for its HTTP client, are never reached:
 * they would bring a megabyte and code from strings.
 */
const authorityClientAlone: Plugin = {
  name: "authority-client-alone",
  setup: ({ onResolve, onLoad }) => {
    const left = { path: "left-out", namespace: "left-out" };
    onResolve({ filter: /^form-data$/ }, () => left);
    onResolve({ filter: /^\.\/crypto\/forge$/ }, () => left);
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: "module.exports = class LeftOut {};",
      loader: "js",
    }));
  },
};

/** reflect-metadata looks for the global object in ways that are older than globalThis. */
const metadataWithoutEval: Plugin = {
  name: "metadata-without-eval",
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]reflect-metadata[\\/]Reflect\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const contents = source
        .replace('return Function("return this;")();', "return globalThis;")
        .replace('return (void 0, eval)("(function() { return this; })()");', "return globalThis;");
      if (contents.match(/return globalThis;/g)?.length !== 2)
        throw new Error("reflect-metadata changed; look at metadataWithoutEval again.");
      return { contents, loader: "js" };
    });
  },
};

/** The exports of src/embedded.ts, from memory and from the executable's assets. */
function embeddedModule(): string {
  const templates = templateNames().map((name) => {
    const spec = Handlebars.precompile(templateSource(name), compileOptions(name));
    return `${JSON.stringify(name)}: ${spec}`;
  });
  return `
import { chmodSync, closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getAsset, getRawAsset } from "node:sea";

export const version = ${JSON.stringify(version)};
export const migrations = ${JSON.stringify(migrations)};
export const fromSource = false;
export const precompiled = {${templates.join(",\n")}};
export const templateNames = () => Object.keys(precompiled);
export const templateSource = (name) => { throw new Error("The executable holds no source of the template " + name + "."); };
export const assetNames = () => ${JSON.stringify(assetNames())};
export const asset = (name) => Buffer.from(getAsset("assets/" + name));
export const nativeAddon = loadAddon();

// dlopen wants a file. An unnamed one leaves nothing behind and can't be swapped by others. Where the file system has
// none, a folder of our own does, emptied once the addon is mapped. Folders mounted noexec refuse both: try the next.
function loadAddon() {
  const bytes = new Uint8Array(getRawAsset("sqlite.node"));
  const flag = process.argv.findIndex((word) => word === "--data" || word.startsWith("--data="));
  const data = flag < 0 ? process.env.CANDOR_DATA : (process.argv[flag].slice(7) || process.argv[flag + 1]);
  const folders = [tmpdir(), process.env.RUNTIME_DIRECTORY, data, "/dev/shm", "/var/tmp"].filter(Boolean);
  let refusal;
  for (const load of process.platform === "linux" ? [loadUnnamed, loadNamed] : [loadNamed]) {
    for (const folder of folders) {
      try {
        return load(folder, bytes);
      } catch (error) {
        refusal ??= error;
      }
    }
  }
  process.stderr.write("Candor can't load its database engine: none of " + folders.join(", ") + " is writable and allows programs (" + refusal.message + ").\\n");
  process.exit(1);
}

function loadUnnamed(folder, bytes) {
  const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
  const file = openSync(folder, constants.O_RDWR | O_TMPFILE, 0o700);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    return load("/proc/self/fd/" + file);
  } finally {
    closeSync(file);
  }
}

function loadNamed(folder, bytes) {
  const own = mkdtempSync(join(folder, "candor-"));
  try {
    const file = join(own, "sqlite.node");
    writeFileSync(file, bytes, { mode: 0o700, flag: "wx" });
    return load(file);
  } finally {
    try { rmSync(own, { recursive: true, force: true }); } catch {}
  }
}

function load(path) {
  const holder = { exports: {} };
  process.dlopen(holder, path);
  return holder.exports;
}
`;
}

function sqliteAddon(): string {
  return join(
    dirname(require.resolve("better-sqlite3/package.json")),
    "prebuilds",
    `${process.platform}-${process.arch}.node`,
  );
}

/** A compiler in the bundle would fail only when it is reached; refuse it here. */
function refuseEval(bundle: string): void {
  const found = [...bundle.matchAll(/(?<![.\w$])(?:new\s+Function|Function|eval)\s*\(/g)];
  if (found.length === 0) return;
  const lines = found.map(({ index }) => bundle.slice(Math.max(0, index - 60), index + 60).replaceAll(/\s+/g, " "));
  throw new Error(`The bundle generates code from strings, which the executable forbids:\n${lines.join("\n")}`);
}

if (import.meta.main) {
  const startedAt = performance.now();
  const output = join(root, "dist", "candor");
  await buildExecutable({ entry: join(root, "cli", "candor.ts"), output });
  const megabytes = (statSync(output).size / 1e6).toFixed(1);
  console.log(`dist/${basename(output)}: ${megabytes} MB in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}
