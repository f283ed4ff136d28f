/**
 * What the program carries besides its code: migrations, templates, assets. From source they are read from the folders
 * beside `src`; `build.ts` replaces this whole module with one that holds them, so that the executable needs no file.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join, relative } from "node:path";
import { readMigrationFiles } from "drizzle-orm/migrator";

const root = join(import.meta.dirname, "..");

export const version: string = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;
export const migrations = readMigrationFiles({ migrationsFolder: join(root, "migrations") });

/** The SQLite addon of the executable; undefined from source, where the package finds its own. */
export const nativeAddon: object | undefined = undefined;

/** True where templates may be compiled at run time and are read anew at each use. */
export const fromSource = true;

/** Precompiled templates by name, for the executable only. */
export const precompiled: Record<string, unknown> = {};

export function templateNames(): string[] {
  return readdirSync(join(root, "templates"), { recursive: true, encoding: "utf8" })
    .filter((file) => extname(file) === ".hbs")
    .map((file) =>
      relative(".", file)
        .replaceAll("\\", "/")
        .replace(/\.hbs$/, ""),
    )
    .toSorted();
}

export function templateSource(name: string): string {
  return readFileSync(join(root, "templates", `${name}.hbs`), "utf8");
}

export function assetNames(): string[] {
  const folder = join(root, "templates", "assets");
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
}

export function asset(name: string): Buffer {
  return readFileSync(join(root, "templates", "assets", name));
}
