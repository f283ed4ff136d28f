/**
 * Snapshots: the whole database in one new file, encrypted with the same key, and beside it the keyring that opens it,
 * because neither is worth anything without the other. The key-encryption key is in neither. An existing file is never
 * written over, and a snapshot that was interrupted leaves no file under the name that was asked for.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { writeFileDurably } from "../crypto/durable.ts";
import type { Store } from "../db.ts";
import { isDiskFull, UserError } from "../errors.ts";
import { giveToOwner } from "../ownership.ts";

export type Snapshot = { file: string; keyring: string; bytes: number };

/** @throws UserError invalid for a path that isn't whole or can't be written, conflict for a file that exists */
export function takeSnapshot(input: {
  store: Store;
  dataFolder: string | undefined;
  file: string | undefined;
  now: number;
}): Snapshot {
  if (input.dataFolder === undefined) throw new UserError("conflict", "This Candor keeps its data in memory only.");
  const dataFolder = resolve(input.dataFolder);
  const file = input.file ?? join(dataFolder, "snapshots", `${nameAt(input.now)}.db`);
  // The server's working folder is not the caller's.
  if (!isAbsolute(file) || file.includes("\0")) {
    throw new UserError("invalid", "Give the snapshot's whole path, like /backups/candor.db.", { field: "file" });
  }
  const keyring = `${file.replace(/\.db$/, "")}.keyring.json`;
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    const inside = join(file, `${nameAt(input.now)}.db`);
    throw new UserError("invalid", `${file} is a folder. Name a file in it, like ${inside}.`, { field: "file" });
  }
  for (const path of [file, keyring]) {
    if (existsSync(path))
      throw new UserError("conflict", `${path} exists already. Name another file.`, { field: "file" });
  }
  const draft = `${file}.${process.pid}.new`;
  let keyringWritten = false;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    rmSync(draft, { force: true });
    input.store.snapshot(draft);
    if (process.platform !== "win32") chmodSync(draft, 0o600);
    sync(draft, "r+");
    const text = readFileSync(join(dataFolder, "keyring.json"), "utf8");
    writeFileDurably(keyring, text, { mode: 0o600, overwrite: false });
    keyringWritten = true;
    renameSync(draft, file);
    for (const path of [file, keyring]) giveToOwner(dataFolder, path);
    if (process.platform !== "win32") sync(dirname(file), "r");
    return { file, keyring, bytes: statSync(file).size };
  } catch (error) {
    if (existsSync(draft)) rmSync(draft);
    if (keyringWritten) rmSync(keyring);
    throw inWords(error, file);
  }
}

function nameAt(now: number): string {
  return `candor-${new Date(now).toISOString().replaceAll(":", "-").replace(".", "-")}`;
}

function sync(path: string, flags: "r" | "r+"): void {
  const handle = openSync(path, flags);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function inWords(error: unknown, file: string): unknown {
  const code = String((error as { code?: unknown }).code ?? "");
  if (isDiskFull(error)) {
    return new UserError("invalid", `There is no room for ${file}. Name a file on another disk.`, { field: "file" });
  }
  if (code === "EROFS" || isReadOnly(dirname(file))) {
    const advice = "Name a file elsewhere, or let the server write there (systemd: ReadWritePaths=).";
    return new UserError(
      "invalid",
      `${file} can't be written: the server sees a read-only file system there. ${advice}`,
      {
        field: "file",
      },
    );
  }
  if (["EACCES", "EPERM", "ENOTDIR", "EEXIST", "ENAMETOOLONG"].includes(code) || code.startsWith("SQLITE_CANTOPEN")) {
    return new UserError("invalid", `${file} can't be written (${code}). Check the folder's owner and rights.`, {
      field: "file",
    });
  }
  return error;
}

/** SQLite says only that it can't open the file. */
function isReadOnly(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}
