/** Passwords: argon2id in the runtime's thread pool, at most two at once, stored as PHC strings (sealed by members.ts). */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { UserError } from "../errors.ts";

/** OWASP's floor for argon2id: 19 MiB, two passes, one lane. About 20 ms. */
const cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };

let running = 0;
const waiting: (() => void)[] = [];

/** No rules of composition (NIST SP 800-63B): only a length. Taken exactly as typed. */
export function requirePassword(password: string): string {
  if (password.length < 10) {
    throw new UserError("invalid", "Use at least 10 characters; a sentence is good.", { field: "password" });
  }
  if (Buffer.byteLength(password) > 1024)
    throw new UserError("invalid", "Use at most 1,024 bytes.", { field: "password" });
  return password;
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, cost);
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Works as long for a member without a password as for one with, so that time tells nothing. */
export async function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(stored ?? "");
  if (!match) {
    await derive(password, randomBytes(16), cost);
    return false;
  }
  const [, memory, passes, parallelism, salt = "", hash = ""] = match;
  const wanted = Buffer.from(hash, "base64");
  const given = await derive(password, Buffer.from(salt, "base64"), {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: wanted.length,
  });
  return timingSafeEqual(wanted, given);
}

async function derive(password: string, nonce: Buffer, how: typeof cost): Promise<Buffer> {
  if (running >= 2) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await new Promise((resolve, reject) => {
      argon2("argon2id", { message: Buffer.from(password), nonce, ...how }, (error, hash) =>
        error ? reject(error) : resolve(Buffer.from(hash)),
      );
    });
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
