/**
 * The keys. A 32-byte key-encryption key (KEK) lives outside the data folder; it wraps the data keys that stand in
 * `keyring.json` inside it. Every data key has an id that its ciphertexts name, so that each can be replaced while old
 * ciphertexts stay readable. Losing the KEK loses everything, which is why `candor init` prints a recovery kit.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { sep } from "node:path";
import { UserError } from "../errors.ts";
import { writeFileDurably } from "./durable.ts";

export const purposes = ["db-page", "field", "blind-index", "token-mac", "backup"] as const;
export type Purpose = (typeof purposes)[number];

type WrappedKey = { id: number; purpose: Purpose; createdAt: number; wrapped: string };
type KeyringFile = { format: 1; kek: string; keys: WrappedKey[] };

export type Keys = {
  /** The newest key of a purpose, for writing. */
  current(purpose: Purpose): { id: number; secret: Buffer };
  /** A key by id, for reading what an older key wrote. */
  byId(purpose: Purpose, id: number): Buffer;
};

/** Makes a new KEK file of 32 random bytes in hex, readable by its owner alone. Never overwrites. */
export function createKeyFile(path: string): Buffer {
  const kek = randomBytes(32);
  writeFileDurably(path, `${kek.toString("hex")}\n`, { mode: 0o600, overwrite: false });
  return kek;
}

/**
 * Reads a KEK file: 64 hex digits, or 32 raw bytes as a systemd credential may hold.
 *
 * @param guarded folders whose files may have any mode, because whoever put them there guards them
 */
export function readKeyFile(path: string, guarded: readonly string[] = []): Buffer {
  let bytes: Buffer;
  try {
    const mode = statSync(path).mode & 0o077;
    if (mode !== 0 && process.platform !== "win32" && !liesIn(path, guarded)) {
      throw new UserError("invalid", `The key file ${path} can be read by others. Run: chmod 600 ${path}`);
    }
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") {
      throw new UserError(
        "invalid",
        `There is no key file at ${path}. Name the right one with --key-file, or write it again from your recovery kit with: candor key restore --key-file ${path}`,
      );
    }
    throw new UserError(
      "invalid",
      `The key file ${path} can't be read (${code}). Give this user the right to read it.`,
    );
  }
  const text = bytes.toString("latin1").trim();
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  if (bytes.length === 32) return bytes;
  throw new UserError(
    "invalid",
    `The key file ${path} doesn't hold a key: it must be 64 hex digits. Write it again from your recovery kit with: candor key restore --key-file ${path}`,
  );
}

/** Whether a file is below one of the folders, links followed. */
function liesIn(path: string, folders: readonly string[]): boolean {
  const file = realpathSync(path);
  return folders.some((folder) => existsSync(folder) && file.startsWith(`${realpathSync(folder)}${sep}`));
}

/** The first 16 hex digits of the key's SHA-256: says which key a keyring wants without telling the key. */
export function keyFingerprint(kek: Buffer): string {
  return createHash("sha256").update("candor kek|").update(kek).digest("hex").slice(0, 16);
}

export function createKeyring(path: string, kek: Buffer, now: number): void {
  const keys = purposes.map((purpose, index): WrappedKey => {
    const id = index + 1;
    return { id, purpose, createdAt: now, wrapped: wrap(kek, id, purpose, randomBytes(32)) };
  });
  const file: KeyringFile = { format: 1, kek: keyFingerprint(kek), keys };
  writeFileDurably(path, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, overwrite: false });
}

/** @param advice for whoever gave a key that belongs to another keyring */
export function openKeyring(path: string, kek: Buffer, advice = "Name the right file with --key-file."): Keys {
  if (!existsSync(path)) {
    throw new UserError(
      "invalid",
      `${path} is missing. Without it the database can't be read: copy it back from a backup.`,
    );
  }
  const file = parseKeyring(path);
  if (file.kek !== keyFingerprint(kek)) {
    throw new UserError(
      "invalid",
      `This is the wrong key: ${path} wants the key with the fingerprint ${file.kek}, the given one has ${keyFingerprint(kek)}. ${advice}`,
    );
  }
  if (process.platform !== "win32") chmodSync(path, 0o600);
  const opened = new Map<string, Buffer>();
  for (const key of file.keys) opened.set(`${key.purpose}|${key.id}`, unwrap(kek, key, path));
  const newest = new Map<Purpose, number>();
  for (const key of file.keys) newest.set(key.purpose, Math.max(newest.get(key.purpose) ?? 0, key.id));
  for (const purpose of purposes) {
    if (!newest.has(purpose)) throw damaged(path, `it has no ${purpose} key`);
  }
  const byId = (purpose: Purpose, id: number) => {
    const secret = opened.get(`${purpose}|${id}`);
    if (!secret) throw new Error(`The keyring has no ${purpose} key ${id}.`);
    return secret;
  };
  return {
    byId,
    current: (purpose) => {
      const id = newest.get(purpose) as number;
      return { id, secret: byId(purpose, id) };
    },
  };
}

function parseKeyring(path: string): KeyringFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code) {
      throw new UserError(
        "invalid",
        `${path} can't be read (${(error as NodeJS.ErrnoException).code}). Give this user the right to read it.`,
      );
    }
    throw damaged(path, "it isn't JSON");
  }
  const file = parsed as Partial<KeyringFile> | null;
  if (typeof file !== "object" || file === null || !Array.isArray(file.keys) || typeof file.kek !== "string") {
    throw damaged(path, "its form is unknown");
  }
  if (file.format !== 1) throw new UserError("invalid", `${path} was written by a newer Candor. Run that version.`);
  return file as KeyringFile;
}

function damaged(path: string, why: string): UserError {
  return new UserError("invalid", `${path} is damaged: ${why}. Copy it back from a backup; nothing was changed.`);
}

function wrap(kek: Buffer, id: number, purpose: Purpose, secret: Buffer): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", kek, nonce);
  cipher.setAAD(Buffer.from(`candor|${id}|${purpose}`));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString("base64");
}

function unwrap(kek: Buffer, key: WrappedKey, path: string): Buffer {
  try {
    const bytes = Buffer.from(key.wrapped, "base64");
    if (bytes.length !== 60) throw new Error("length");
    const cipher = createDecipheriv("aes-256-gcm", kek, bytes.subarray(0, 12), { authTagLength: 16 });
    cipher.setAAD(Buffer.from(`candor|${key.id}|${key.purpose}`));
    cipher.setAuthTag(bytes.subarray(44));
    return Buffer.concat([cipher.update(bytes.subarray(12, 44)), cipher.final()]);
  } catch {
    throw damaged(path, `its ${key.purpose} key doesn't open`);
  }
}
