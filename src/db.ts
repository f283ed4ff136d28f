/**
 * The only opener of the database. Its traps, each closed here and each with a test (test/db/): an empty key makes a
 * plaintext file; the key call never fails; URI names carry secrets into file names; temporary files spill plaintext;
 * ATTACH inherits; the migrator deletes children when foreign keys are on; two processes share one WAL; a WAL is played
 * into whatever database lies beside it.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import type { MigrationMeta } from "drizzle-orm/migrator";
import type { Clock } from "./clock.ts";
import { readApplicationId } from "./crypto/first-page.ts";
import type { Keys } from "./crypto/keyring.ts";
import { nativeAddon, migrations as ownMigrations, version } from "./embedded.ts";
import { isDamaged, isDiskFull, UserError } from "./errors.ts";
import { giveToOwner } from "./ownership.ts";
import * as schema from "./schema.ts";

export type Db = BetterSQLite3Database<typeof schema> & { $client: Database.Database };
export type Tx = Parameters<Parameters<Db["transaction"]>[0]>[0];

/** In bytes; what made it longer than this was no everyday's work. */
const longestWal = 4 * 1024 * 1024;

/** The application id of a snapshot, until it is opened in the database's place: "copy" in ASCII. */
const copyMark = 0x636f7079;

/** What the encrypting build adds; `key` never fails: read something at once. */
type Cipher = { key(key: Buffer): number };

export type Store = {
  db: Db;
  /** Where the database lies as it was before this opening upgraded it; undefined when it didn't. */
  beforeUpgrade: string | undefined;
  /** Copies the whole database, encrypted with the same key, into a new file. */
  snapshot(file: string): void;
  /**
   * Moves what was committed since the last time from the WAL into the database file, unless fewer than `least` rows were
   * changed. Nothing else ever does.
   */
  checkpoint(least?: number): void;
  /** Bytes in the write-ahead log. */
  walBytes(): number;
  close(): void;
};

const nativeOption = nativeAddon ? { nativeBinding: nativeAddon as unknown as string } : {};

/** `where` is the data folder, or undefined for a database in memory (tests). */
export function openStore(input: {
  where: string | undefined;
  keys: Keys;
  clock: Clock;
  /** The program's own, unless a test looks at what an upgrade does. */
  migrations?: MigrationMeta[];
}): Store {
  const { where, keys, clock } = input;
  const secret = keys.current("db-page").secret;
  if (secret.length !== 32) throw new Error("The database key must be 32 bytes.");
  const file = where ? join(where, "candor.db") : ":memory:";
  const releaseLock = where ? takeLock(where) : () => {};
  try {
    if (where) refusePlaintext(file);
    const isCopy = where !== undefined && existsSync(file) && readApplicationId(file, secret) === copyMark;
    if (isCopy) refuseForeignLog(file);
    const client = new Database(file, nativeOption);
    try {
      // SQLite gives the log and its index the mode of the database.
      for (const path of where ? [file, `${file}-wal`, `${file}-shm`] : []) closeToOthers(path);
      // To these SQLite gives the database's owner too.
      if (where) giveToOwner(where, file);
      // The encrypting build takes no key for a database in memory, which leaves nothing on disk either.
      if (where) unlock(client, secret, file);
      client.pragma("journal_mode=WAL", { simple: true });
      client.pragma("wal_autocheckpoint=0", { simple: true });
      client.pragma("synchronous=FULL", { simple: true });
      client.pragma("temp_store=MEMORY", { simple: true });
      // In kB. Each page that isn't in it is read and decrypted anew; the index of 100,000 subscribers takes three MB.
      client.pragma("cache_size=-8000", { simple: true });
      client.pragma("cell_size_check=ON", { simple: true });
      client.pragma("trusted_schema=OFF", { simple: true });
      // It has a log of its own from here on, which must be found to be its own whenever this process ends.
      if (isCopy) {
        client.pragma("application_id=0", { simple: true });
        client.pragma("wal_checkpoint(TRUNCATE)", { simple: true });
      }
      const db = drizzle(client, { schema }) as Db;
      const snapshot = (target: string) => {
        client.prepare("VACUUM INTO ?").run(target);
        closeToOthers(target);
        markAsCopy(target, secret);
        refusePlaintext(target);
      };
      let beforeUpgrade: string | undefined;
      migrate(db, input.migrations ?? ownMigrations, () => {
        if (where) beforeUpgrade = snapshotBefore(where, snapshot, clock);
      });
      if (where) refusePlaintext(file);
      const walBytes = () => (where && existsSync(`${file}-wal`) ? statSync(`${file}-wal`).size : 0);
      const changes = client.prepare("SELECT total_changes()").pluck();
      let moved = 0;
      return {
        db,
        beforeUpgrade,
        snapshot,
        checkpoint: (least = 1) => {
          const made = changes.get() as number;
          if (made - moved < least) return;
          moved = made;
          // A log that keeps its length is written over, and the disk has no new blocks to note at each commit.
          client.pragma(`wal_checkpoint(${walBytes() > longestWal ? "TRUNCATE" : "PASSIVE"})`, { simple: true });
        },
        walBytes,
        close: () => {
          client.close();
          releaseLock();
        },
      };
    } catch (error) {
      client.close();
      throw error;
    }
  } catch (error) {
    releaseLock();
    throw asUserError(error, file);
  }
}

/**
 * For transactions that would only be done again if they were lost, like marking a letter as sent: they commit without
 * waiting for the disk. A killed process loses none of them, a power cut those since the last checkpoint.
 */
export function withoutWaiting<Result>(db: Db, work: () => Result): Result {
  db.$client.pragma("synchronous=NORMAL", { simple: true });
  try {
    return work();
  } finally {
    db.$client.pragma("synchronous=FULL", { simple: true });
  }
}

/**
 * One process owns the data folder. The lock is a kernel lock on an empty file of its own, so it vanishes with the
 * process however that ends, and nothing else in this process may open that file (POSIX locks die with any close).
 */
function takeLock(where: string): () => void {
  mkdirSync(where, { recursive: true, mode: 0o700 });
  const lock = new Database(join(where, "lock"), { timeout: 0, ...nativeOption });
  try {
    // Whoever may read the file may lock it, and keep us from starting.
    closeToOthers(join(where, "lock"));
    giveToOwner(where, join(where, "lock"));
    lock.pragma("journal_mode=MEMORY", { simple: true });
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code?.startsWith("SQLITE_BUSY")) throw new FolderInUse(where);
    throw asUserError(error, join(where, "lock"));
  }
  return () => lock.close();
}

/** The folder may have been there before us and be open to everybody on the machine. */
function closeToOthers(path: string): void {
  if (process.platform !== "win32" && existsSync(path)) chmodSync(path, 0o600);
}

export class FolderInUse extends UserError {
  constructor(where: string) {
    super(
      "conflict",
      `Another Candor is using the data folder ${where}. Stop it first, or name another folder with --data.`,
    );
  }
}

function refusePlaintext(file: string): void {
  if (!existsSync(file) || statSync(file).size === 0) return;
  const start = Buffer.alloc(15);
  const handle = openSync(file, "r");
  try {
    readSync(handle, start, 0, 15, 0);
  } finally {
    closeSync(handle);
  }
  if (start.toString("latin1") === "SQLite format 3") {
    throw new UserError(
      "invalid",
      `${file} isn't encrypted, so it isn't Candor's. Move it away; to bring data into Candor use the API or a snapshot.`,
    );
  }
}

function markAsCopy(target: string, secret: Buffer): void {
  const copy = new Database(target, nativeOption);
  try {
    unlock(copy, secret, target);
    copy.pragma(`application_id=${copyMark}`, { simple: true });
  } finally {
    copy.close();
  }
}

/** What a killed server leaves is the log of the database before the snapshot, which it would turn into neither. */
function refuseForeignLog(file: string): void {
  const size = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return;
  throw new UserError(
    "conflict",
    `${file} is a snapshot that was put here, and the log beside it belongs to the database before it. Remove ${file}-wal and ${file}-shm, and start again.`,
  );
}

/** The cipher comes before the key; the key never stands in SQL text; only a read tells whether it was right. */
function unlock(client: Database.Database, secret: Buffer, file: string): void {
  client.pragma("cipher='sqlcipher'", { simple: true });
  client.pragma("legacy=4", { simple: true });
  const answer = (client as unknown as Cipher).key(Buffer.from(`raw:${secret.toString("hex")}`));
  if (answer !== 0) throw new Error("The database refused its key.");
  try {
    client.prepare("SELECT count(*) FROM sqlite_master").pluck().get();
  } catch (error) {
    if ((error as { code?: string }).code === "SQLITE_NOTADB") {
      throw new UserError(
        "invalid",
        `${file} doesn't open with this keyring: the keyring belongs to another database, or the file is damaged. Put back the keyring.json that was beside it.`,
      );
    }
    throw error;
  }
}

/** Known migrations, from memory. A database that has one we don't know was written by a newer program. */
function migrate(db: Db, migrations: MigrationMeta[], beforeChange: () => void): void {
  const client = db.$client;
  const table = client.prepare("SELECT 1 FROM sqlite_master WHERE name='__drizzle_migrations'").pluck().get();
  const newest = table
    ? ((client.prepare("SELECT max(created_at) FROM __drizzle_migrations").pluck().get() as number | null) ?? 0)
    : 0;
  const known = migrations.at(-1)?.folderMillis ?? 0;
  if (newest > known) {
    throw new UserError(
      "invalid",
      "This database was written by a newer Candor. Run that version, or go back to the copy that its upgrade left in snapshots/; nothing was changed.",
    );
  }
  client.pragma("foreign_keys=OFF", { simple: true });
  if (newest < known) {
    if (newest > 0) beforeChange();
    runMigrations(db, migrations);
    const broken = client.prepare("PRAGMA foreign_key_check").raw().all();
    if (broken.length > 0) throw new Error(`A migration left ${broken.length} rows without their parent.`);
  }
  client.pragma("foreign_keys=ON", { simple: true });
}

/**
 * SQLite takes a transaction back by itself when the disk is full; then the migrator's own ROLLBACK fails and hides why.
 * So the first thing that went wrong is what is told.
 */
function runMigrations(db: Db, migrations: MigrationMeta[]): void {
  type Session = { run(query: unknown): unknown };
  type Dialect = { migrate(list: MigrationMeta[], session: Session, config: object): void };
  const { session, dialect } = db as unknown as { session: Session; dialect: Dialect };
  let first: { error: unknown } | undefined;
  const heard: Session = Object.assign(Object.create(session), {
    run: (query: unknown) => {
      try {
        return session.run(query);
      } catch (error) {
        first ??= { error };
        throw error;
      }
    },
  });
  try {
    dialect.migrate(migrations, heard, {});
  } catch (error) {
    throw first ? first.error : error;
  }
}

function snapshotBefore(where: string, snapshot: (file: string) => void, clock: Clock): string {
  const folder = join(where, "snapshots");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = new Date(clock.now()).toISOString().replaceAll(":", "-").slice(0, 19);
  const file = join(folder, `before-${version}-${at}.db`);
  rmSync(file, { force: true });
  snapshot(file);
  giveToOwner(where, file);
  return file;
}

function asUserError(error: unknown, file: string): unknown {
  const code = (error as { code?: string }).code ?? "";
  if (
    code === "SQLITE_CANTOPEN" ||
    code === "SQLITE_READONLY" ||
    code.startsWith("SQLITE_CANTOPEN") ||
    code === "EACCES"
  ) {
    return new UserError("invalid", `${file} can't be opened for writing. Check the folder's owner and rights.`);
  }
  if (isDamaged(error)) {
    return new UserError(
      "invalid",
      `${file} is damaged. Put a snapshot in its place (candor snapshot makes them; an upgrade leaves one in snapshots/), without ${file}-wal and ${file}-shm.`,
    );
  }
  if (isDiskFull(error)) {
    return new UserError(
      "invalid",
      `The disk that holds ${file} is full. Make room and start again; nothing was lost.`,
    );
  }
  return error;
}
