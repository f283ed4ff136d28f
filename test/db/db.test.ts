import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Database from "better-sqlite3";
import { systemClock } from "../../src/clock.ts";
import { createKeyFile, createKeyring, type Keys, openKeyring, readKeyFile } from "../../src/crypto/keyring.ts";
import { openStore, type Store, withoutWaiting } from "../../src/db.ts";
import { migrations } from "../../src/embedded.ts";
import { hosts, pages, settings } from "../../src/schema.ts";

const folder = () => mkdtempSync(join(tmpdir(), "candor-db-"));

function keysIn(where: string, kek = Buffer.alloc(32, 3)): Keys {
  createKeyring(join(where, "keyring.json"), kek, 0);
  return openKeyring(join(where, "keyring.json"), kek);
}

const fakeKeys = (secret: Buffer): Keys => ({ byId: () => secret, current: () => ({ id: 1, secret }) });

test("the database, its log and its snapshots are encrypted from the first byte", () => {
  const where = folder();
  const store = openStore({ where, keys: keysIn(where), clock: systemClock });
  store.db
    .insert(pages)
    .values({ id: "p", name: "MARKER-NAME", timeZone: "Etc/UTC", createdAt: 0, updatedAt: 0 })
    .run();
  store.snapshot(join(where, "copy.db"));
  for (const name of readdirSync(where).filter((file) => file !== "keyring.json")) {
    const bytes = readFileSync(join(where, name)).toString("latin1");
    assert.doesNotMatch(bytes, /SQLite format 3|MARKER-NAME|CREATE TABLE/, name);
  }
  store.close();
  rmSync(where, { recursive: true });
});

test("an empty or short key is refused before a file exists", () => {
  for (const secret of [Buffer.alloc(0), Buffer.alloc(16, 1)]) {
    const where = folder();
    assert.throws(() => openStore({ where, keys: fakeKeys(secret), clock: systemClock }), /32 bytes/);
    assert.deepEqual(readdirSync(where), []);
  }
});

test("a damaged database is said to be damaged, and how to come back", () => {
  const where = folder();
  const keys = keysIn(where);
  openStore({ where, keys, clock: systemClock }).close();
  const bytes = readFileSync(join(where, "candor.db"));
  bytes.fill(120, 5000, 5004);
  writeFileSync(join(where, "candor.db"), bytes);
  assert.throws(() => openStore({ where, keys, clock: systemClock }), {
    name: "UserError",
    message: /candor\.db is damaged.*Put a snapshot in its place/,
  });
});

test("another keyring doesn't open the database and says what to do", () => {
  const where = folder();
  openStore({ where, keys: keysIn(where), clock: systemClock }).close();
  const other = keysIn(folder(), Buffer.alloc(32, 9));
  assert.throws(() => openStore({ where, keys: other, clock: systemClock }), /doesn't open with this keyring/);
  openStore({ where, keys: openKeyring(join(where, "keyring.json"), Buffer.alloc(32, 3)), clock: systemClock }).close();
});

test("a plaintext database is refused and left alone", () => {
  const where = folder();
  const plain = new Database(join(where, "candor.db"));
  plain.exec("CREATE TABLE t(a)");
  plain.close();
  const before = readFileSync(join(where, "candor.db"));
  assert.throws(() => openStore({ where, keys: keysIn(where), clock: systemClock }), /isn't encrypted/);
  assert.deepEqual(readFileSync(join(where, "candor.db")), before);
});

test("one process owns the folder, and a dead one's lock is no lock", () => {
  const where = folder();
  const keys = keysIn(where);
  const first = openStore({ where, keys, clock: systemClock });
  assert.throws(() => openStore({ where, keys, clock: systemClock }), /Another Candor is using/);
  first.close();
  openStore({ where, keys, clock: systemClock }).close();
  const script = `
    import { openStore } from ${JSON.stringify(join(import.meta.dirname, "../../src/db.ts"))};
    import { openKeyring } from ${JSON.stringify(join(import.meta.dirname, "../../src/crypto/keyring.ts"))};
    openStore({ where: ${JSON.stringify(where)}, keys: openKeyring(${JSON.stringify(join(where, "keyring.json"))}, Buffer.alloc(32, 3)), clock: { now: () => 0 } });
    process.kill(process.pid, "SIGKILL");`;
  const died = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], { encoding: "utf8" });
  assert.equal(died.signal, "SIGKILL", died.stderr);
  openStore({ where, keys, clock: systemClock }).close();
});

test("the settings of the connection close the traps", () => {
  const where = folder();
  const store = openStore({ where, keys: keysIn(where), clock: systemClock });
  const pragma = (name: string) => store.db.$client.pragma(name, { simple: true });
  assert.equal(pragma("journal_mode"), "wal");
  assert.equal(pragma("wal_autocheckpoint"), 0);
  assert.equal(pragma("synchronous"), 2);
  assert.equal(pragma("temp_store"), 2);
  assert.equal(pragma("foreign_keys"), 1);
  store.close();
});

test("a commit that needn't wait for the disk makes no other commit less sure, even when it fails", () => {
  const where = folder();
  const store = openStore({ where, keys: keysIn(where), clock: systemClock });
  const { db } = store;
  const sync = () => db.$client.pragma("synchronous", { simple: true });
  assert.equal(withoutWaiting(db, sync), 1);
  assert.equal(sync(), 2);
  const failing = () => withoutWaiting(db, () => db.$client.exec("INSERT INTO nowhere VALUES (1)"));
  assert.throws(failing);
  assert.equal(sync(), 2);
  store.close();
});

test("only a checkpoint moves the log into the database", () => {
  const where = folder();
  const store = openStore({ where, keys: keysIn(where), clock: systemClock });
  store.checkpoint();
  const size = statSync(join(where, "candor.db")).size;
  for (let index = 0; index < 2000; index++) {
    store.db
      .insert(settings)
      .values({ name: `n${index}`, value: "x".repeat(500), updatedAt: 0 })
      .run();
  }
  assert.equal(statSync(join(where, "candor.db")).size, size);
  assert.ok(store.walBytes() > 1_000_000);
  store.checkpoint();
  assert.ok(statSync(join(where, "candor.db")).size > size);
  store.close();
});

test("a log that grew beyond every day's work is cut, and one that didn't keeps its length", () => {
  const where = folder();
  const store = openStore({ where, keys: keysIn(where), clock: systemClock });
  const write = (megabytes: number) => {
    const value = "x".repeat(megabytes * 1024 * 1024);
    store.db
      .insert(settings)
      .values({ name: `n${megabytes}`, value, updatedAt: 0 })
      .run();
    store.checkpoint();
  };
  write(1);
  assert.ok(store.walBytes() > 1_000_000);
  write(6);
  assert.equal(store.walBytes(), 0);
  store.close();
});

test("a database newer than the program is refused, and one that is older is copied before it changes", async () => {
  const where = folder();
  const keys = keysIn(where);
  const store = openStore({ where, keys, clock: systemClock });
  store.db.$client.exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('later', 99999999999999)");
  store.close();
  assert.throws(() => openStore({ where, keys, clock: systemClock }), /newer Candor/);
});

test("the log of the database before a restored snapshot is refused, and left alone", () => {
  const where = folder();
  const keys = keysIn(where);
  const file = join(where, "candor.db");
  const write = (store: Store, name: string) =>
    store.db.insert(settings).values({ name, value: "x", updatedAt: 0 }).run();
  const store = openStore({ where, keys, clock: systemClock });
  write(store, "early");
  const copy = join(where, "copy.db");
  store.snapshot(copy);
  write(store, "late");
  // As a killed process leaves it.
  const log = readFileSync(`${file}-wal`);
  store.close();

  copyFileSync(copy, file);
  writeFileSync(`${file}-wal`, log);
  assert.throws(() => openStore({ where, keys, clock: systemClock }), {
    name: "UserError",
    message: /candor\.db is a snapshot.*Remove .*candor\.db-wal and .*candor\.db-shm, and start again/,
  });
  assert.deepEqual(readFileSync(`${file}-wal`), log);
  assert.deepEqual(readFileSync(file), readFileSync(copy));

  rmSync(`${file}-wal`);
  const restored = openStore({ where, keys, clock: systemClock });
  assert.deepEqual(
    restored.db
      .select()
      .from(settings)
      .all()
      .map(({ name }) => name),
    ["early"],
  );
  // From here on it has a log of its own, which a killed process leaves too.
  write(restored, "after");
  const own = readFileSync(`${file}-wal`);
  const base = readFileSync(file);
  restored.close();
  writeFileSync(file, base);
  writeFileSync(`${file}-wal`, own);
  const again = openStore({ where, keys, clock: systemClock });
  assert.equal(again.db.select().from(settings).all().length, 2);
  again.close();
});

test("a key file that others can read, that is missing or that holds something else is refused in one sentence", () => {
  const where = folder();
  const file = join(where, "k");
  assert.throws(() => readKeyFile(file), /There is no key file at .*recovery kit/);
  createKeyFile(file);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.throws(() => createKeyFile(file), /EEXIST/);
  chmodSync(file, 0o644);
  assert.throws(() => readKeyFile(file), /can be read by others\. Run: chmod 600/);
  writeFileSync(file, "hello");
  chmodSync(file, 0o600);
  assert.throws(() => readKeyFile(file), /must be 64 hex digits/);
});

test("a damaged, missing or foreign keyring is refused and not touched", () => {
  const where = folder();
  const file = join(where, "keyring.json");
  assert.throws(() => openKeyring(file, Buffer.alloc(32, 3)), /is missing/);
  keysIn(where);
  const good = readFileSync(file, "utf8");
  assert.throws(() => openKeyring(file, Buffer.alloc(32, 4)), /This is the wrong key/);
  const parsed = JSON.parse(good);
  const swapped = structuredClone(parsed);
  [swapped.keys[0].wrapped, swapped.keys[1].wrapped] = [swapped.keys[1].wrapped, swapped.keys[0].wrapped];
  for (const bad of [
    "",
    "{",
    "null",
    good.replace("A", "B").slice(0, -30),
    JSON.stringify(swapped),
    JSON.stringify({ ...parsed, keys: parsed.keys.slice(1) }),
  ]) {
    writeFileSync(file, bad);
    assert.throws(() => openKeyring(file, Buffer.alloc(32, 3)), /is damaged/, bad);
    assert.equal(readFileSync(file, "utf8"), bad);
  }
  writeFileSync(file, JSON.stringify({ ...parsed, format: 2 }));
  assert.throws(() => openKeyring(file, Buffer.alloc(32, 3)), /newer Candor/);
});

test("a migration that rebuilds a table keeps its children, and the database before it is copied", () => {
  const where = folder();
  const keys = keysIn(where);
  const store = openStore({ where, keys, clock: systemClock });
  store.db.insert(pages).values({ id: "p", name: "Acme", timeZone: "Etc/UTC", createdAt: 0, updatedAt: 0 }).run();
  store.db.insert(hosts).values({ name: "h", pageId: "p", origin: "https://h", purpose: "public", createdAt: 0 }).run();
  const create = store.db.$client.prepare("SELECT sql FROM sqlite_master WHERE name = 'pages'").pluck().get() as string;
  store.close();
  const rebuild = {
    sql: [
      create.replace("`pages`", "`__new_pages`"),
      "INSERT INTO `__new_pages` SELECT * FROM `pages`",
      "DROP TABLE `pages`",
      "ALTER TABLE `__new_pages` RENAME TO `pages`",
    ],
    folderMillis: (migrations.at(-1)?.folderMillis ?? 0) + 1,
    hash: "rebuild",
    bps: true,
  };
  const upgraded = openStore({ where, keys, clock: systemClock, migrations: [...migrations, rebuild] });
  assert.equal(upgraded.db.select().from(hosts).all().length, 1, "foreign keys were off, so nothing cascaded");
  assert.equal(upgraded.db.$client.pragma("foreign_keys", { simple: true }), 1);
  upgraded.close();
  const copies = readdirSync(join(where, "snapshots"));
  assert.equal(upgraded.beforeUpgrade, join(where, "snapshots", copies[0] as string));
  assert.equal(copies.length, 1);
  assert.throws(
    () => openStore({ where, keys, clock: systemClock }),
    /newer Candor/,
    "the previous program refuses the next schema",
  );
  // The way back that the README describes.
  copyFileSync(join(where, "snapshots", copies[0] as string), join(where, "candor.db"));
  rmSync(join(where, "candor.db-wal"), { force: true });
  rmSync(join(where, "candor.db-shm"), { force: true });
  const back = openStore({ where, keys, clock: systemClock });
  assert.equal(back.db.select().from(hosts).all().length, 1);
  back.close();
});

test("a migration that leaves orphans is stopped", () => {
  const where = folder();
  const keys = keysIn(where);
  const store = openStore({ where, keys, clock: systemClock });
  store.db.insert(pages).values({ id: "p", name: "Acme", timeZone: "Etc/UTC", createdAt: 0, updatedAt: 0 }).run();
  store.db.insert(hosts).values({ name: "h", pageId: "p", origin: "https://h", purpose: "public", createdAt: 0 }).run();
  store.close();
  const careless = {
    sql: ["DELETE FROM `pages`"],
    folderMillis: (migrations.at(-1)?.folderMillis ?? 0) + 1,
    hash: "careless",
    bps: true,
  };
  assert.throws(
    () => openStore({ where, keys, clock: systemClock, migrations: [...migrations, careless] }),
    /without their parent/,
  );
});
