import { createHash, randomBytes } from "node:crypto";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

/** 12 characters of [a-z0-9], the shape that Statuspage clients expect; 62 bits, drawn without bias. */
export function newId(): string {
  let id = "";
  while (id.length < 12) {
    for (const byte of randomBytes(24)) {
      if (byte < 252 && id.length < 12) id += letters[byte % 36];
    }
  }
  return id;
}

/** Of the same shape, and the same for the same text. */
export function derivedId(text: string): string {
  return BigInt(`0x${createHash("sha256").update(text).digest("hex")}`)
    .toString(36)
    .slice(-12);
}

/** A secret for a link, cookie or API: 256 bits in base64url. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}
