/**
 * Field encryption: AES-256-GCM over one value, bound to its place. The bytes are
 * `version (1) | key id (4, big-endian) | nonce (12) | ciphertext | tag (16)`; the associated data is
 * `table|column|primary key`, so that a ciphertext moved to another row or column doesn't open.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Keys } from "./keyring.ts";

const version = 1;
const head = 17;
const tagLength = 16;

/** `table.column` and the row's primary key. */
export type Place = { column: `${string}.${string}`; row: string | number };

export function seal(keys: Keys, place: Place, text: string): Buffer {
  const key = keys.current("field");
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key.secret, nonce);
  cipher.setAAD(associated(place));
  const start = Buffer.alloc(5);
  start.writeUInt8(version, 0);
  start.writeUInt32BE(key.id, 1);
  return Buffer.concat([start, nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** @throws Error when the bytes were changed, cut, or belong to another place: never returns a wrong text. */
export function unseal(keys: Keys, place: Place, bytes: Uint8Array): string {
  const sealed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (sealed.length < head + tagLength || sealed.readUInt8(0) !== version) {
    throw new Error(`A sealed value in ${place.column} is damaged.`);
  }
  const secret = keys.byId("field", sealed.readUInt32BE(1));
  const cipher = createDecipheriv("aes-256-gcm", secret, sealed.subarray(5, head), { authTagLength: tagLength });
  cipher.setAAD(associated(place));
  cipher.setAuthTag(sealed.subarray(sealed.length - tagLength));
  const text = cipher.update(sealed.subarray(head, sealed.length - tagLength));
  return Buffer.concat([text, cipher.final()]).toString("utf8");
}

function associated(place: Place): Buffer {
  return Buffer.from(place.column.replace(".", "|").concat("|", String(place.row)));
}

/** Finds a sealed value by equality: HMAC-SHA-256 over the purpose and the canonical value. */
export function blindIndex(keys: Keys, purpose: string, canonical: string): Buffer {
  return createHmac("sha256", keys.current("blind-index").secret).update(`${purpose}|${canonical}`).digest();
}

/** A token that need not be stored: proves that we wrote the link. 160 bits in base64url. */
export function linkMac(keys: Keys, purpose: string, subject: string): string {
  const mac = createHmac("sha256", keys.current("token-mac").secret).update(`${purpose}|${subject}`).digest();
  return mac.subarray(0, 20).toString("base64url");
}

export function isLinkMac(keys: Keys, purpose: string, subject: string, given: string): boolean {
  const wanted = Buffer.from(linkMac(keys, purpose, subject));
  const offered = Buffer.from(given);
  return wanted.length === offered.length && timingSafeEqual(wanted, offered);
}

/** How tokens and session ids are stored. They are random and long, so one round is enough. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
