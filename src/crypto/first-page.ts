/**
 * What the database's header says, read from the file alone. SQLite looks through the log first, and doesn't notice when
 * that log belongs to another database (https://sqlite.org/howtocorrupt.html, 1.4).
 */
import { createDecipheriv } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";

/** SQLCipher 4 with a raw key: 16 bytes of salt in clear, then the page, then initialisation vector and HMAC. */
const page = 4096;
const salt = 16;
const reserve = 80;

/** @returns undefined for a file that is no database of this key; opening it tells why */
export function readApplicationId(file: string, secret: Buffer): number | undefined {
  const bytes = Buffer.alloc(page);
  const handle = openSync(file, "r");
  try {
    if (readSync(handle, bytes, 0, page, 0) < page) return undefined;
  } finally {
    closeSync(handle);
  }
  const vector = bytes.subarray(page - reserve, page - reserve + 16);
  const cipher = createDecipheriv("aes-256-cbc", secret, vector).setAutoPadding(false);
  const clear = Buffer.concat([cipher.update(bytes.subarray(salt, page - reserve)), cipher.final()]);
  // Offsets of https://sqlite.org/fileformat.html, 1.3: page size at 16, application id at 68.
  return clear.readUInt16BE(16 - salt) === page ? clear.readUInt32BE(68 - salt) : undefined;
}
